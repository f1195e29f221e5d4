"""From a planned reading to SQL: one set of statements for PostgreSQL and SQLite.

A statement gives one row for each piece of time and combination of dimension values: `piece` (the index in the reading's
pieces), the dimensions' columns, then one column per measure. Only how a row's piece is found differs (`pieces`).

Statements are made once a form, which is all of a question but its moments and values: to make and to compile one takes longer
than to carry it out. Whatever changes from question to question is therefore a parameter with a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    CompoundSelect,
    FromClause,
    Integer,
    Result,
    Select,
    Table,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import aggregate_strings

from nebuloviz.metrics import pieces
from nebuloviz.metrics.pieces import Expression, Read
from nebuloviz.metrics.planner import FACTS, Reading, Slice
from nebuloviz.metrics.query import REST, Filter
from nebuloviz.metrics.registry import Metric, dimension
from nebuloviz.metrics.rollups import measure_columns
from nebuloviz.models import Base, CustomerNumber, SaleRow, SpreadOrder

MAX_ROWS = 100_000

SALE: Table = SaleRow.__table__  # type: ignore[assignment]  # declared as FromClause, and is a Table
_S = SALE.c
_ZERO: Expression = literal_column("0", Integer)
#: The measures as aggregates over facts.
_FACT_SUMS: dict[str, Expression] = {found.name: found for found in measure_columns()}
_COUNTED = {"orders": _S.order_id, "customers": _S.customer_id}
_FORMS = 512
_form = lru_cache(maxsize=_FORMS)


class Statement(NamedTuple):
    """What is to be selected, and the values of its parameters."""

    select: Select[Any] | CompoundSelect[Any]
    values: Mapping[str, Any]

    def run(self, session: Session) -> Result[*tuple[Any, ...]]:
        return session.connection().execute(self.select, self.values)


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
    reads, values = pieces.moments(dialect, [*readings, *wholes])
    return Statement(_sums(dialect, asked.form, reads, tuple(measures), len(wholes)), values | _values(asked))


@_form
def _sums(
    dialect: str, asked: Slice, reads: Sequence[Read], measures: Sequence[str], n_wholes: int
) -> CompoundSelect[Any]:
    n_apart = len(reads) - n_wholes
    apart = [_sums_in(dialect, asked, read, measures) for read in reads[:n_apart]]
    all_values = replace(asked, dimensions=(), keep=None)
    together = [literal(REST, Text).label(name) for name in asked.columns]
    wholes = [_sums_in(dialect, all_values, read, measures, together) for read in reads[n_apart:]]
    return union_all(*apart, *wholes).limit(MAX_ROWS + 1)


def _sums_in(
    dialect: str, asked: Slice, read: Read, measures: Sequence[str], together: Sequence[Expression] = ()
) -> Select[Any]:
    table, time = _table_of(read)
    source, piece, within = pieces.by_piece(dialect, table, time, read)
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
    (read,), values = pieces.moments(dialect, [reading])
    return Statement(_distinct(dialect, asked.form, read, measure), values | _values(asked))


@_form
def _distinct(dialect: str, asked: Slice, read: Read, measure: str) -> Select[Any]:
    counted = _COUNTED[measure]
    source, piece, within = pieces.by_piece(dialect, SALE, _S.sold_at, read)
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
    (read,), values = pieces.moments(dialect, [reading])
    return Statement(_customers(dialect, asked.form, read), values | _values(asked))


@_form
def _customers(dialect: str, asked: Slice, read: Read) -> Select[Any]:
    source, piece, within = pieces.by_piece(dialect, SALE, _S.sold_at, read)
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
    (read,), values = pieces.moments(dialect, [reading])
    source, piece, within = pieces.by_piece(dialect, SALE, _S.sold_at, read)
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
    (read,), values = pieces.moments(dialect, [reading])
    source, _, within = pieces.by_piece(dialect, SALE, _S.sold_at, read)
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
    within = (_S.sold_at >= pieces.moment("start"), _S.sold_at < pieces.moment("end"))
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
    reads, values = pieces.moments(dialect, readings, apart=False)
    ratio = (by.numerator, by.denominator)
    found = _ranking(dialect, asked.form, reads, tuple(measures), ratio, descending)
    return Statement(found, values | _values(asked) | {"most": most})


@_form
def _ranking(
    dialect: str,
    asked: Slice,
    reads: Sequence[Read],
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
    reads, values = pieces.moments("", readings, apart=False)
    found = _amounts_of(asked.form, reads, tuple(measures), by.numerator)
    return Statement(found, values | _values(asked) | {"most": most})


@_form
def _amounts_of(
    asked: Slice, reads: Sequence[Read], measures: Sequence[str], numerator: tuple[str, ...]
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


def _table_of(read: Read) -> tuple[Table, Column[Any]]:
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


def _summed(asked: Slice, reads: Sequence[Read], measures: Sequence[str]) -> Select[Any]:
    """The sums over all pieces of all readings by dimensions; cells of rollups are grouped once, not by rollup and again together."""
    if len(reads) == 1:
        return _summed_in(asked, reads[0], measures)
    parts = union_all(
        *((_summed_in if read.table == FACTS else _cells_in)(asked, read, measures) for read in reads)
    ).subquery()
    keys = [parts.c[name] for name in asked.columns]
    summed = [cast(func.sum(parts.c[measure]), BigInteger).label(measure) for measure in measures]
    return select(*keys, *summed).group_by(*keys)


def _summed_in(asked: Slice, read: Read, measures: Sequence[str]) -> Select[Any]:
    table, time = _table_of(read)
    columns = [table.c[name] for name in asked.columns]
    figures = [_sum_of(table, measure).label(measure) for measure in measures]
    return select(*columns, *figures).where(pieces.within(time, read), *conditions(table, asked)).group_by(*columns)


def _cells_in(asked: Slice, read: Read, measures: Sequence[str]) -> Select[Any]:
    table, time = _table_of(read)
    columns = [table.c[name] for name in (*asked.columns, *measures)]
    return select(*columns).where(pieces.within(time, read), *conditions(table, asked))
