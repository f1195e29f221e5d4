"""What is kept for a while only: deleted once its time has come, a little at a time, so that nobody waits long for the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, rows_changed
from nebuloviz.models import (
    BrowserSession,
    DayArrival,
    DayVersion,
    DeadLetter,
    IngestMinute,
    NotificationMessage,
    PasswordLink,
    RefreshToken,
)
from nebuloviz.services.interfaces.installation import InstallationSettings, Live

BATCH = 2_000
#: Sets of customers that are older, in batches or in time, are made anew as a whole: that costs, and harms nothing.
_ARRIVALS_KEPT, _ARRIVALS_AGE = 10_000, timedelta(days=3)

#: A column that tells rows apart, or nearly so, and which of them have had their time.
Due = tuple[InstrumentedAttribute[Any], ColumnElement[bool]]


class Retention:
    """Deletes by the settings as they are then. Several processes may do so at once. `step` is for a `Repeater`."""

    def __init__(self, database: Database, live: Live, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._live = live
        self._now = now

    def step(self) -> bool:
        """A batch of each kind; whether there may be more."""
        deleted = [self._delete(*due) for due in _due(self._live(), self._now())]
        return max(deleted) >= BATCH  # rows may share what tells them apart from most others

    def _delete(self, key: InstrumentedAttribute[Any], condition: ColumnElement[bool]) -> int:
        with self._database.session() as reading:
            keys = reading.scalars(select(key).where(condition).limit(BATCH)).all()
        if not keys:  # the usual case takes no write lock
            return 0
        with self._database.transaction() as writing:
            return rows_changed(writing.execute(delete(key.class_).where(key.in_(keys), condition)))


def _due(settings: InstallationSettings, now: datetime) -> Iterator[Due]:
    yield BrowserSession.token_hash, BrowserSession.expires_at <= now
    yield RefreshToken.token_id, RefreshToken.expires_at <= now
    yield PasswordLink.token_hash, PasswordLink.expires_at <= now
    newest = select(DayVersion.version).where(DayVersion.day == DayArrival.day).scalar_subquery()
    many = DayArrival.version < newest - _ARRIVALS_KEPT
    yield DayArrival.since, many | (DayArrival.day < (now - _ARRIVALS_AGE).date())
    if settings.closed_records_days:
        before = now - timedelta(days=settings.closed_records_days)
        yield DeadLetter.id, (DeadLetter.state != "open") & (DeadLetter.closed_at < before)
    if settings.open_records_days:
        before = now - timedelta(days=settings.open_records_days)
        yield DeadLetter.id, (DeadLetter.state == "open") & (DeadLetter.received_at < before)
    if settings.pace_days:
        yield IngestMinute.minute, IngestMinute.minute < now - timedelta(days=settings.pace_days)
    if settings.messages_days:
        before = now - timedelta(days=settings.messages_days)
        yield NotificationMessage.id, NotificationMessage.done_at < before
