"""Who bought on each day: sets of customers as roaring bitmaps, so that distinct customers of any range are counted exactly and fast.

A set is kept per day of the installation's zone and value of one dimension (or hour of the day), and holds each customer's number.
It is made from facts, as of the day's version: arrivals make it old without touching it. What it lacks then is read from the
moment on that the arrivals since began at; where that is not known, the set is of no use. The version is read before the facts, so
a set is never older than it says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from pyroaring import BitMap
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Date,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of, insert
from nebuloviz.metrics import sql
from nebuloviz.metrics.calendar import ONE_DAY, ONE_HOUR, day_of, hour_ceiling, hour_floor, midnight
from nebuloviz.metrics.kept import facts_since
from nebuloviz.metrics.planner import FACTS, Key, Piece, Reading, Slice
from nebuloviz.metrics.query import REST, FilterOperator
from nebuloviz.models import CustomerNumber, DayArrival, DayMembers, DayVersion

DAYS_AT_ONCE = 31
HOURS = "hour"  # sets of all customers by UTC hour are filed under this in place of a column
_BUILDERS_LOCK = 7_314_406_107  # any constant that nothing else in the database locks

Missing = tuple[str, date]  # the column whose sets are missing or old ('' for the total, or `HOURS`), and the day


class _Day(NamedTuple):
    """A day's sets by value, with their members as stored, and from where on they lack sales; None where they lack none."""

    sets: dict[str, bytes]
    since: datetime | None


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
    """Add the sets of the whole days that `pieces` are made of.

    Returns the days whose sets are missing or old, and what to read of facts. Where sales are stored between the two, the figure may
    count some of them and not others; their day's version has changed by then, so it is made again.
    """
    column = column_of(asked)
    timeline = _Timeline(pieces)
    missing: set[Missing] = set()
    left: list[Piece] = []
    for day, known in _sets(session, column, pieces, zone, asked).items():
        start, end = midnight(day, zone), midnight(day + ONE_DAY, zone)
        piece = timeline.at(start)
        if piece is None:
            continue
        for value, members in known.sets.items() if known else ():
            customers.add_set(_key(asked, piece.span, value), members)
        if known is None or known.since is not None:
            missing.add((column, day))
            left.append(Piece(max(start, known.since) if known and known.since else start, end, piece.span))
    return missing, left


def read_hour_sets(
    session: Session, pieces: Sequence[Piece], zone: ZoneInfo, customers: DistinctCustomers
) -> tuple[set[Missing], list[Piece]]:
    """As `read_sets`, of all customers in the whole hours that `pieces` are made of."""
    days = _sets(session, HOURS, pieces, zone)
    left: list[Piece] = []
    for piece in pieces:
        hour = piece.start
        while hour < piece.end:
            day, following = day_of(hour, zone), hour + ONE_HOUR
            known = days.get(day, _Day({}, None))
            if known is None or midnight(day + ONE_DAY, zone) < following:  # the latter: two days share the hour
                left.append(Piece(hour, following, piece.span))
            else:
                if members := known.sets.get(_hour_name(hour)):
                    customers.add_set((piece.span,), members)
                if known.since is not None and known.since < following:
                    left.append(Piece(max(hour, known.since), following, piece.span))
            hour = following
    return {(HOURS, day) for day, known in days.items() if known is None or known.since is not None}, left


def _sets(
    session: Session, column: str, pieces: Sequence[Piece], zone: ZoneInfo, asked: Slice | None = None
) -> dict[date, _Day | None]:
    """By day with sales that the pieces touch: its sets by `column`, of the values that `asked` needs; None where none are of use.

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
    found: dict[date, _Day | None] = {}
    for day, since, of_use, value, members in session.connection().execute(statement, values).all():
        known = found.setdefault(day, _Day({}, since) if of_use else None)
        if known is not None and value is not None:
            known.sets[value] = members
    return found


@lru_cache(maxsize=256)
def _sets_statement(n_days: int, filters: tuple[FilterOperator, ...], keep: bool) -> Select[Any]:  # noqa: FBT001 - a key of what is kept
    version, kept = DayVersion.__table__.c, DayMembers.__table__.c
    column = bindparam("column", type_=Text)
    # Few of a day's values may be wanted, or none that it has: whether the day's sets are made is another question
    total = DayMembers.__table__.alias()
    of_total = and_(total.c.day == version.day, total.c.dimension == column, total.c.value == "")
    made = total.c.version
    wanted: list[ColumnElement[bool]] = []
    for number, op in enumerate(filters):
        values: BindParameter[Sequence[str]] = bindparam(f"filter_{number}", expanding=True)
        wanted.append(kept.value.in_(values) if op == "in" else kept.value.not_in(values))
    if keep:
        wanted.append(kept.value.in_(bindparam("keep", expanding=True)))
    of_day = and_(kept.day == version.day, kept.dimension == column, kept.version == made, *wanted)
    found = select(version.day, *_lack_of(version, made), kept.value, kept.members)
    found = found.select_from(DayVersion).outerjoin(total, of_total)
    days = [
        and_(version.day >= bindparam(f"first_{n}", type_=Date), version.day <= bindparam(f"last_{n}", type_=Date))
        for n in range(n_days)
    ]
    return found.outerjoin(DayMembers, of_day).where(or_(*days))


def _made_as_of(day: ColumnElement[date], column: str | BindParameter[str]) -> ColumnElement[int | None]:
    """As of which version the day's sets by `column` are; the one of '' is always among them."""
    table = DayMembers.__table__.alias()
    total = table.c
    made = select(total.version).where(total.day == day, total.dimension == column, total.value == "")
    return made.correlate_except(table).scalar_subquery()  # it stands in subqueries of subqueries


class _Lack(NamedTuple):
    """From which moment on sets lack sales of their day (NULL: none), and whether all that came since is known."""

    since: ColumnElement[datetime | None]
    of_use: ColumnElement[bool]


def _lack_of(version: Any, made: ColumnElement[int | None]) -> _Lack:
    arrival = DayArrival.__table__.alias().c
    later = (arrival.day == version.day, arrival.version > made, arrival.version <= version.version)
    since = select(func.min(arrival.since)).where(*later).scalar_subquery()
    number = select(func.count()).where(*later).scalar_subquery()
    new = made == version.version  # most are: nobody looks for arrivals then
    return _Lack(
        case((new, null()), else_=since).label("since"),
        case((new, true()), else_=version.version == made + number).label("of_use"),
    )


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

    New customers get their numbers here. Days without sales, and those whose sets lack nothing, cost next to nothing; of those that
    lack something no more sale lines are read than that. Sets that cannot be made any more, as lines of the day have been deleted,
    stay as they are.
    """
    if dialect_of(session) == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_BUILDERS_LOCK)))
    version = DayVersion.__table__.c
    made = _made_as_of(version.day, column)
    # Read before the facts, so that a set is never older than its version says
    stale = select(version.day, version.version, *_lack_of(version, made)).where(
        version.day.in_(days), func.coalesce(made, -1) != version.version
    )
    kept_since = facts_since(session)
    found = [
        row
        for row in session.execute(stale.order_by(version.day))
        if row.of_use or kept_since is None or midnight(row.day, zone) >= kept_since
    ]
    if not found:
        return
    sets = _known(session, column, [row.day for row in found if row.of_use])
    starts = {
        row.day: max(row.since, midnight(row.day, zone)) if row.of_use and row.since else midnight(row.day, zone)
        for row in found
    }
    for key, members in _made(session, column, starts, zone).items():
        sets[key] = sets.get(key, BitMap()) | members
    for row in found:  # a day without known customers is built as well: it has one set, which is empty
        sets.setdefault((row.day, ""), BitMap())
    versions = {row.day: row.version for row in found}
    rows = [
        {"day": day, "dimension": column, "value": value, "version": versions[day], "members": _serialised(members)}
        for (day, value), members in sets.items()
    ]
    _store(session, rows)


def _known(session: Session, column: str, days: Sequence[date]) -> dict[tuple[date, str], BitMap]:
    """The sets of these days that there are, by day and value."""
    kept = DayMembers.__table__.c
    there = select(kept.day, kept.value, kept.members).where(
        kept.day.in_(days), kept.dimension == column, kept.version == _made_as_of(kept.day, column)
    )
    return {(day, value): BitMap.deserialize(members) for day, value, members in session.execute(there)}


def _made(
    session: Session, column: str, starts: Mapping[date, datetime], zone: ZoneInfo
) -> dict[tuple[date, str], BitMap]:
    """The sets by day and value, of what was sold from each day's start on; those of hours are of whole ones."""
    whole = [(day, start, midnight(day + ONE_DAY, zone)) for day, start in starts.items()]
    filed: list[tuple[date, str]] = []
    pieces: list[Piece] = []
    for day, start, end in whole:
        step = ONE_HOUR if column == HOURS else end - start
        moment = max(hour_floor(start), hour_ceiling(midnight(day, zone))) if column == HOURS else start
        while moment + step <= end:
            filed.append((day, _hour_name(moment) if column == HOURS else ""))
            pieces.append(Piece(moment, moment + step, len(pieces)))
            moment += step
    parts = Reading(FACTS, tuple(Piece(start, end, number) for number, (_, start, end) in enumerate(whole)))
    _number_customers(session, parts)
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
