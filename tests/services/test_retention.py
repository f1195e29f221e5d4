"""What has had its time is gone, and nothing else is; on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.models import BrowserSession, DayArrival, DeadLetter, IngestMinute, PasswordLink, RefreshToken, User
from nebuloviz.services import retention
from nebuloviz.services.interfaces import InstallationSettings
from nebuloviz.services.retention import Retention

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SETTINGS = InstallationSettings(closed_records_days=10, open_records_days=30, pace_days=5)


def letter(number: int, state: str, days: int) -> DeadLetter:
    at = NOW - timedelta(days=days, seconds=1)
    closed = None if state == "open" else at
    return DeadLetter(
        topic="sales", partition=0, offset=number, reason="invalid_json", payload=b"x", payload_size=1,
        state=state, received_at=at, closed_at=closed,
    )  # fmt: skip


@pytest.fixture
def filled(database: Database) -> Database:
    user = User(username="a", name_key="a", password_hash="", role="viewer", created_at=NOW)
    with database.transaction() as session:
        session.add(user)
        session.flush()
        for days in (-1, 1):
            at, name = NOW + timedelta(days=days), f"t{days}"
            session.add(BrowserSession(token_hash=name, user_id=user.id, epoch=0, created_at=NOW, expires_at=at))
            session.add(RefreshToken(token_id=name, family="f", user_id=user.id, expires_at=at))
            session.add(PasswordLink(token_hash=name, user_id=user.id, expires_at=at))
        states = [("open", 29), ("open", 30), ("retried", 9), ("retried", 10), ("discarded", 11)]
        session.add_all(letter(number, *state) for number, state in enumerate(states))
        session.add_all(IngestMinute(minute=NOW - timedelta(days=days), topic="sales") for days in (4, 5, 6))
        session.add_all(
            DayArrival(day=(NOW - timedelta(days=days)).date(), version=1, since=NOW - timedelta(days=days))
            for days in (3, 4)
        )
    return database


def counts(database: Database) -> list[int]:
    tables = (BrowserSession, RefreshToken, PasswordLink, DeadLetter, IngestMinute, DayArrival)
    with database.session() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def run(database: Database, settings: InstallationSettings) -> int:
    job, steps = Retention(database, lambda: settings, lambda: NOW), 1
    while job.step():
        steps += 1
    return steps


def test_deletes_what_the_settings_say(filled: Database) -> None:
    run(filled, SETTINGS)
    assert counts(filled) == [1, 1, 1, 2, 2, 1]
    with filled.session() as session:
        kept = {(row.state, row.offset) for row in session.scalars(select(DeadLetter))}
    assert kept == {("open", 0), ("retried", 2)}


def test_keeps_records_and_pace_for_ever_by_default(filled: Database) -> None:
    run(filled, InstallationSettings())
    assert counts(filled) == [1, 1, 1, 5, 3, 1]


def test_deletes_all_of_it_in_small_steps(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    assert run(filled, SETTINGS) > 2
    assert counts(filled) == [1, 1, 1, 2, 2, 1]
