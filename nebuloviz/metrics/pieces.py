"""Which piece of time a row belongs to: PostgreSQL searches a sorted array, SQLite walks the pieces along its index.

Pieces that are all whole hours are reckoned from the row's hour, in both. What a statement says of pieces depends on their number and
kind alone; the moments are values of its parameters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from nebuloviz.metrics.calendar import ONE_HOUR, hour_floor
from nebuloviz.metrics.planner import Piece, Reading
from nebuloviz.models import UtcDateTime, microseconds

Expression = ColumnElement[Any]

_HOUR = 3_600_000_000  # microseconds


class Read(NamedTuple):
    """A reading but for its moments: its table, its place among the readings of a statement, and how many stretches it has.

    Without stretches it is one piece; `hourly`: each piece is one whole hour.
    """

    table: str
    number: int = 0
    stretches: int = 0
    hourly: bool = False


def by_piece(
    dialect: str, table: Table, time: Column[Any], read: Read
) -> tuple[FromClause, Expression, list[Expression]]:
    """What to select from, the index of a row's piece, and the conditions that keep it within the pieces."""
    if not read.stretches:
        return table, literal_column("0", Integer), [within(time, read)]
    if read.hourly:
        return table, _piece_by_hour(dialect, time, read), [within(time, read)]
    if dialect == "sqlite":
        return _walked_in_sqlite(table, time, read)
    return table, _piece_in_postgresql(time, read), [within(time, read)]


def _piece_in_postgresql(time: Column[Any], read: Read) -> Expression:
    """Found in a sorted array; joining the pieces instead leaves the planner to guess, and it guesses full scans."""
    # As one text, because a driver takes its time over thousands of moments
    listed = bindparam(f"edges_{read.number}", type_=Text)
    # Of a query of its own, which is answered once; where a driver sends the text apart, it would be read again for every row
    array = select(cast(listed, ARRAY(DateTime(timezone=True)))).scalar_subquery()
    return (func.width_bucket(time, array, type_=Integer) - 1) // literal_column("2", Integer)


def _piece_by_hour(dialect: str, time: Column[Any], read: Read) -> Expression:
    """The hours since 1970, less those before the stretch that are no pieces."""
    if dialect == "sqlite":
        hour = type_coerce(time, BigInteger) // literal_column(str(_HOUR), BigInteger)
    else:
        hour = cast(func.floor(func.date_part("epoch", time) / literal_column("3600.0")), Integer)
    skipped = [bindparam(f"skipped_{read.number}_{place}", type_=Integer) for place in range(read.stretches)]
    if len(skipped) == 1:
        return hour - skipped[0]
    later = [(time >= moment(f"start_{read.number}_{place}"), skipped[place]) for place in range(1, read.stretches)]
    return hour - case(*reversed(later), else_=skipped[0])


def within(time: Column[Any], read: Read) -> Expression:
    """That a moment is in one of the stretches."""
    names = [f"{read.number}_{place}" for place in range(max(read.stretches, 1))]
    return or_(*(and_(time >= moment(f"start_{name}"), time < moment(f"end_{name}")) for name in names))


def moment(name: str) -> Expression:
    """A parameter of this name."""
    return bindparam(name, type_=UtcDateTime)


def _walked_in_sqlite(table: Table, time: Column[Any], read: Read) -> tuple[FromClause, Expression, list[Expression]]:
    listed = func.json_each(bindparam(f"edges_{read.number}", type_=Text)).table_valued("value")
    number, start, end = (func.json_extract(listed.c.value, f"$[{i}]", type_=BigInteger) for i in range(3))
    walked = select(number.label("number"), start.label("start"), end.label("end")).cte()
    raw = type_coerce(time, BigInteger)  # microseconds, as they are stored
    on = and_(raw >= walked.c.start, raw < walked.c.end)
    return walked.join(table, on), walked.c.number, []


# ---------------------------------------------------------------- the moments of a reading, as values of parameters


def moments(
    dialect: str, readings: Sequence[Reading], *, apart: bool = True
) -> tuple[tuple[Read, ...], dict[str, Any]]:
    """What is kept of the readings, and their moments; where pieces are not told `apart`, there are but stretches."""
    reads: list[Read] = []
    values: dict[str, Any] = {}
    offset = 0
    for number, reading in enumerate(readings):
        pieces = reading.pieces
        one = len(pieces) == 1
        stretches = [(pieces[0].start, pieces[0].end)] if one else _stretches(pieces)
        for place, (start, end) in enumerate(stretches):
            values[f"start_{number}_{place}"], values[f"end_{number}_{place}"] = start, end
        hourly = apart and not one and _hourly(pieces)
        if hourly:
            values.update(_skipped_hours(number, stretches))
        elif apart and not one:
            values[f"edges_{number}"] = _edges_of[dialect](pieces)
        values[f"offset_{number}"] = offset
        offset += len(pieces)
        reads.append(Read(reading.name, number, 0 if one else len(stretches), hourly))
    return tuple(reads), values


def _stretches(pieces: Sequence[Piece]) -> list[tuple[datetime, datetime]]:
    """Where pieces follow one another without a gap, they are one."""
    starts, ends = [pieces[0].start], []
    for before, after in pairwise(pieces):
        if before.end != after.start:
            ends.append(before.end)
            starts.append(after.start)
    return list(zip(starts, [*ends, pieces[-1].end], strict=True))


def _hourly(pieces: Sequence[Piece]) -> bool:
    return all(end - start == ONE_HOUR and hour_floor(start) is start for start, end, _ in pieces)


def _skipped_hours(number: int, stretches: Sequence[tuple[datetime, datetime]]) -> dict[str, int]:
    """What to take off an hour's number since 1970, in each stretch, to have that of its piece."""
    values: dict[str, int] = {}
    pieces = 0
    for place, (start, end) in enumerate(stretches):
        values[f"skipped_{number}_{place}"] = microseconds(start) // _HOUR - pieces
        pieces += (end - start) // ONE_HOUR
    return values


def _edges_for_postgresql(pieces: Sequence[Piece]) -> str:
    texts: list[str] = []
    last, spelt = None, ""
    for start, end, _ in pieces:
        first = spelt if start == last else start.isoformat()  # most begin where the one before has ended
        last, spelt = end, end.isoformat()
        texts += first, spelt
    return "{" + ",".join(texts) + "}"


def _edges_for_sqlite(pieces: Sequence[Piece]) -> str:
    return json.dumps([[number, microseconds(p.start), microseconds(p.end)] for number, p in enumerate(pieces)])


_edges_of = {"postgresql": _edges_for_postgresql, "sqlite": _edges_for_sqlite}
