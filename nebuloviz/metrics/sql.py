"""From a planned reading to SQL: one set of statements for PostgreSQL and SQLite.

A statement gives one row for each piece of time and combination of dimension values: `piece` (the index in the reading's
pieces), the dimensions' columns, then one column per measure. Only how a row's piece is found differs: PostgreSQL searches a
sorted array, SQLite walks the pieces along its index.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    CompoundSelect,
    DateTime,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.sql.functions import aggregate_strings

from nebuloviz.metrics.planner import Combination, Piece, Reading, Slice
from nebuloviz.metrics.query import REST, Filter
from nebuloviz.metrics.registry import Metric, dimension
from nebuloviz.metrics.rollups import measure_columns
from nebuloviz.models import CustomerNumber, Rollup, SaleRow, SpreadOrder, microseconds

Expression = ColumnElement[Any]

SALE: Table = SaleRow.__table__  # type: ignore[assignment]  # declared as FromClause, and is a Table
_S = SALE.c
_ZERO: Expression = literal_column("0", Integer)
#: The measures as aggregates over facts.
_FACT_SUMS: dict[str, Expression] = {found.name: found for found in measure_columns()}


def sums(dialect: str, asked: Slice, readings: Sequence[Reading], measures: Sequence[str]) -> CompoundSelect[Any]:
    """The sums of `measures` (of `orders` those of the cells) by piece and dimensions; `piece` counts through all readings.

    With `asked.other`, what is not kept is summed together, under `REST`.
    """
    selects, offset = [], 0
    for reading in readings:
        selects.append(_sums_in(dialect, asked, reading, measures, offset))
        offset += len(reading.pieces)
    return union_all(*selects)


def _sums_in(dialect: str, asked: Slice, reading: Reading, measures: Sequence[str], offset: int) -> Select[Any]:
    table, time = _table_of(reading)
    source, piece, within = _by_piece(dialect, table, time, reading.pieces)
    columns = _shown(table, asked)
    figures = [_sum_of(table, measure).label(measure) for measure in measures]
    place = (piece + literal_column(str(offset), Integer)).label("piece")
    statement = select(place, *columns, *figures).select_from(source)
    allowed = conditions(table, asked, restrict=not asked.other)
    return statement.where(*within, *allowed).group_by(literal_column("piece"), *columns)


def distinct(dialect: str, asked: Slice, reading: Reading, what: str) -> Select[Any]:
    """How many different values the facts' column `what` has, '' not counted, by piece and dimensions.

    With `asked.other`, what is not kept is counted together, under `REST`.
    """
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, reading.pieces)
    columns = _shown(SALE, asked)
    different = (
        select(piece.label("piece"), *columns, _S[what].label("counted"))
        .select_from(source)
        .where(*within, *conditions(SALE, asked, restrict=not asked.other), _S[what] != "")
        .distinct()
        .subquery()
    )
    keys = [different.c[name] for name in ("piece", *asked.columns)]
    return select(*keys, func.count().label(what)).group_by(*keys)


def customers(dialect: str, asked: Slice, reading: Reading) -> Select[Any]:
    """The different customers themselves by piece and dimensions: `number`, or NULL and the `customer_id` where none is given yet."""
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, reading.pieces)
    number = CustomerNumber.__table__.c
    known = source.outerjoin(CustomerNumber.__table__, number.customer_id == _S.customer_id)
    unknown = case((number.number.is_(None), _S.customer_id), else_="")
    statement = select(piece.label("piece"), *_shown(SALE, asked), number.number, unknown.label("customer_id"))
    allowed = conditions(SALE, asked, restrict=not asked.other)
    return statement.select_from(known).where(*within, *allowed, _S.customer_id != "").distinct()


def members(dialect: str, reading: Reading, by: str) -> Select[Any]:
    """The numbers of the different customers by piece and value of the column `by` ('' for all together), joined by commas."""
    source, piece, within = _by_piece(dialect, SALE, _S.sold_at, reading.pieces)
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
    return select(*keys, aggregate_strings(cast(different.c.number, Text), ",")).group_by(*keys)


def unnumbered(dialect: str, reading: Reading) -> Select[Any]:
    """The ids of customers who have no number yet."""
    source, _, within = _by_piece(dialect, SALE, _S.sold_at, reading.pieces)
    number = CustomerNumber.__table__.c
    known = exists(select(number.number).where(number.customer_id == _S.customer_id))
    return select(_S.customer_id).select_from(source).where(*within, _S.customer_id != "", ~known).distinct()


def spread_lines(asked: Slice, columns: Sequence[str]) -> Select[Any]:
    """The lines of orders that do not add up: order_id, sold_at and `columns`, over all spans and within the filters."""
    start = min(span.start for span in asked.spans)
    end = max(span.end for span in asked.spans)
    spread = select(SpreadOrder.order_id)
    return (
        select(_S.order_id, _S.sold_at, *(_S[name] for name in columns))
        .where(_S.order_id.in_(spread), _S.sold_at >= start, _S.sold_at < end, *conditions(SALE, asked, restrict=False))
        .distinct()
    )


def ranking(
    dialect: str, asked: Slice, readings: Sequence[Reading], measures: Sequence[str], by: Metric, *, descending: bool
) -> Select[Any]:
    """The combinations of one span in order of the value of `by`, then by name; those without a value last. Needs a limit."""
    summed = _summed(asked, readings, measures).subquery()
    value = _signed_sum(summed, by.numerator)
    if by.denominator:
        value = value * literal_column("1.0") / func.nullif(_signed_sum(summed, by.denominator), 0)
    names = [summed.c[name] for name in asked.columns]
    # SQLite compares texts by their code points; PostgreSQL does as its locale says, unless told otherwise
    by_name = [name.collate("C") for name in names] if dialect == "postgresql" else names
    return select(*names).order_by((value.desc() if descending else value.asc()).nulls_last(), *by_name)


def conditions(table: Table, asked: Slice, *, restrict: bool = True) -> list[Expression]:
    """The filters, and with `restrict` the combinations that are kept, as conditions on a table with their columns."""
    found = [_filter(table, item) for item in asked.filters]
    if restrict and asked.keep is not None:
        found.append(_among([table.c[name] for name in asked.columns], asked.keep))
    return found


def _filter(table: Table, item: Filter) -> Expression:
    found = table.c[dimension(item.dimension).column]
    return found.in_(item.values) if item.op == "in" else found.not_in(item.values)


def _among(columns: Sequence[Column[Any]], keep: Sequence[Combination]) -> Expression:
    if len(columns) == 1:
        return columns[0].in_([combination[0] for combination in keep])
    return tuple_(*columns).in_(keep)


def _shown(table: Table, asked: Slice) -> list[Expression]:
    """The dimensions' columns; with `asked.other`, `REST` in place of what is not kept."""
    columns = [table.c[name] for name in asked.columns]
    if not (asked.other and asked.keep is not None):
        return list(columns)
    kept = _among(columns, asked.keep)
    return [case((kept, found), else_=REST).label(found.name) for found in columns]


def _table_of(reading: Reading) -> tuple[Table, Column[Any]]:
    if isinstance(reading.source, Rollup):
        return reading.source.table, reading.source.table.c.bucket
    return SALE, _S.sold_at


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


def _summed(asked: Slice, readings: Sequence[Reading], measures: Sequence[str]) -> Select[Any]:
    """The sums over all pieces of all readings by dimensions."""
    if len(readings) == 1:
        return _summed_in(asked, readings[0], measures)
    parts = union_all(*(_summed_in(asked, reading, measures) for reading in readings)).subquery()
    keys = [parts.c[name] for name in asked.columns]
    summed = [cast(func.sum(parts.c[measure]), BigInteger).label(measure) for measure in measures]
    return select(*keys, *summed).group_by(*keys)


def _summed_in(asked: Slice, reading: Reading, measures: Sequence[str]) -> Select[Any]:
    table, time = _table_of(reading)
    columns = [table.c[name] for name in asked.columns]
    figures = [_sum_of(table, measure).label(measure) for measure in measures]
    return select(*columns, *figures).where(_within(time, reading.pieces), *conditions(table, asked)).group_by(*columns)


def _by_piece(
    dialect: str, table: Table, time: Column[Any], pieces: Sequence[Piece]
) -> tuple[FromClause, Expression, list[Expression]]:
    """What to select from, the index of a row's piece, and the conditions that keep it within the pieces."""
    if len(pieces) == 1:
        return table, _ZERO, [time >= pieces[0].start, time < pieces[0].end]
    if dialect == "sqlite":
        return _walked_in_sqlite(table, time, pieces)
    return table, _piece_in_postgresql(time, pieces), [_within(time, pieces)]


def _piece_in_postgresql(time: Column[Any], pieces: Sequence[Piece]) -> Expression:
    """Found in a sorted array; joining the pieces instead leaves the planner to guess, and it guesses full scans."""
    edges = [edge.isoformat() for piece in pieces for edge in (piece.start, piece.end)]
    # As one text, because a driver takes its time over thousands of moments
    listed = bindparam("edges", "{" + ",".join(edges) + "}", Text, unique=True)
    # Of a query of its own, which is answered once; where a driver sends the text apart, it would be read again for every row
    array = select(cast(listed, ARRAY(DateTime(timezone=True)))).scalar_subquery()
    return (func.width_bucket(time, array, type_=Integer) - 1) // literal_column("2", Integer)


def _within(time: Column[Any], pieces: Sequence[Piece]) -> Expression:
    """That a moment is in one of the pieces."""
    ranges: list[tuple[datetime, datetime]] = []
    for piece in pieces:
        if ranges and ranges[-1][1] == piece.start:
            ranges[-1] = (ranges[-1][0], piece.end)
        else:
            ranges.append((piece.start, piece.end))
    return or_(*(and_(time >= start, time < end) for start, end in ranges))


def _walked_in_sqlite(
    table: Table, time: Column[Any], pieces: Sequence[Piece]
) -> tuple[FromClause, Expression, list[Expression]]:
    edges = json.dumps([[number, microseconds(p.start), microseconds(p.end)] for number, p in enumerate(pieces)])
    listed = func.json_each(bindparam("edges", edges, Text, unique=True)).table_valued("value")
    number, start, end = (func.json_extract(listed.c.value, f"$[{i}]", type_=BigInteger) for i in range(3))
    walked = select(number.label("number"), start.label("start"), end.label("end")).cte()
    raw = type_coerce(time, BigInteger)  # microseconds, as they are stored
    on = and_(raw >= walked.c.start, raw < walked.c.end)
    return walked.join(table, on), walked.c.number, []
