"""Carries out a plan: exact integers for every measure, span of time and combination of dimension values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics import sql
from nebuloviz.metrics.members import Buyers, column_of, read_sets
from nebuloviz.metrics.planner import FACTS, MEMBERS, Key, Part, Piece, Plan, Reading, Slice, plan
from nebuloviz.metrics.query import REST
from nebuloviz.metrics.spread import counted_twice
from nebuloviz.models import Rollup

MAX_ROWS = 100_000

Cells = dict[Key, dict[str, int]]


@dataclass(frozen=True)
class Answer:
    """`cells` holds, by (number of the span, *dimension values), each measure as a stored integer; what is missing is 0.

    `stale` are the days whose sets of customers by `column` would have been of use, had they been valid.
    """

    plan: Plan
    cells: Cells = field(default_factory=lambda: defaultdict(dict))
    column: str = ""
    stale: set[date] = field(default_factory=set)

    def add(self, key: Key, measure: str, value: int) -> None:
        figures = self.cells[key]
        figures[measure] = figures.get(measure, 0) + value


def measure(session: Session, asked: Slice, zone: ZoneInfo) -> Answer:
    """Measure `asked` exactly. `zone` is that of the installation.

    Raises:
        InvalidQuery: there are more than `MAX_ROWS` figures of a measure.
    """
    answer = Answer(plan(asked, zone), column=column_of(asked))
    for part in answer.plan.parts:
        _MEASURE[part.kind](session, asked, part, zone, answer)
    return replace(answer, cells=dict(answer.cells))


def _sums(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    """The sums; those of the rest are the whole less what is kept, and a smaller rollup tells the whole."""
    kept = replace(asked, other=False)
    dialect = sql.dialect_of(session)
    for key, name, value in _read(session, kept, part, lambda reading: sql.sums(dialect, kept, reading, part.measures)):
        answer.add(key, name, value)
        if asked.other:
            answer.add(_rest(asked, key[0]), name, -value)
    if asked.other:
        whole = replace(asked, dimensions=(), keep=None, other=False, measures=frozenset(part.measures))
        for (span,), figures in measure(session, whole, zone).cells.items():
            for name, value in figures.items():
                answer.add(_rest(asked, span), name, value)


def _orders(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    dialect = sql.dialect_of(session)

    def statement(reading: Reading) -> Any:
        if reading.source == FACTS:
            return sql.distinct(dialect, asked, reading, "order_id")
        return sql.sums(dialect, asked, reading, ("orders",))

    for key, _, value in _read(session, asked, part, statement):
        answer.add(key, "orders", value)
    if any(isinstance(reading.source, Rollup) for reading in part.readings):
        for key, surplus in counted_twice(session, asked, part.readings, zone):
            answer.add(key, "orders", -surplus)


def _customers(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    """From the days' sets, and from facts what they do not hold: parts of days, and days without a valid set."""
    days = next((reading.pieces for reading in part.readings if reading.source == MEMBERS), ())
    buyers = Buyers()
    stale = read_sets(session, asked, days, zone, buyers) if days else {}
    answer.stale.update(stale)
    if buyers.without_sets:
        _count_customers(session, asked, answer)
        return
    edges = [piece for reading in part.readings if reading.source == FACTS for piece in reading.pieces]
    pieces = tuple(sorted([*edges, *stale.values()], key=attrgetter("start")))
    if pieces:
        reading = Reading(FACTS, pieces)
        width = len(asked.columns) + 1
        for row in session.execute(sql.customers(sql.dialect_of(session), asked, reading)):
            buyers.add((pieces[row[0]].span, *row[1:width]), row[-2], row[-1])
    for key, count in buyers.counts():
        answer.add(key, "customers", count)


def _count_customers(session: Session, asked: Slice, answer: Answer) -> None:
    """From facts alone, counted by the database."""
    pieces = tuple(Piece(s.start, s.end, number) for number, s in enumerate(asked.spans) if s.start < s.end)
    part = Part("customers", ("customers",), (Reading(FACTS, pieces),) if pieces else (), "")
    dialect = sql.dialect_of(session)
    found = _read(session, asked, part, lambda reading: sql.distinct(dialect, asked, reading, "customer_id"))
    for key, _, value in found:
        answer.add(key, "customers", value)


_MEASURE: dict[str, Callable[[Session, Slice, Part, ZoneInfo, Answer], None]] = {
    "sums": _sums,
    "orders": _orders,
    "customers": _customers,
}


def _read(
    session: Session, asked: Slice, part: Part, statement: Callable[[Reading], Any]
) -> Iterator[tuple[Key, str, int]]:
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
