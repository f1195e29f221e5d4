"""The rollups as they follow from facts alone: the definition that what is added to them must always agree with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    case,
    column,
    func,
    literal_column,
    select,
    type_coerce,
    values,
)

from nebuloviz.models import MEASURES, Rollup, SaleRow, UtcDateTime


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
