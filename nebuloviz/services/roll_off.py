"""Old sale lines go, month by month; sums, sets of customers and sale ids stay, so that every figure that they tell stays exact.

It goes in two steps, minutes apart: first it is settled since when lines are kept, which readers and writers go by from then
on; when whoever has begun before has ended, the lines go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import TextClause, func, select, text, true
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, rows_changed
from nebuloviz.ingest.write_lock import acquire_write_lock
from nebuloviz.metrics.calendar import add_months, day_of, month_floor
from nebuloviz.metrics.customer_sets import DAYS_AT_ONCE, HOURS, build
from nebuloviz.metrics.kept import FACTS_SINCE, facts_since
from nebuloviz.models import ROLLED_DIMENSIONS, DayVersion, Installation, SaleRow, microseconds
from nebuloviz.services.interfaces.installation import Live

BATCH = 5_000
_GONE = "facts_gone"  # before when the lines are gone already
_SETS = ("", HOURS, *ROLLED_DIMENSIONS)
_DELETE_SOME = text(
    "DELETE FROM sale WHERE rowid IN (SELECT rowid FROM sale WHERE sold_at < :since"
    " AND order_id NOT IN (SELECT order_id FROM spread_order) LIMIT :batch)"
)
_PARTITIONS = text(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'sale'::regclass ORDER BY inhrelid::regclass::text"
)

_log = logging.getLogger(__name__)


class RollOff:
    """Call `step` every few minutes, in any number of processes. `zone` is the installation's, whose days the sums hold."""

    def __init__(self, database: Database, live: Live, zone: ZoneInfo, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._live = live
        self._zone = zone
        self._now = now
        self._seen: datetime | None = None  # since when lines were kept at the last step

    def step(self) -> bool:
        """Settle a later month, or delete some of what was settled before; whether there is more to delete."""
        with self._database.session() as session:
            since, gone = facts_since(session), session.get(Installation, _GONE)
            kept = true() if since is None else SaleRow.sold_at >= since
            oldest = session.scalar(select(func.min(SaleRow.sold_at)).where(kept))
        seen, self._seen = self._seen, since
        if since is not None and (gone is None or gone.value != since.isoformat()):
            return since == seen and self._delete(since)
        wanted = self._wanted()
        if wanted is not None and oldest is not None and oldest < wanted:
            self._settle(wanted)
        return False

    def _wanted(self) -> datetime | None:
        """The beginning of the first month to keep; None where all are."""
        months = self._live().facts_months
        if not months:
            return None
        return datetime.combine(add_months(month_floor(self._now().date()), -months), time(), UTC)

    def _settle(self, since: datetime) -> None:
        """Keep of the days before `since` who bought on them, and let everybody know."""
        with self._database.session() as session:
            days = session.scalars(
                select(DayVersion.day).where(DayVersion.day <= day_of(since, self._zone)).order_by(DayVersion.day)
            ).all()
        runs = [days[first : first + DAYS_AT_ONCE] for first in range(0, len(days), DAYS_AT_ONCE)]
        for run in runs:
            with self._database.transaction() as session:
                _lift_timeout(session)
                for column in _SETS:
                    build(session, column, run, self._zone)
        with self._database.transaction() as session:
            acquire_write_lock(session.connection())
            _lift_timeout(session)
            for run in runs:  # those alone that sales have come for meanwhile
                for column in _SETS:
                    build(session, column, run, self._zone)
            session.merge(Installation(key=FACTS_SINCE, value=since.isoformat()))
        _log.warning("Sale lines before %s will be deleted; their sums stay", f"{since:%Y-%m-%d}")

    def _delete(self, since: datetime) -> bool:
        more = self._delete_some(since) if self._database.is_sqlite else self._drop_month(since)
        if not more:
            with self._database.transaction() as session:
                session.merge(Installation(key=_GONE, value=since.isoformat()))
            _log.warning("Sale lines before %s are gone", f"{since:%Y-%m-%d}")
        return more

    def _delete_some(self, since: datetime) -> bool:
        with self._database.transaction() as session:
            found = session.execute(_DELETE_SOME, {"since": microseconds(since), "batch": BATCH})
            return rows_changed(found) == BATCH

    def _drop_month(self, since: datetime) -> bool:
        """Drop the oldest month's partition, but for the orders that are counted by their lines; whether there was one."""
        first_kept = f"sale_p{since:%Y%m}"
        with self._database.transaction() as session:
            acquire_write_lock(session.connection())
            _lift_timeout(session)
            session.execute(text("SET LOCAL lock_timeout = '2s'"))  # readers wait behind this one; it comes again
            for name in session.scalars(_PARTITIONS):
                if name < first_kept and session.scalar(_dispensable(name)):
                    _drop(session, name)
                    return True
        return False


def _lift_timeout(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))


def _dispensable(partition: str) -> TextClause:
    """Whether it has lines of other orders than those that spread."""
    return text(
        f"SELECT EXISTS (SELECT FROM {partition} s WHERE NOT EXISTS"  # noqa: S608 - a name of our own making
        " (SELECT FROM spread_order o WHERE o.order_id = s.order_id))"
    )


def _drop(session: Session, name: str) -> None:
    bounds = session.scalar(
        text("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}
    )
    kept = f"{name}_kept"
    session.execute(text(f"CREATE TABLE {kept} (LIKE sale INCLUDING ALL)"))
    session.execute(
        text(f"INSERT INTO {kept} SELECT s.* FROM {name} s JOIN spread_order o ON o.order_id = s.order_id")  # noqa: S608 - as above
    )
    session.execute(text(f"DROP TABLE {name}"))
    session.execute(text(f"ALTER TABLE {kept} RENAME TO {name}"))
    session.execute(text(f"ALTER TABLE sale ATTACH PARTITION {name} {bounds}"))
