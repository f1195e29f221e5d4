"""Who bought on each day: sets of customers as roaring bitmaps, so that distinct customers of any range are counted exactly and fast.

A set is kept per day of the installation's zone and value of one dimension, and holds each customer's number. It is made from
facts, and is valid only while its version is that of the day: arrivals make it stale without touching it. The version is read
before the facts, so a set is never older than it says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from pyroaring import BitMap
from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from nebuloviz.metrics import sql
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight
from nebuloviz.metrics.planner import FACTS, Key, Piece, Reading, Slice
from nebuloviz.metrics.query import REST
from nebuloviz.metrics.sql import dialect_of
from nebuloviz.models import CustomerNumber, DayMembers, DayVersion

DAYS_AT_ONCE = 31
_BUILDERS_LOCK = 7_314_406_107  # any constant that nothing else in the database locks


class Buyers:
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
    session: Session, asked: Slice, pieces: Sequence[Piece], zone: ZoneInfo, buyers: Buyers
) -> dict[date, Piece]:
    """Add the valid sets of the days that `pieces` are made of. Returns the days that have none, with what is to be read of each."""
    column, span_of = column_of(asked), _Spans(pieces, zone)
    first, last = day_of(pieces[0].start, zone), day_of(pieces[-1].end, zone)
    version, kept, alias = DayVersion.__table__.c, DayMembers.__table__.c, DayMembers.__table__.alias().c
    # `asked` may need few of a day's values, or none that it has: whether the day's sets are made is another question
    built = exists(select(alias.day).where(_valid(alias, version, column))).label("built")
    wanted = and_(_valid(kept, version, column), *_wanted_values(asked))
    found = select(version.day, built, kept.value, kept.members).select_from(DayVersion).outerjoin(DayMembers, wanted)
    stale: dict[date, Piece] = {}
    for day, is_built, value, members in session.execute(found.where(version.day >= first, version.day < last)):
        span = span_of(day)
        if span is not None and not is_built:
            stale[day] = Piece(midnight(day, zone), midnight(day + ONE_DAY, zone), span)
        elif span is not None and members is not None:
            buyers.add_set(_key(asked, span, value), members)
    return stale


def _valid(sets: Any, version: Any, column: str) -> ColumnElement[bool]:
    """That a row of sets, by `column`, is as new as the day."""
    return and_(sets.day == version.day, sets.version == version.version, sets.dimension == column)


class _Spans:
    """The span that a day belongs to; None for one that no piece holds."""

    def __init__(self, pieces: Sequence[Piece], zone: ZoneInfo) -> None:
        self._pieces = pieces
        self._starts = [piece.start for piece in pieces]
        self._zone = zone

    def __call__(self, day: date) -> int | None:
        start = midnight(day, self._zone)
        index = bisect_right(self._starts, start) - 1
        return self._pieces[index].span if index >= 0 and start < self._pieces[index].end else None


def _wanted_values(asked: Slice) -> list[ColumnElement[bool]]:
    """Which values' sets are needed: the filters', and those kept, as all others are left out or told together."""
    value = DayMembers.__table__.c.value
    wanted: list[ColumnElement[bool]] = [
        value.in_(f.values) if f.op == "in" else value.not_in(f.values) for f in asked.filters
    ]
    if asked.keep is not None and not asked.other:
        wanted.append(value.in_([combination[0] for combination in asked.keep]))
    return wanted


def _key(asked: Slice, span: int, value: str) -> Key:
    if not asked.dimensions:
        return (span,)
    return (span, value if asked.keep is None or (value,) in asked.keep else REST)


def build(session: Session, column: str, days: Sequence[date], zone: ZoneInfo) -> None:
    """Make the sets of `days` by `column` ('' for the total) from facts, in the caller's write transaction; some `DAYS_AT_ONCE`.

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
    ordered = list(versions)
    pieces = tuple(Piece(midnight(d, zone), midnight(d + ONE_DAY, zone), n) for n, d in enumerate(ordered))
    _number_customers(session, pieces)
    sets = {(day, ""): BitMap() for day in ordered}  # a day without known customers is built as well
    for place, value, numbers in session.execute(sql.members(dialect_of(session), Reading(FACTS, pieces), column)):
        sets[ordered[place], value] = BitMap(np.fromstring(numbers, dtype=np.uint32, sep=","))
    rows = [
        {"day": day, "dimension": column, "value": value, "version": versions[day], "members": _serialised(members)}
        for (day, value), members in sets.items()
    ]
    _store(session, rows)


def _store(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = _insert(session)(DayMembers)
    newer = DayMembers.version < statement.excluded.version
    changed = {"version": statement.excluded.version, "members": statement.excluded.members}
    keys = ["day", "dimension", "value"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed, where=newer), rows)


def _number_customers(session: Session, pieces: Sequence[Piece]) -> None:
    """Give the customers of these days a number each, in one go after the largest there is; the caller holds the builders' lock."""
    known = CustomerNumber.__table__.c
    largest = session.scalar(select(func.coalesce(func.max(known.number), -1))) or 0
    found = session.scalars(sql.unnumbered(dialect_of(session), Reading(FACTS, tuple(pieces)))).all()
    rows = [{"customer_id": found_id, "number": largest + 1 + place} for place, found_id in enumerate(found)]
    if rows:
        session.execute(_insert(session)(CustomerNumber), rows)


def _serialised(members: BitMap) -> bytes:
    members.run_optimize()
    return members.serialize()


def _insert(session: Session) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases spell alike and SQLAlchemy keeps in two classes."""
    return sqlite_insert if dialect_of(session) == "sqlite" else postgresql_insert
