"""Carries out a plan: exact integers for every measure, span of time and combination of dimension values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics import sql
from nebuloviz.metrics.planner import FACTS, Key, Part, Piece, Plan, Reading, Slice, plan
from nebuloviz.metrics.query import REST
from nebuloviz.metrics.spread import counted_twice
from nebuloviz.models import Rollup

MAX_ROWS = 100_000

Cells = dict[Key, dict[str, int]]
_Figures = Iterator[tuple[Key, str, int]]


@dataclass(frozen=True)
class Answer:
    """`cells` holds, by (number of the span, *dimension values), each measure as a stored integer; what is missing is 0."""

    cells: Cells
    plan: Plan


def measure(session: Session, asked: Slice, zone: ZoneInfo) -> Answer:
    """Measure `asked` exactly. `zone` is that of the installation."""
    chosen = plan(asked, zone)
    cells: Cells = defaultdict(dict)
    for part in chosen.parts:
        for key, name, value in _FIGURES[part.kind](session, asked, part, zone):
            cells[key][name] = cells[key].get(name, 0) + value
    return Answer(dict(cells), chosen)


def _sums(session: Session, asked: Slice, part: Part, zone: ZoneInfo) -> _Figures:
    """The sums; those of the rest are the whole less what is kept, and a smaller rollup tells the whole."""
    kept = replace(asked, other=False)
    dialect = dialect_of(session)
    for key, name, value in _read(session, kept, part, lambda reading: sql.sums(dialect, kept, reading, part.measures)):
        yield key, name, value
        if asked.other:
            yield _rest(asked, key[0]), name, -value
    if asked.other:
        whole = replace(asked, dimensions=(), keep=None, other=False, measures=frozenset(part.measures))
        for (span,), figures in measure(session, whole, zone).cells.items():
            yield from ((_rest(asked, span), name, value) for name, value in figures.items())


def _orders(session: Session, asked: Slice, part: Part, zone: ZoneInfo) -> _Figures:
    dialect = dialect_of(session)

    def statement(reading: Reading) -> Any:
        if reading.source == FACTS:
            return sql.distinct(dialect, asked, reading, "order_id")
        return sql.sums(dialect, asked, reading, ("orders",))

    for key, _, value in _read(session, asked, part, statement):
        yield key, "orders", value
    if any(isinstance(reading.source, Rollup) for reading in part.readings):
        for key, surplus in counted_twice(session, asked, part.readings, zone):
            yield key, "orders", -surplus


def _customers(session: Session, asked: Slice, part: Part, _zone: ZoneInfo) -> _Figures:
    dialect = dialect_of(session)
    pieces = tuple(Piece(s.start, s.end, n) for n, s in enumerate(asked.spans) if s.start < s.end)
    from_facts = replace(part, readings=(Reading(FACTS, pieces),))
    found = _read(session, asked, from_facts, lambda reading: sql.distinct(dialect, asked, reading, "customer_id"))
    yield from ((key, "customers", value) for key, _, value in found)


_FIGURES: dict[str, Callable[[Session, Slice, Part, ZoneInfo], _Figures]] = {
    "sums": _sums,
    "orders": _orders,
    "customers": _customers,
}


def dialect_of(session: Session) -> str:
    """`postgresql` or `sqlite`."""
    return session.get_bind().dialect.name


def _read(session: Session, asked: Slice, part: Part, statement: Callable[[Reading], Any]) -> _Figures:
    """What the statement of each reading gives, by span and dimension values."""
    width = len(asked.columns) + 1
    for reading in part.readings:
        result = session.execute(statement(reading).limit(MAX_ROWS + 1))
        names = tuple(result.keys())[width:]
        rows = result.all()
        if len(rows) > MAX_ROWS:
            raise InvalidQuery(f"The answer has more than {MAX_ROWS:,} rows; choose a coarser grain, or a limit.")
        for row in rows:
            key = (reading.pieces[row[0]].span, *row[1:width])
            for name, value in zip(names, row[width:], strict=True):
                yield key, name, value or 0


def _rest(asked: Slice, span: int) -> Key:
    return (span, *(REST for _ in asked.dimensions))
