"""Carries out a plan: exact integers for every measure, span of time and combination of dimension values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.metrics import sql
from nebuloviz.metrics.customer_sets import DistinctCustomers, Missing, read_hour_sets, read_sets
from nebuloviz.metrics.kept import Standing, demand_facts
from nebuloviz.metrics.planner import FACTS, HOUR_MEMBERS, MEMBERS, Key, Part, Piece, Plan, Reading, Slice, plan
from nebuloviz.metrics.query import REST
from nebuloviz.metrics.spread import counted_twice
from nebuloviz.metrics.sql import MAX_ROWS

Cells = dict[Key, dict[str, int]]


@dataclass(frozen=True)
class Answer:
    """`cells` holds, by (number of the span, *dimension values), each measure as a stored integer; what is missing is 0.

    `missing` are the sets of customers that would have been of use, had they been there and new.
    """

    plan: Plan
    standing: Standing
    cells: Cells = field(default_factory=lambda: defaultdict(dict))
    missing: set[Missing] = field(default_factory=set)

    def add(self, key: Key, figures: Mapping[str, int], sign: int = 1) -> None:
        known = self.cells[key]
        if not known and sign > 0:
            known.update(figures)
            return
        for measure, value in figures.items():
            known[measure] = known.get(measure, 0) + sign * value


def measure(session: Session, asked: Slice, zone: ZoneInfo, standing: Standing | None = None) -> Answer:
    """Measure `asked` exactly. `zone` is that of the installation; `standing` spares it from being read again.

    Raises:
        InvalidQuery: there are more than `MAX_ROWS` figures of a measure; it would take sale lines that have been deleted.
    """
    answer = Answer(plan(asked, zone), standing or Standing(session))
    for part in answer.plan.parts:
        if not part.readings:  # spans that hold no time
            continue
        demand_facts(answer.standing, _facts_of(part))
        _MEASURE[part.kind](session, asked, part, zone, answer)
    return replace(answer, cells=dict(answer.cells))


def _facts_of(part: Part) -> list[Piece]:
    return [piece for reading in part.readings if reading.source == FACTS for piece in reading.pieces]


def _sums(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    """The sums; those of the rest are the whole less what is kept, and a smaller rollup tells the whole."""
    wholes: tuple[Reading, ...] = ()
    if asked.other:
        whole = replace(asked, dimensions=(), keep=None, other=False, measures=frozenset(part.measures))
        wholes = plan(whole, zone).parts[0].readings
    kept = replace(asked, other=False)
    statement = sql.sums(dialect_of(session), kept, part.readings, part.measures, wholes)
    for key, figures in _read(session, kept, (*part.readings, *wholes), statement):
        answer.add(key, figures)
        if asked.other and key != _rest(asked, key[0]):
            answer.add(_rest(asked, key[0]), figures, -1)
    if "orders" in part.measures:
        _take_off_surplus(session, asked, part, zone, answer)


def _orders(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    dialect = dialect_of(session)
    if part.rolled:
        statement = sql.sums(dialect, asked, part.readings, ("orders",))
    else:
        statement = sql.distinct(dialect, asked, part.readings[0], "orders")
    for key, figures in _read(session, asked, part.readings, statement):
        answer.add(key, figures)
    if part.rolled:
        _take_off_surplus(session, asked, part, zone, answer)


def _take_off_surplus(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    if not answer.standing.orders_spread:
        return
    for key, surplus in counted_twice(session, asked, part.readings, zone):
        answer.add(key, {"orders": surplus}, -1)


def _customers(session: Session, asked: Slice, part: Part, zone: ZoneInfo, answer: Answer) -> None:
    """From the sets of days and hours, and from facts what they do not hold: parts of hours, and days without such sets."""
    pieces = {reading.source: reading.pieces for reading in part.readings}
    customers = DistinctCustomers()
    left = list(pieces.get(FACTS, ()))
    if days := pieces.get(MEMBERS):
        missing, stale = read_sets(session, asked, days, zone, customers)
        answer.missing.update(missing)
        left += stale
    if hours := pieces.get(HOUR_MEMBERS):
        missing, stale = read_hour_sets(session, hours, zone, customers)
        answer.missing.update(missing)
        left += stale
    demand_facts(answer.standing, left)
    if left and customers.without_sets:
        _count_customers(session, asked, answer)
        return
    if left:
        reading = Reading(FACTS, _joined(left))
        width = len(asked.columns) + 1
        for row in sql.customers(dialect_of(session), asked, reading).run(session).all():
            customers.add((reading.pieces[row[0]].span, *row[1:width]), row[-2], row[-1])
    for key, count in customers.counts():
        answer.add(key, {"customers": count})


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """In order of time, neighbours of one span as one."""
    found: list[Piece] = []
    for piece in sorted(pieces, key=attrgetter("start")):
        if found and found[-1].end == piece.start and found[-1].span == piece.span:
            found[-1] = Piece(found[-1].start, piece.end, piece.span)
        else:
            found.append(piece)
    return tuple(found)


def _count_customers(session: Session, asked: Slice, answer: Answer) -> None:
    """From facts alone, counted by the database."""
    pieces = tuple(Piece(s.start, s.end, number) for number, s in enumerate(asked.spans) if s.start < s.end)
    reading = Reading(FACTS, pieces)
    statement = sql.distinct(dialect_of(session), asked, reading, "customers")
    for key, figures in _read(session, asked, (reading,), statement):
        answer.add(key, figures)


_MEASURE: dict[str, Callable[[Session, Slice, Part, ZoneInfo, Answer], None]] = {
    "sums": _sums,
    "orders": _orders,
    "customers": _customers,
}


def _read(
    session: Session, asked: Slice, readings: Sequence[Reading], statement: sql.Statement
) -> Iterator[tuple[Key, dict[str, int]]]:
    """What a statement about these readings gives: figures by span and dimension values, of which several may be the same."""
    spans = [piece.span for reading in readings for piece in reading.pieces]
    width = len(asked.columns) + 1
    result = statement.run(session)
    names = tuple(result.keys())[width:]
    rows = result.all()
    if len(rows) > MAX_ROWS:
        raise InvalidQuery(
            _("The answer has more than {limit} rows; choose a coarser grain, or a limit.", limit=number(MAX_ROWS))
        )
    for row in rows:
        yield (spans[row[0]], *row[1:width]), dict(zip(names, row[width:], strict=True))


def _rest(asked: Slice, span: int) -> Key:
    return (span, *(REST for _ in asked.dimensions))
