"""The oracle: every rollup against a recount from the facts. They must agree in every cell, whatever has happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Select, except_, select, text
from sqlalchemy.orm import Session

from nebuloviz.db import Database, insert
from nebuloviz.ingest.writer import take_turn
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight
from nebuloviz.metrics.rollups import hour_column, recount_select
from nebuloviz.models import MEASURES, ROLLUPS, DayVersion, Rollup

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
    kept = _kept(rollup)
    days = _days(session, zone)
    if not days:
        return [Difference(rollup.name, "rollup", tuple(row)) for row in session.execute(kept.limit(MAX_SHOWN))]
    counted = recount_select(rollup, days, session.get_bind().dialect.name)
    surplus = session.execute(except_(kept, counted).limit(MAX_SHOWN))
    lacking = session.execute(except_(counted, kept).limit(MAX_SHOWN))
    return [
        *(Difference(rollup.name, "rollup", tuple(row)) for row in surplus),
        *(Difference(rollup.name, "recount", tuple(row)) for row in lacking),
    ]


def _kept(rollup: Rollup) -> Select[Any]:
    return select(*(rollup.table.c[name] for name in ("bucket", *rollup.dimensions, *MEASURES)))


def _days(session: Session, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """[start, end) of the days that have facts."""
    hour = hour_column(session.get_bind().dialect.name)
    hours = session.scalars(select(hour).distinct())
    # In a zone with an offset of half-hours an hour may belong to two days
    days = {day_of(moment, zone) for start in hours for moment in (start, start + timedelta(minutes=59))}
    return [(midnight(day, zone), midnight(day + ONE_DAY, zone)) for day in sorted(days)]


def rebuild(database: Database, time_zone: str) -> None:
    """Make all rollups anew from the facts, in one transaction: when the installation's zone has changed, or a cell was wrong."""
    zone = ZoneInfo(time_zone)
    with database.transaction() as session:
        take_turn(session.connection())
        if not database.is_sqlite:
            session.execute(text("SET LOCAL statement_timeout = 0"))
        days = _days(session, zone)
        for rollup in ROLLUPS:
            session.execute(rollup.table.delete())
            if days:
                counted = recount_select(rollup, days, session.get_bind().dialect.name)
                names = ["bucket", *rollup.dimensions, *MEASURES]
                session.execute(rollup.table.insert().from_select(names, counted))
        if days:
            newer = insert(session, DayVersion).on_conflict_do_update(
                index_elements=["day"], set_={"version": DayVersion.version + 1}
            )
            session.execute(newer, [{"day": day_of(start, zone), "version": 1} for start, _ in days])
