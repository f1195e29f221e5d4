"""The SQL that keeps the rollups, and that counts them again from facts. Both are made from `ROLLUPS`, so they cannot drift apart.

Increments reach the rollups through one temporary stage table with a row per cell; `recount_select` is the definition that they
must always agree with.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    case,
    column,
    func,
    literal_column,
    select,
    type_coerce,
    values,
)
from sqlalchemy.sql.dml import Insert

from nebuloviz.db import insert
from nebuloviz.models import MEASURES, ROLLED_DIMENSIONS, ROLLUPS, Rollup, SaleRow, UtcDateTime

_KEY_COLUMNS = tuple(f"k{number}" for number in range(1, len(ROLLED_DIMENSIONS) + 1))

#: What a batch adds to the rollups: `rollup` is the place in `ROLLUPS`, k1.. are that rollup's dimensions in order.
CELL_STAGE = Table(
    "stage_cell",
    MetaData(),
    Column("rollup", Integer, nullable=False),
    Column("bucket", UtcDateTime, nullable=False),
    *(Column(name, Text, nullable=False) for name in _KEY_COLUMNS),
    *(Column(measure, BigInteger, nullable=False) for measure in MEASURES),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)


_upserts: dict[str, dict[str, Insert]] = {}


def add_staged(connection: Connection) -> None:
    """Add the stage's cells to the rollups, to each in the order of its keys."""
    dialect = connection.dialect
    if dialect.name not in _upserts:  # made once: that takes longer than to carry them out
        _upserts[dialect.name] = {rollup.name: _upsert(connection, rollup) for rollup in ROLLUPS}
    upserts = _upserts[dialect.name]
    if dialect.driver != "psycopg2":
        for statement in upserts.values():
            connection.execute(statement)
        return
    # Sent in one go, and planned once a connection: to plan them takes as long as to carry out a small batch
    prepared = set(connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").scalars())
    texts = [
        f"PREPARE add_to_{name} AS {statement.compile(dialect=dialect, compile_kwargs={'literal_binds': True})}"
        for name, statement in upserts.items()
        if f"add_to_{name}" not in prepared
    ]
    connection.exec_driver_sql("; ".join([*texts, *(f"EXECUTE add_to_{name}" for name in upserts)]))


def _upsert(connection: Connection, rollup: Rollup) -> Insert:
    table, keys = rollup.table, ("bucket", *rollup.dimensions)
    staged = [CELL_STAGE.c.bucket, *(CELL_STAGE.c[name] for name in _KEY_COLUMNS[: len(rollup.dimensions)])]
    source = (
        select(*staged, *(CELL_STAGE.c[measure] for measure in MEASURES))
        .where(CELL_STAGE.c.rollup == ROLLUPS.index(rollup))
        .order_by(*staged)
    )
    statement = insert(connection, table).from_select([*keys, *MEASURES], source)
    sums = {measure: table.c[measure] + statement.excluded[measure] for measure in MEASURES}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=sums)


def measure_columns() -> list[ColumnElement[int]]:
    """The measures of `MEASURES` as aggregates over facts: the one definition of each in SQL."""
    sale, returned = SaleRow, SaleRow.quantity < 0
    known_cost = SaleRow.cost.is_not(None)
    definitions: dict[str, ColumnElement[int]] = {
        "lines": func.count(),
        "orders": func.count(sale.order_id.distinct()),
        "quantity": func.sum(sale.quantity),
        "revenue": func.sum(sale.revenue),
        "discount": func.sum(sale.discount),
        "cost": func.sum(func.coalesce(sale.cost, 0)),
        "costed_revenue": func.sum(case((known_cost, sale.revenue), else_=0)),
        "returned_lines": func.sum(case((returned, 1), else_=0)),
        "returned_quantity": func.sum(case((returned, -sale.quantity), else_=0)),
        "returned_amount": func.sum(case((returned, -sale.revenue), else_=0)),
    }
    return [func.cast(definitions[measure], BigInteger).label(measure) for measure in MEASURES]


def recount_select(rollup: Rollup, spans: list[tuple[datetime, datetime]], dialect_name: str) -> Select[Any]:
    """The rollup's rows as they follow from facts alone.

    `spans` are [start, end) of the days (for a weekly rollup, of the weeks) to recount, in order; there must be one.
    """
    dimensions = [getattr(SaleRow, name) for name in rollup.dimensions]
    if rollup.grain == "hour":
        bucket: ColumnElement[Any] = hour_column(dialect_name).label("bucket")
        counted = select(bucket, *dimensions, *measure_columns())
        return counted.where(SaleRow.sold_at >= spans[0][0], SaleRow.sold_at < spans[-1][1]).group_by(
            bucket, *dimensions
        )
    listed = span_rows(spans)
    inside = (SaleRow.sold_at >= listed.c.start) & (SaleRow.sold_at < listed.c.end)
    counted = select(listed.c.start.label("bucket"), *dimensions, *measure_columns())
    return counted.select_from(listed).join(SaleRow, inside).group_by(listed.c.start, *dimensions)


def hour_column(dialect_name: str) -> ColumnElement[Any]:
    """The start, in UTC, of the hour of a fact."""
    if dialect_name == "sqlite":
        stored = type_coerce(SaleRow.sold_at, BigInteger)  # microseconds since 1970
        return type_coerce(stored - stored % literal_column("3600000000", BigInteger), UtcDateTime())
    return func.date_trunc("hour", SaleRow.sold_at, "UTC", type_=UtcDateTime())


def span_rows(spans: list[tuple[datetime, datetime]]) -> CTE:
    """The spans as rows of `start` and `end`, to join facts to."""
    # SQLite can name the columns of VALUES in a WITH only
    return values(column("start", UtcDateTime), column("end", UtcDateTime), name="days").data(spans).cte("span")
