"""The oracle: every rollup against a recount from the facts. They must agree in every cell, whatever has happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, delete, except_, func, select, text, true, update
from sqlalchemy.orm import Session

from nebuloviz.db import Database, dialect_of, insert
from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.installation import TIME_ZONE
from nebuloviz.ingest.write_lock import acquire_write_lock
from nebuloviz.metrics.calendar import ONE_DAY, day_ceiling, day_of, midnight, monday_ceiling, monday_floor
from nebuloviz.metrics.kept import facts_since
from nebuloviz.metrics.rollups import hour_column, recount_select, span_rows
from nebuloviz.models import MEASURES, ROLLUPS, DayMembers, DayVersion, Installation, Rollup, SaleRow, SpreadOrder

MAX_SHOWN = 1_000


class Difference(NamedTuple):
    """A row that only one side has: its rollup, which side, its key and its measures."""

    rollup: str
    only_in: Literal["rollup", "recount"]
    row: tuple[Any, ...]


def differences(database: Database, time_zone: str) -> list[Difference]:
    """All rows in which a rollup and its recount differ, at most `MAX_SHOWN` a rollup and side; empty is what it must be.

    `time_zone` is the installation's, by whose days the daily rollups are kept. Reads every fact once a rollup.
    """
    with database.session() as session:
        if not database.is_sqlite:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return [found for rollup in ROLLUPS for found in _differences(session, rollup, ZoneInfo(time_zone))]


def _differences(session: Session, rollup: Rollup, zone: ZoneInfo) -> list[Difference]:
    kept, spans = _kept(rollup, _since(session, rollup, zone)), _spans(session, rollup, zone)
    if not spans:
        return [Difference(rollup.name, "rollup", tuple(row)) for row in session.execute(kept.limit(MAX_SHOWN))]
    counted = recount_select(rollup, spans, dialect_of(session))
    surplus = session.execute(except_(kept, counted).limit(MAX_SHOWN))
    lacking = session.execute(except_(counted, kept).limit(MAX_SHOWN))
    return [
        *(Difference(rollup.name, "rollup", tuple(row)) for row in surplus),
        *(Difference(rollup.name, "recount", tuple(row)) for row in lacking),
    ]


def _kept(rollup: Rollup, since: datetime | None) -> Select[Any]:
    cells = select(*(rollup.table.c[name] for name in ("bucket", *rollup.dimensions, *MEASURES)))
    return cells if since is None else cells.where(rollup.table.c.bucket >= since)


def _since(session: Session, rollup: Rollup, zone: ZoneInfo) -> datetime | None:
    """The first bucket of which no line has been deleted; None where none has of any. Hours are recounted by whole days."""
    since = facts_since(session)
    if since is None:
        return None
    return monday_ceiling(since, zone) if rollup.grain == "week" else day_ceiling(since, zone)


def _days(session: Session, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """[start, end) of the days that have facts, all of them."""
    since = facts_since(session)
    kept = true() if since is None else SaleRow.sold_at >= since
    hours = session.scalars(select(hour_column(dialect_of(session))).where(kept).distinct())
    # In a zone with an offset of half-hours an hour may belong to two days
    days = {day_of(moment, zone) for start in hours for moment in (start, start + timedelta(minutes=59))}
    spans = [(midnight(day, zone), midnight(day + ONE_DAY, zone)) for day in sorted(days)]
    return [(start, end) for start, end in spans if since is None or start >= since]


def _spans(session: Session, rollup: Rollup, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """What a recount of the rollup goes by: the days that have facts, or the weeks that they lie in."""
    days = _days(session, zone)
    if rollup.grain != "week":
        return days
    since = _since(session, rollup, zone)
    mondays = sorted({day_of(monday_floor(start, zone), zone) for start, _ in days})
    weeks = [(midnight(monday, zone), midnight(monday + 7 * ONE_DAY, zone)) for monday in mondays]
    return [(start, end) for start, end in weeks if since is None or start >= since]


def rebuild(database: Database, time_zone: str) -> None:
    """Make all rollups anew from the facts, in one transaction: for another zone of the installation, or where a cell was wrong.

    Nothing else may write meanwhile that still goes by the days of the old zone.

    Raises:
        InvalidInput: it is another zone, and lines have been deleted whose sums hold the days of the old one.
    """
    zone = ZoneInfo(time_zone)
    with database.transaction() as session:
        acquire_write_lock(session.connection())
        if not database.is_sqlite:
            session.execute(text("SET LOCAL statement_timeout = 0"))
        moved = _moves(session, time_zone)
        days = _days(session, zone)
        session.merge(Installation(key=TIME_ZONE, value=time_zone))
        for rollup in ROLLUPS:
            since, spans = _since(session, rollup, zone), _spans(session, rollup, zone)
            session.execute(rollup.table.delete().where(true() if since is None else rollup.table.c.bucket >= since))
            if spans:
                counted = recount_select(rollup, spans, dialect_of(session))
                names = ["bucket", *rollup.dimensions, *MEASURES]
                session.execute(rollup.table.insert().from_select(names, counted))
        if moved:  # what is known of the days of the old zone is not so of those that bear their names
            session.execute(delete(DayMembers))
            session.execute(update(DayVersion).values(version=DayVersion.version + 1))
        if days:
            _note_spread_orders(session, days)
            newer = insert(session, DayVersion).on_conflict_do_update(
                index_elements=["day"], set_={"version": DayVersion.version + 1}
            )
            session.execute(newer, [{"day": day_of(start, zone), "version": 1} for start, _ in days])


def _moves(session: Session, time_zone: str) -> bool:
    """Whether the days will be other ones; an error where they cannot."""
    settled = session.get(Installation, TIME_ZONE)
    if settled is None or settled.value == time_zone:
        return False
    if facts_since(session) is not None:
        message = (
            f"Old sale lines have been deleted, and their daily sums hold the days of {settled.value}: the time zone of this "
            "installation cannot change any more."
        )
        raise InvalidInput(message)
    return True


def _note_spread_orders(session: Session, days: list[tuple[datetime, datetime]]) -> None:
    """The orders with lines on several days; where a day of the zone begins within an hour, the hour alone does not tell."""
    spans = span_rows(days)
    inside = (SaleRow.sold_at >= spans.c.start) & (SaleRow.sold_at < spans.c.end)
    spread = (
        select(SaleRow.order_id)
        .select_from(spans)
        .join(SaleRow, inside)
        .group_by(SaleRow.order_id)
        .having(func.count(spans.c.start.distinct()) > 1)
    )
    session.execute(insert(session, SpreadOrder).from_select(["order_id"], spread).on_conflict_do_nothing())
