"""From a planned reading to SQL: one set of statements for PostgreSQL and SQLite.

A statement gives one row for each piece of time and combination of dimension values: `piece` (the index in the reading's
pieces), the dimensions' columns, then one column per measure. Only how a row's piece is found differs: PostgreSQL searches a
sorted array, SQLite walks the pieces along its index; pieces that are all whole hours are reckoned from the hour, in both.

Statements are made once a form, which is all of a question but its moments and values: to make and to compile one takes longer
than to carry it out. Whatever changes from question to question is therefore a parameter with a name of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    CompoundSelect,
    DateTime,
    FromClause,
    Integer,
    Result,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import aggregate_strings

from nebuloviz.metrics.calendar import ONE_HOUR
from nebuloviz.metrics.planner import FACTS, Piece, Reading, Slice
from nebuloviz.metrics.query import REST, Filter
from nebuloviz.metrics.registry import Metric, dimension
from nebuloviz.metrics.rollups import measure_columns
from nebuloviz.models import Base, CustomerNumber, SaleRow, SpreadOrder, UtcDateTime, microseconds

Expression = ColumnElement[Any]

MAX_ROWS = 100_000

SALE: Table = SaleRow.__table__  # type: ignore[assignment]  # declared as FromClause, and is a Table
_S = SALE.c
_ZERO: Expression = literal_column("0", Integer)
#: The measures as aggregates over facts.
_FACT_SUMS: dict[str, Expression] = {found.name: found for found in measure_columns()}
_COUNTED = {"orders": _S.order_id, "customers": _S.customer_id}
_HOUR = 3_600_000_000  # microseconds
_FORMS = 512
_form = lru_cache(maxsize=_FORMS)


class Statement(NamedTuple):
    """What is to be selected, and the values of its parameters."""

    select: Select[Any] | CompoundSelect[Any]
    values: Mapping[str, Any]

    def run(self, session: Session) -> Result[*tuple[Any, ...]]:
        return session.connection().execute(self.select, self.values)


class _Read(NamedTuple):
    """A reading but for its moments: its table, its place among the readings of a statement, and how many stretches it has.

    Without stretches it is one piece; `hourly`: each piece is one whole hour.
    """

    table: str
    number: int = 0
    stretches: int = 0
    hourly: bool = False


def sums(
    dialect: str,
    asked: Slice,
    readings: Sequence[Reading],
    measures: Sequence[str],
    wholes: Sequence[Reading] = (),
) -> Statement:
    """The sums of `measures` (of `orders` those of the cells) by piece and dimensions; `piece` counts through all readings.

    With `asked.other`, what is not kept is summed together, under `REST`. Under `REST` stand the sums over all values as well that
    are read from `wholes`, in the same go. One row more than `MAX_ROWS` shows that there are more.
    """
    reads, values = _moments(dialect, [*readings, *wholes])
    return Statement(_sums(dialect, asked.form, reads, tuple(measures), len(wholes)), values | _values(asked))


@_form
def _sums(
    dialect: str, asked: Slice, reads: Sequence[_Read], measures: Sequence[str], n_wholes: int
) -> CompoundSelect[Any]:
    n_apart = len(reads) - n_wholes
    apart = [_sums_in(dialect, asked, read, measures) for read in reads[:n_apart]]
    all_values = replace(asked, dimensions=(), keep=None)
    together = [literal(REST, Text).label(name) for name in asked.columns]
    wholes = [_sums_in(dialect, all_values, read, measures, together) for read in reads[n_apart:]]
    return union_all(*apart, *wholes).limit(MAX_ROWS + 1)


def _sums_in(
    dialect: str, asked: Slice, read: _Read, measures: Sequence[str], together: Sequence[Expression] = ()
) -> Select[Any]:
    table, time = _table_of(read)
    source, piece, within = _by_piece(dialect, table, time, read)
    columns = _shown(table, asked)
    figures = [_sum_of(table, measure).label(measure) for measure in measures]
    place = (piece + bindparam(f"offset_{read.number}", type_=Integer)).label("piece")
    statement = select(place, *columns, *together, *figures).select_from(source)
    allowed = conditions(table, asked, restrict=not asked.other)
    return statement.where(*within, *allowed).group_by(literal_column("piece"), *columns)


def distinct(dialect: str, asked: Slice, reading: Reading, measure: str) -> Statement:
    """How many different `orders` or `customers` there are, '' not counted, by piece and dimensions.

    With `asked.other`, what is not kept is counted together, under `REST`. As to `MAX_ROWS`, see `sums`.
    """
    (read,), values = _moments(dialect, [reading])
    return Statement(_distinct(dialect, asked.form, read, measure), values | _values(asked))


@_form
def _distinct(dialect: str, asked: Slice, read: _Read, measure: str) -> Select[Any]:
    counted = _COUNTED[measure]
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, read)
    columns = _shown(SALE, asked)
    different = (
        select(piece.label("piece"), *columns, counted.label("counted"))
        .select_from(source)
        .where(*within, *conditions(SALE, asked, restrict=not asked.other), counted != "")
        .distinct()
        .subquery()
    )
    keys = [different.c[name] for name in ("piece", *asked.columns)]
    return select(*keys, func.count().label(measure)).group_by(*keys).limit(MAX_ROWS + 1)


def customers(dialect: str, asked: Slice, reading: Reading) -> Statement:
    """The different customers themselves by piece and dimensions: `number` (NULL where none is given yet) and `customer_id`."""
    (read,), values = _moments(dialect, [reading])
    return Statement(_customers(dialect, asked.form, read), values | _values(asked))


@_form
def _customers(dialect: str, asked: Slice, read: _Read) -> Select[Any]:
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, read)
    allowed = conditions(SALE, asked, restrict=not asked.other)
    different = (
        select(piece.label("piece"), *_shown(SALE, asked), _S.customer_id)
        .select_from(source)
        .where(*within, *allowed, _S.customer_id != "")
        .distinct()
        .subquery()
    )
    known = CustomerNumber.__table__.c
    # Looked up one by one: they are few, and the planner would sooner read all customers there are
    number = select(known.number).where(known.customer_id == different.c.customer_id).scalar_subquery()
    keys = [different.c[name] for name in ("piece", *asked.columns)]
    return select(*keys, number.label("number"), different.c.customer_id)


def members(dialect: str, reading: Reading, by: str) -> Statement:
    """The numbers of the different customers by piece and value of the column `by` ('' for all together), joined by commas."""
    (read,), values = _moments(dialect, [reading])
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, read)
    number = CustomerNumber.__table__.c
    value = _S[by] if by else literal_column("''", Text)
    different = (
        select(piece.label("piece"), value.label("value"), number.number)
        .select_from(source.join(CustomerNumber.__table__, number.customer_id == _S.customer_id))
        .where(*within)
        .distinct()
        .subquery()
    )
    keys = (different.c.piece, different.c.value)
    joined = aggregate_strings(cast(different.c.number, Text), ",")
    return Statement(select(*keys, joined).group_by(*keys), values)


def unnumbered(dialect: str, reading: Reading) -> Statement:
    """The ids of customers who have no number yet."""
    (read,), values = _moments(dialect, [reading])
    source, _, within = _by_piece(dialect, SALE, _S.sold_at, read)
    number = CustomerNumber.__table__.c
    known = exists(select(number.number).where(number.customer_id == _S.customer_id))
    found = select(_S.customer_id).select_from(source).where(*within, _S.customer_id != "", ~known).distinct()
    return Statement(found, values)


def spread_lines(asked: Slice, columns: Sequence[str]) -> Statement:
    """The lines of orders that do not add up: order_id, sold_at and `columns`, over all spans and within the filters."""
    ends = {"start": min(span.start for span in asked.spans), "end": max(span.end for span in asked.spans)}
    return Statement(_spread_lines(asked.form, tuple(columns)), ends | _values(asked))


@_form
def _spread_lines(asked: Slice, columns: Sequence[str]) -> Select[Any]:
    spread = select(SpreadOrder.order_id)
    within = (_S.sold_at >= _moment("start"), _S.sold_at < _moment("end"))
    return (
        select(_S.order_id, _S.sold_at, *(_S[name] for name in columns))
        .where(_S.order_id.in_(spread), *within, *conditions(SALE, asked, restrict=False))
        .distinct()
    )


def ranking(
    dialect: str,
    asked: Slice,
    readings: Sequence[Reading],
    measures: Sequence[str],
    by: Metric,
    most: int,
    *,
    descending: bool,
) -> Statement:
    """The first `most` combinations of one span by the value of `by`, then by name; those without a value last."""
    reads, values = _moments(dialect, readings, by_piece=False)
    ratio = (by.numerator, by.denominator)
    found = _ranking(dialect, asked.form, reads, tuple(measures), ratio, descending)
    return Statement(found, values | _values(asked) | {"most": most})


@_form
def _ranking(
    dialect: str,
    asked: Slice,
    reads: Sequence[_Read],
    measures: Sequence[str],
    ratio: tuple[tuple[str, ...], tuple[str, ...]],
    descending: bool,  # noqa: FBT001 - a key of what is kept
) -> Select[Any]:
    summed = _summed(asked, reads, measures).subquery()
    numerator, denominator = ratio
    value = _signed_sum(summed, numerator)
    if denominator:
        value = value * literal_column("1.0") / func.nullif(_signed_sum(summed, denominator), 0)
    names = [summed.c[name] for name in asked.columns]
    # SQLite compares texts by their code points; PostgreSQL does as its locale says, unless told otherwise
    by_name = [name.collate("C") for name in names] if dialect == "postgresql" else names
    order = (value.desc() if descending else value.asc()).nulls_last()
    return select(*names).order_by(order, *by_name).limit(bindparam("most", type_=Integer))


def amounts(asked: Slice, readings: Sequence[Reading], measures: Sequence[str], by: Metric, most: int) -> Statement:
    """What `by`, which is no ratio, came to over one span, by combination; of no more of them than `most`."""
    reads, moments = _moments("", readings, by_piece=False)
    found = _amounts_of(asked.form, reads, tuple(measures), by.numerator)
    return Statement(found, moments | _values(asked) | {"most": most})


@_form
def _amounts_of(
    asked: Slice, reads: Sequence[_Read], measures: Sequence[str], numerator: tuple[str, ...]
) -> Select[Any]:
    summed = _summed(asked, reads, measures).subquery()
    names = [summed.c[name] for name in asked.columns]
    return select(*names, _signed_sum(summed, numerator)).limit(bindparam("most", type_=Integer))


def conditions(table: Table, asked: Slice, *, restrict: bool = True) -> list[Expression]:
    """The filters, and with `restrict` the combinations that are kept, as conditions on a table with their columns."""
    found = [_filter(table, item, number) for number, item in enumerate(asked.filters)]
    if restrict and asked.keep is not None:
        found.append(_kept(table, asked))
    return found


def _filter(table: Table, item: Filter, number: int) -> Expression:
    found = table.c[dimension(item.dimension).column]
    values: BindParameter[Sequence[str]] = bindparam(f"filter_{number}", item.values, expanding=True)
    return found.in_(values) if item.op == "in" else found.not_in(values)


def _kept(table: Table, asked: Slice) -> Expression:
    columns = [table.c[name] for name in asked.columns]
    return (columns[0] if len(columns) == 1 else tuple_(*columns)).in_(bindparam("keep", expanding=True))


def _values(asked: Slice) -> dict[str, Any]:
    """What `conditions` compares with."""
    values: dict[str, Any] = {f"filter_{number}": item.values for number, item in enumerate(asked.filters)}
    if asked.keep is not None:
        one = len(asked.columns) == 1
        values["keep"] = [combination[0] for combination in asked.keep] if one else list(asked.keep)
    return values


def _shown(table: Table, asked: Slice) -> list[Expression]:
    """The dimensions' columns; with `asked.other`, `REST` in place of what is not kept."""
    columns = [table.c[name] for name in asked.columns]
    if not (asked.other and asked.keep is not None):
        return list(columns)
    kept = _kept(table, asked)
    return [case((kept, found), else_=REST).label(found.name) for found in columns]


def _table_of(read: _Read) -> tuple[Table, Column[Any]]:
    if read.table == FACTS:
        return SALE, _S.sold_at
    table = Base.metadata.tables[read.table]
    return table, table.c.bucket


def _sum_of(table: Table, measure: str) -> Expression:
    if table is SALE:
        return _FACT_SUMS[measure]
    return cast(func.sum(table.c[measure]), BigInteger)  # PostgreSQL sums bigint as numeric, which is slow to read


def _signed_sum(table: FromClause, names: Sequence[str]) -> Expression:
    value: Expression = _ZERO
    for name in names:
        term = table.c[name.removeprefix("-")]
        value = value - term if name.startswith("-") else value + term
    return value


def _summed(asked: Slice, reads: Sequence[_Read], measures: Sequence[str]) -> Select[Any]:
    """The sums over all pieces of all readings by dimensions; cells of rollups are grouped once, not by rollup and again together."""
    if len(reads) == 1:
        return _summed_in(asked, reads[0], measures)
    parts = union_all(
        *((_summed_in if read.table == FACTS else _cells_in)(asked, read, measures) for read in reads)
    ).subquery()
    keys = [parts.c[name] for name in asked.columns]
    summed = [cast(func.sum(parts.c[measure]), BigInteger).label(measure) for measure in measures]
    return select(*keys, *summed).group_by(*keys)


def _summed_in(asked: Slice, read: _Read, measures: Sequence[str]) -> Select[Any]:
    table, time = _table_of(read)
    columns = [table.c[name] for name in asked.columns]
    figures = [_sum_of(table, measure).label(measure) for measure in measures]
    return select(*columns, *figures).where(_within(time, read), *conditions(table, asked)).group_by(*columns)


def _cells_in(asked: Slice, read: _Read, measures: Sequence[str]) -> Select[Any]:
    table, time = _table_of(read)
    columns = [table.c[name] for name in (*asked.columns, *measures)]
    return select(*columns).where(_within(time, read), *conditions(table, asked))


def _by_piece(
    dialect: str, table: Table, time: Column[Any], read: _Read
) -> tuple[FromClause, Expression, list[Expression]]:
    """What to select from, the index of a row's piece, and the conditions that keep it within the pieces."""
    if not read.stretches:
        return table, _ZERO, [_within(time, read)]
    if read.hourly:
        return table, _piece_by_hour(dialect, time, read), [_within(time, read)]
    if dialect == "sqlite":
        return _walked_in_sqlite(table, time, read)
    return table, _piece_in_postgresql(time, read), [_within(time, read)]


def _piece_in_postgresql(time: Column[Any], read: _Read) -> Expression:
    """Found in a sorted array; joining the pieces instead leaves the planner to guess, and it guesses full scans."""
    # As one text, because a driver takes its time over thousands of moments
    listed = bindparam(f"edges_{read.number}", type_=Text)
    # Of a query of its own, which is answered once; where a driver sends the text apart, it would be read again for every row
    array = select(cast(listed, ARRAY(DateTime(timezone=True)))).scalar_subquery()
    return (func.width_bucket(time, array, type_=Integer) - 1) // literal_column("2", Integer)


def _piece_by_hour(dialect: str, time: Column[Any], read: _Read) -> Expression:
    """The hours since 1970, less those before the stretch that are no pieces."""
    if dialect == "sqlite":
        hour = type_coerce(time, BigInteger) // literal_column(str(_HOUR), BigInteger)
    else:
        hour = cast(func.floor(func.date_part("epoch", time) / literal_column("3600.0")), Integer)
    skipped = [bindparam(f"skipped_{read.number}_{place}", type_=Integer) for place in range(read.stretches)]
    if len(skipped) == 1:
        return hour - skipped[0]
    later = [(time >= _moment(f"start_{read.number}_{place}"), skipped[place]) for place in range(1, read.stretches)]
    return hour - case(*reversed(later), else_=skipped[0])


def _within(time: Column[Any], read: _Read) -> Expression:
    """That a moment is in one of the stretches."""
    names = [f"{read.number}_{place}" for place in range(max(read.stretches, 1))]
    return or_(*(and_(time >= _moment(f"start_{name}"), time < _moment(f"end_{name}")) for name in names))


def _moment(name: str) -> Expression:
    return bindparam(name, type_=UtcDateTime)


def _walked_in_sqlite(table: Table, time: Column[Any], read: _Read) -> tuple[FromClause, Expression, list[Expression]]:
    listed = func.json_each(bindparam(f"edges_{read.number}", type_=Text)).table_valued("value")
    number, start, end = (func.json_extract(listed.c.value, f"$[{i}]", type_=BigInteger) for i in range(3))
    walked = select(number.label("number"), start.label("start"), end.label("end")).cte()
    raw = type_coerce(time, BigInteger)  # microseconds, as they are stored
    on = and_(raw >= walked.c.start, raw < walked.c.end)
    return walked.join(table, on), walked.c.number, []


# ---------------------------------------------------------------- the moments of a reading, as values of parameters


def _moments(
    dialect: str, readings: Sequence[Reading], *, by_piece: bool = True
) -> tuple[tuple[_Read, ...], dict[str, Any]]:
    """What is kept of the readings, and their moments; where pieces are not told apart, there are but stretches."""
    reads: list[_Read] = []
    values: dict[str, Any] = {}
    offset = 0
    for number, reading in enumerate(readings):
        pieces = reading.pieces
        one = len(pieces) == 1
        stretches = [(pieces[0].start, pieces[0].end)] if one else _stretches(pieces)
        for place, (start, end) in enumerate(stretches):
            values[f"start_{number}_{place}"], values[f"end_{number}_{place}"] = start, end
        hourly = by_piece and not one and _hourly(pieces)
        if hourly:
            values.update(_skipped_hours(number, stretches))
        elif by_piece and not one:
            values[f"edges_{number}"] = _edges_of[dialect](pieces)
        values[f"offset_{number}"] = offset
        offset += len(pieces)
        reads.append(_Read(reading.name, number, 0 if one else len(stretches), hourly))
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
    return all(end - start == ONE_HOUR and not (start.minute or start.second) for start, end, _ in pieces)


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
