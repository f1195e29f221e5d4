"""Who bought on each day: sets of customers as roaring bitmaps, so that distinct customers of any range are counted exactly and fast.

A set is kept per day of the installation's zone and value of one dimension (or hour of the day), and holds each customer's number.
It is made from facts, and is valid only while its version is that of the day: arrivals make it stale without touching it. The
version is read before the facts, so a set is never older than it says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from pyroaring import BitMap
from sqlalchemy import BindParameter, ColumnElement, Date, Row, Select, Text, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of, insert
from nebuloviz.metrics import sql
from nebuloviz.metrics.calendar import ONE_DAY, ONE_HOUR, day_of, hour_ceiling, midnight
from nebuloviz.metrics.planner import FACTS, Key, Piece, Reading, Slice
from nebuloviz.metrics.query import REST, FilterOperator
from nebuloviz.models import CustomerNumber, DayMembers, DayVersion

DAYS_AT_ONCE = 31
HOURS = "hour"  # sets of all customers by UTC hour are filed under this in place of a column
_BUILDERS_LOCK = 7_314_406_107  # any constant that nothing else in the database locks

Missing = tuple[str, date]  # the column whose sets are missing or stale ('' for the total, or `HOURS`), and the day


class DistinctCustomers:
    """Distinct customers by span and dimension values, gathered from sets and from facts."""

    def __init__(self) -> None:
        self._numbered: dict[Key, BitMap] = defaultdict(BitMap)
        self._others: dict[Key, set[str]] = defaultdict(set)

    @property
    def without_sets(self) -> bool:
        """Whether no day's set was of any use."""
        return not self._numbered

    def add_set(self, key: Key, members: bytes) -> None:
        self._numbered[key] |= BitMap.deserialize(members)

    def add(self, key: Key, number: int | None, customer_id: str) -> None:
        """One customer: by number, or by id where none is given yet; then no set holds this customer."""
        if number is None:
            self._others[key].add(customer_id)
        else:
            self._numbered[key].add(number)

    def counts(self) -> Iterator[tuple[Key, int]]:
        for key in self._numbered.keys() | self._others.keys():
            yield key, len(self._numbered.get(key, ())) + len(self._others.get(key, ()))


def column_of(asked: Slice) -> str:
    """The one column that `asked` needs sets by; '' for the total."""
    return next(iter({*asked.columns, *asked.filter_columns}), "")


def read_sets(
    session: Session, asked: Slice, pieces: Sequence[Piece], zone: ZoneInfo, customers: DistinctCustomers
) -> tuple[set[Missing], list[Piece]]:
    """Add the valid sets of the whole days that `pieces` are made of. Returns the days that have none, and what to read of facts."""
    column = column_of(asked)
    timeline = _Timeline(pieces)
    missing: set[Missing] = set()
    left: list[Piece] = []
    for day, built, value, members in _sets(session, column, pieces, zone, asked):
        start = midnight(day, zone)
        piece = timeline.at(start)
        if piece is None:
            continue
        if not built:
            missing.add((column, day))
            left.append(Piece(start, midnight(day + ONE_DAY, zone), piece.span))
        elif members is not None and value is not None:
            customers.add_set(_key(asked, piece.span, value), members)
    return missing, left


def read_hour_sets(
    session: Session, pieces: Sequence[Piece], zone: ZoneInfo, customers: DistinctCustomers
) -> tuple[set[Missing], list[Piece]]:
    """As `read_sets`, of all customers in the whole hours that `pieces` are made of."""
    days: dict[date, dict[str, bytes] | None] = {}
    for day, built, value, members in _sets(session, HOURS, pieces, zone):
        sets = days.setdefault(day, {} if built else None)
        if sets is not None and members is not None and value is not None:
            sets[value] = members
    left: list[Piece] = []
    for piece in pieces:
        hour = piece.start
        while hour < piece.end:
            day, following = day_of(hour, zone), hour + ONE_HOUR
            sets = days.get(day, {})
            if sets is None or midnight(day + ONE_DAY, zone) < following:  # the latter: two days share the hour
                left.append(Piece(hour, following, piece.span))
            elif members := sets.get(_hour_name(hour)):
                customers.add_set((piece.span,), members)
            hour = following
    return {(HOURS, day) for day, sets in days.items() if sets is None}, left


def _sets(
    session: Session, column: str, pieces: Sequence[Piece], zone: ZoneInfo, asked: Slice | None = None
) -> Sequence[Row[date, bool, str | None, bytes | None]]:
    """By day with sales that the pieces touch: whether its sets by `column` are valid, and those of values that `asked` needs.

    Those are the filters', and those kept, as all others are left out or told together.
    """
    values: dict[str, Any] = {"column": column}
    days = _days_of(pieces, zone)
    for number, (first, last) in enumerate(days):
        values[f"first_{number}"], values[f"last_{number}"] = first, last
    filters, keep = (asked.filters, None if asked.other else asked.keep) if asked else ((), None)
    values |= {f"filter_{number}": item.values for number, item in enumerate(filters)}
    if keep is not None:
        values["keep"] = [combination[0] for combination in keep]
    statement = _sets_statement(len(days), tuple(item.op for item in filters), keep is not None)
    return session.connection().execute(statement, values).all()


@lru_cache(maxsize=256)
def _sets_statement(n_days: int, filters: tuple[FilterOperator, ...], keep: bool) -> Select[Any]:  # noqa: FBT001 - a key of what is kept
    version, kept, alias = DayVersion.__table__.c, DayMembers.__table__.c, DayMembers.__table__.alias().c
    column = bindparam("column", type_=Text)
    # Few of a day's values may be wanted, or none that it has: whether the day's sets are made is another question
    built = exists(select(alias.day).where(_valid(alias, version, column))).label("built")
    wanted: list[ColumnElement[bool]] = []
    for number, op in enumerate(filters):
        values: BindParameter[Sequence[str]] = bindparam(f"filter_{number}", expanding=True)
        wanted.append(kept.value.in_(values) if op == "in" else kept.value.not_in(values))
    if keep:
        wanted.append(kept.value.in_(bindparam("keep", expanding=True)))
    valid = and_(_valid(kept, version, column), *wanted)
    found = select(version.day, built, kept.value, kept.members).select_from(DayVersion).outerjoin(DayMembers, valid)
    days = [
        and_(version.day >= bindparam(f"first_{n}", type_=Date), version.day <= bindparam(f"last_{n}", type_=Date))
        for n in range(n_days)
    ]
    return found.where(or_(*days))


def _days_of(pieces: Sequence[Piece], zone: ZoneInfo) -> list[tuple[date, date]]:
    """The first and last days of runs that cover the pieces."""
    runs: list[tuple[date, date]] = []
    for piece in pieces:
        first, last = day_of(piece.start, zone), day_of(piece.end - timedelta(microseconds=1), zone)
        if runs and first <= runs[-1][1] + ONE_DAY:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return runs


def _hour_name(hour: datetime) -> str:
    """How the set of a UTC hour is filed: `2026-11-22T14`."""
    return hour.isoformat()[:13]


def _valid(sets: Any, version: Any, column: str | BindParameter[str]) -> ColumnElement[bool]:
    """That a row of sets, by `column`, is as new as the day."""
    return and_(sets.day == version.day, sets.version == version.version, sets.dimension == column)


class _Timeline:
    """Finds the piece that a moment is in."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._starts = [piece.start for piece in pieces]

    def at(self, moment: datetime) -> Piece | None:
        index = bisect_right(self._starts, moment) - 1
        return self._pieces[index] if index >= 0 and moment < self._pieces[index].end else None


def _key(asked: Slice, span: int, value: str) -> Key:
    if not asked.dimensions:
        return (span,)
    return (span, value if asked.keep is None or (value,) in asked.keep else REST)


def build(session: Session, column: str, days: Sequence[date], zone: ZoneInfo) -> None:
    """Make the sets of `days` (some `DAYS_AT_ONCE`) by `column` ('' for the total, or `HOURS`), in the caller's write transaction.

    New customers get their numbers here. Days without sales, and those whose sets are valid, cost next to nothing.
    """
    if dialect_of(session) == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_BUILDERS_LOCK)))
    version, kept = DayVersion.__table__.c, DayMembers.__table__.c
    valid = exists(select(kept.day).where(_valid(kept, version, column)))
    stale = select(version.day, version.version).where(version.day.in_(days), ~valid)
    # Read before the facts, so that a set is never older than its version says
    versions = {row.day: row.version for row in session.execute(stale.order_by(version.day))}
    if not versions:
        return
    # A day without known customers is built as well: it has one set, which is empty
    sets = {(day, ""): BitMap() for day in versions} | _made(session, column, list(versions), zone)
    rows = [
        {"day": day, "dimension": column, "value": value, "version": versions[day], "members": _serialised(members)}
        for (day, value), members in sets.items()
    ]
    _store(session, rows)


def _made(session: Session, column: str, days: Sequence[date], zone: ZoneInfo) -> dict[tuple[date, str], BitMap]:
    """The sets by day and value."""
    whole = [(day, midnight(day, zone), midnight(day + ONE_DAY, zone)) for day in days]
    filed: list[tuple[date, str]] = []
    pieces: list[Piece] = []
    for day, start, end in whole:
        step = ONE_HOUR if column == HOURS else end - start
        moment = hour_ceiling(start) if column == HOURS else start
        while moment + step <= end:
            filed.append((day, _hour_name(moment) if column == HOURS else ""))
            pieces.append(Piece(moment, moment + step, len(pieces)))
            moment += step
    days_whole = Reading(FACTS, tuple(Piece(start, end, number) for number, (_, start, end) in enumerate(whole)))
    _number_customers(session, days_whole)
    found: dict[tuple[date, str], BitMap] = {}
    by = "" if column == HOURS else column
    for place, value, numbers in sql.members(dialect_of(session), Reading(FACTS, tuple(pieces)), by).run(session):
        day, name = filed[place]
        found[day, name or value] = BitMap(np.fromstring(numbers, dtype=np.uint32, sep=","))
    return found


def _store(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = insert(session, DayMembers)
    newer = DayMembers.version < statement.excluded.version
    changed = {"version": statement.excluded.version, "members": statement.excluded.members}
    keys = ["day", "dimension", "value"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed, where=newer), rows)


def _number_customers(session: Session, reading: Reading) -> None:
    """Give the customers in these pieces a number each, in one go after the largest there is; the caller holds the builders' lock."""
    known = CustomerNumber.__table__.c
    largest = session.scalar(select(func.coalesce(func.max(known.number), -1))) or 0
    found = sql.unnumbered(dialect_of(session), reading).run(session).scalars().all()
    rows = [{"customer_id": found_id, "number": largest + 1 + place} for place, found_id in enumerate(found)]
    if rows:
        session.execute(insert(session, CustomerNumber), rows)


def _serialised(members: BitMap) -> bytes:
    members.run_optimize()
    return members.serialize()
