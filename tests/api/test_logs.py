"""What the log says of requests that go wrong: whose they were, by number, and nothing of what was in them."""

import json
import logging
import time
from collections.abc import Iterator

import psutil
import pytest

from nebuloviz.observability import JsonFormatter
from tests.api.conftest import Api
from tests.api.test_data import sale
from tests.api.test_files import FILE, line, table

FAILED = "the answer for <private@example.com> could not be made: password=private"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that the program says, whose parts run in this process."""
    caplog.handler.setFormatter(JsonFormatter())
    with caplog.at_level(logging.DEBUG, "nebuloviz"), caplog.at_level(logging.WARNING, "uvicorn.access"):
        yield caplog


def lines_of(log: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.text.splitlines()]


def number_of(api: Api, role: str) -> str:
    with api.database.session() as session:
        return next(str(user.id) for user in api.services.auth.users(session) if user.username == role)


def test_sign_ins_sales_and_questions_are_never_quoted(
    api: Api, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api.client() as nobody:
        nobody.headers["Cookie"] = "session=private-session"
        for username in ("private@example.com", "admin"):
            answer = nobody.post("/api/v1/auth/token", json={"username": username, "password": "private-word"})
            assert answer.status_code == 401
        refused = nobody.get("/api/v1/me", params={"access_token": "private", "secret": "private"})
        assert refused.status_code == 401
        nobody.post(
            "/api/v1/auth/token", content=b'{"password": "private-word"', headers={"content-type": "application/json"}
        )
        nobody.headers["Authorization"] = "Bearer private.private.private"
        assert nobody.get("/api/v1/me").status_code == 401
    with api.client("data_scientist") as client:
        sales = [sale(900_000, customer_id="private-customer", quantity="private"), sale(900_001, currency="private")]
        assert client.post("/api/v1/sales", json=sales).json()["rejected"] == 2
        asked = {"metrics": ["revenue"], "start": "2026-03-02", "end": "private", "customer_id": "private"}
        assert client.get("/api/v1/series", params=asked).status_code == 422

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError(FAILED)

        monkeypatch.setattr(type(api.services.alerts), "list", fail)
        answer = client.get("/api/v1/alerts")
    assert answer.status_code == 500
    [failed] = [line for line in lines_of(log) if line["message"] == "a request failed"]
    assert (failed["request_id"], failed["user_id"]) == (
        answer.headers["x-request-id"], number_of(api, "data_scientist"),
    )  # fmt: skip
    assert "RuntimeError: the answer for" in failed["exception"]
    assert "private" not in log.text


def test_an_import_that_ends_half_way_is_told_by_its_number_and_whose_it_was(
    api: Api, log: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [line(600_000 + number, customer_id=f"private-{number}", quantity="private") for number in range(20_000)]
    with api.client("data_scientist") as client:
        others = set(psutil.Process().children())
        started = client.post("/api/v1/imports", content=table(rows), params={"name": "private-name.csv"}, headers=FILE)
        assert started.status_code == 202, started.text
        [child] = set(psutil.Process().children()) - others
        child.kill()
        deadline = time.monotonic() + 60
        while not (found := [line for line in lines_of(log) if line["message"].startswith("The import")]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    [ended] = found
    assert ended["message"].endswith("has ended")
    assert "ChildLostError" in ended["exception"]
    assert (ended["request_id"], ended["user_id"]) == (
        started.headers["x-request-id"], number_of(api, "data_scientist"),
    )  # fmt: skip
    assert "private" not in log.text + capfd.readouterr().err
