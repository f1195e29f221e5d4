"""What is taken out of all that is logged, and what stays."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nebuloviz import settings
from nebuloviz.db import Database
from nebuloviz.models import User
from nebuloviz.observability import configure_logging
from nebuloviz.redaction import redacted, redacted_field

PRIVATE = "hunter2"  # stands for whatever must not be seen


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://shop:hunter2@db/sales", "redis://:hunter2@cache:6379/0", "amqps://u:hunter2@h:1",
        "Authorization: Bearer hunter2.abc", "authorization: basic hunter2=", "proxy said Basic hunter2",
        "Cookie: session=hunter2; other=hunter2", "set-cookie: nebuloviz=hunter2; HttpOnly",
        "GET /login?next=/&password=hunter2 HTTP/1.1", "/reset?reset_token=hunter2&x=1", "?X-Api-Key=hunter2", "?apikey=hunter2",
        "csrf_token=hunter2&username=hunter2&new_password=hunter2", "NEBULOVIZ_SECRET_KEY=hunter2", "sessionid=hunter2;",
        '{"password": "hunter2", "totp_secret":"a hunter2"}', "{'refresh_token': 'hunter2', 'n': 1}", '{"email": "hunter2"}',
        "{'customer_id': 'hunter2'}", "customer=hunter2", "user_name='hunter2 the second'", 'smtp_password="hunter2 \\" hunter2"',
        "mail to hunter2@example.com", "{'anna+hunter2@mail.example.co.uk': (550, b'no')}", "<hunter2@example.com>",
        "/welcome/hunter2?x=1", "eyJhbGciOi.eyJzdWIiOiIxIn0.hunter2",
        "ERROR\nDETAIL:  Key (username)=(hunter2) already exists.\n", 'COPY failed\nCONTEXT:  COPY sale, line 1: "hunter2"\n',
        "LINE 1: SELECT 'hunter2'\n               ^", "ERROR\nDETAIL:  Key (username)=(a\nhunter2) exists.\n\n[SQL: INSERT]",
        "  Input should be valid [type=int_parsing, input_value='hunter2', input_type=str]",
    ],
)  # fmt: skip
def test_what_opens_a_door_or_names_a_person_is_taken_out(said: str) -> None:
    assert PRIVATE not in redacted(said)
    assert "***" in redacted(said)


@pytest.mark.parametrize(
    "said",
    [
        "sales/3@120500", "series-watch@2026-11-30T18:05:02.118273Z", "postgresql://shop@db/sales", "user 17 signed in", "user_id=17",
        "No process answers at http://127.0.0.1:8050/readyz?full=1", "a token is missing", "the password: it is too short",
        "notification 3fdc: again mail_server", "key=Basic", "3 of 20 customers", "nebuloviz.services.mail", "/alerts/12?range=30d",
    ],
)  # fmt: skip
def test_what_an_operator_needs_stays(said: str) -> None:
    assert redacted(said) == said


def test_is_done_soon_whatever_the_text() -> None:
    for unkind in ("a" * 200_000, "password" * 20_000, "'" * 200_000, "a@" * 100_000, "://" * 60_000, '"\\\\' * 60_000):
        redacted(unkind)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("username", "anna", "***"), ("e_mail", "anna", "***"), ("customer_id", 7, "***"), ("session_id", "x", "***"),
        ("request", {"path": "/", "headers": {"Cookie": "x", "Host": "h"}}, {"path": "/", "headers": {"Cookie": "***", "Host": "h"}}),
        ("tried", ("a@example.com", 3), ["***@example.com", 3]), ("error", ValueError("password=x"), "password=***"),
        ("alerts", [12, 13], [12, 13]), ("user_id", "7", "7"), ("partition", 7, 7), ("late", None, None), ("whole", True, True),
    ],
)  # fmt: skip
def test_a_field_is_looked_through_by_its_names(name: str, value: Any, shown: Any) -> None:
    assert redacted_field(name, value) == shown


@pytest.fixture(params=["json", "text"])
def log(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """All that is logged, at the most talkative level."""
    root, own = logging.getLogger(), logging.getLogger("nebuloviz")
    before = root.handlers[:], root.level, own.level
    stream = StringIO()
    configure_logging(settings.load(log_level="DEBUG", log_format=request.param), stream)
    yield stream
    root.handlers[:], root.level, own.level = before


def _a_user(session: Session) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    known = {"username": PRIVATE, "name_key": PRIVATE, "password_hash": PRIVATE, "email": PRIVATE}
    session.add(User(role="viewer", created_at=moment, **known))
    session.flush()


async def _in_the_loop(database: Database, work: Callable[[Session], object]) -> None:
    try:
        async with database.async_transaction() as session:
            await session.run_sync(work)
    finally:
        await database.dispose_async()


def _two_users(session: Session) -> None:
    _a_user(session)
    _a_user(session)


def _two_texts(session: Session) -> None:
    session.execute(text("INSERT INTO installation (key, value) VALUES (:key, :key)"), {"key": PRIVATE})
    session.execute(text("INSERT INTO installation (key, value) VALUES (:key, :key)"), {"key": PRIVATE})


@pytest.mark.parametrize("work", [_two_users, _two_texts], ids=["a row", "a text"])
@pytest.mark.parametrize("loop", [False, True], ids=["thread", "event loop"])
def test_what_a_database_did_not_take_is_not_quoted(database: Database, log: StringIO, work: Any, loop: bool) -> None:
    try:
        if loop:
            asyncio.run(_in_the_loop(database, work))
        else:
            with database.transaction() as session:
                work(session)
    except DBAPIError:
        logging.getLogger("nebuloviz.tests").exception("a request failed")
    assert "Traceback" in log.getvalue()
    assert "INSERT INTO" in log.getvalue(), "what was tried is said"
    assert PRIVATE not in log.getvalue()


def test_what_a_form_did_not_take_is_not_quoted(log: StringIO) -> None:
    class Form(BaseModel):
        age: int

    try:
        Form.model_validate({"age": PRIVATE})
    except ValueError:
        logging.getLogger("nebuloviz.tests").exception("a request failed")
    assert "int_parsing" in log.getvalue()
    assert PRIVATE not in log.getvalue()


def test_of_libraries_no_detail_is_told_at_any_level(log: StringIO) -> None:
    for name in ("aiosqlite", "sqlalchemy.engine", "asyncio"):
        logging.getLogger(name).debug("executing with %s", PRIVATE)
    logging.getLogger("nebuloviz.cache").debug("ours is told")
    assert PRIVATE not in log.getvalue()
    assert json.dumps("ours is told")[1:-1] in log.getvalue()
