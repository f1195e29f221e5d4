"""What the suites of users share: a clock that stands until a test says otherwise, and what was noted in the audit log."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.models import AuditEntry


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


def audit_from_now_on(database: Database) -> Callable[[], Sequence[AuditEntry]]:
    """What is noted from here on; what other tests have noted cannot be taken away."""
    with database.session() as session:
        before = session.scalars(select(func.max(AuditEntry.id))).one() or 0

    def noted() -> Sequence[AuditEntry]:
        with database.session() as session:
            return session.scalars(select(AuditEntry).where(AuditEntry.id > before).order_by(AuditEntry.id)).all()

    return noted
