"""What the program's log says of a request that fails in an unforeseen way."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from nebuloviz.bootstrap.storage import database
from nebuloviz.models import Alert, User
from nebuloviz.settings import load
from tests.dash_requests import body_of, post
from tests.program import Program


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
    lines = [json.loads(line) for line in program.log.read_text().splitlines() if line.startswith("{")]
    [line] = [each for each in lines if each.get("request_id") == answer.headers["x-request-id"]]
    assert line["level"] == "ERROR"
    assert line["message"] == "a callback failed"
    assert line["callback"] == "pages.alerts.show"
    assert line["user_id"] == str(viewer)
