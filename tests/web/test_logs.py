"""What the program's log says: of a request that fails in an unforeseen way, and never who somebody is."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from nebuloviz.bootstrap.storage import database
from nebuloviz.models import Alert, User
from nebuloviz.settings import load
from tests.dash_requests import body_of, post
from tests.program import PASSWORD, Program, environment_of, started


def test_a_callback_that_fails_is_logged_with_its_request_and_who_asked(
    program: Program, callbacks: dict[str, Any]
) -> None:
    client = program.as_("viewer")
    asking = next(each for each in callbacks.values() if each["output"].startswith("..alerts-list."))
    where = database(load(data_dir=Path(program.environment["NEBULOVIZ_DATA_DIR"])))
    hour = datetime(2026, 4, 1, 12, tzinfo=UTC)
    times = {"bucket_start": hour, "bucket_end": hour + timedelta(hours=1), "created_at": hour, "updated_at": hour}
    figures = {"observed": 1.0, "expected": 9.0, "expected_low": 5.0, "expected_high": 13.0, "score": 0.9}
    said = {"detector": "forest", "metric": "orders", "series": "orders", "severity": "high", "dimensions": "no JSON"}
    with where.transaction() as session:
        viewer = session.scalars(select(User.id).where(User.username == "viewer")).one()
        session.add(Alert(**times, **figures, **said))
    try:
        body = body_of(asking)
        for part in (*body["inputs"], *body["state"]):
            part["value"] = {"_pages_location": "?range=all"}.get(part["id"], part.get("value"))
        answer = post(client, body)
    finally:
        with where.transaction() as session:
            session.execute(delete(Alert))
        where.dispose()
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in program.log.read_text().splitlines()]
    [line] = [each for each in lines if each.get("request_id") == answer.headers["x-request-id"]]
    assert line["level"] == "ERROR"
    assert line["message"] == "a callback failed"
    assert line["callback"] == "pages.alerts.show"
    assert line["user_id"] == str(viewer)


def test_all_that_a_process_says_is_json_where_programs_read_it_and_text_where_people_do(tmp_path: Path) -> None:
    """From its start to its end, on both streams: also how the first administrator signs in, and whatever the level is."""
    said = {}
    for form in ("json", "text"):
        (tmp_path / form).mkdir()
        environment = environment_of(tmp_path / form, log_format=form, log_level="ERROR")
        del environment["NEBULOVIZ_ADMIN_PASSWORD"]
        with started(environment) as program, program.client() as client:
            assert client.get("/login").status_code == 200
        said[form] = program.log.read_text().splitlines()
    messages = [json.loads(line)["message"] for line in said["json"]]
    for told in (messages, said["text"]):
        assert [line for line in told if line.startswith("NebuloViz is ready: http://127.0.0.1:")]
        assert [line for line in told if line.startswith("Sign in as admin with the password ") and "***" not in line]


def test_who_signs_in_or_fails_to_and_what_they_ask_for_is_never_told(program: Program) -> None:
    before = program.log.stat().st_size
    with program.client() as nobody:
        for username in ("private@example.com", "admin"):
            assert program.sign_in(nobody, username, "private-word", "/alerts?secret=private").status_code == 401
        nobody.cookies.set("session", "private-session")
        assert nobody.get("/alerts", params={"password": "private", "q": "private"}).status_code == 302
        assert nobody.get("/welcome/private-link").status_code in {404, 410}
        assert nobody.post("/login", content=b"\xff", headers={"content-type": "text/private"}).status_code >= 400
    with closing(program.signed_in("viewer")) as viewer:
        cookies = [cookie.value for cookie in viewer.cookies.jar if cookie.value and len(cookie.value) > 20]
        assert viewer.get("/explore", params={"range": "private", "api_key": "private"}).status_code == 200
        assert viewer.get("/private-page").status_code == 404
    said = program.log.read_bytes()[before:].decode()
    assert cookies
    assert [each for each in ("private", "viewer", PASSWORD, *cookies) if each in said] == []
