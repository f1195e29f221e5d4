"""A rollup of products by week, filled from the facts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "rollup_week_product"
#: Each measure, and what it is of the facts.
MEASURES = {
    "lines": "COUNT(*)",
    "orders": "COUNT(DISTINCT order_id)",
    "quantity": "SUM(quantity)",
    "revenue": "SUM(revenue)",
    "discount": "SUM(discount)",
    "cost": "SUM(COALESCE(cost, 0))",
    "costed_revenue": "SUM(CASE WHEN cost IS NOT NULL THEN revenue ELSE 0 END)",
    "returned_lines": "SUM(CASE WHEN quantity < 0 THEN 1 ELSE 0 END)",
    "returned_quantity": "SUM(CASE WHEN quantity < 0 THEN -quantity ELSE 0 END)",
    "returned_amount": "SUM(CASE WHEN quantity < 0 THEN -revenue ELSE 0 END)",
}


def upgrade() -> None:
    op.create_table(
        NAME,
        sa.Column("bucket", UtcDateTime(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in MEASURES),
        sa.PrimaryKeyConstraint("bucket", "product_id", name=f"pk_{NAME}"),
    )
    op.create_index(f"ix_{NAME}_product_id_bucket", NAME, ["product_id", "bucket"])
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_table(NAME)


def _fill(connection: sa.Connection) -> None:
    bucket = sa.column("bucket", UtcDateTime())
    days = sa.table("rollup_day", bucket)
    extent = connection.execute(sa.select(sa.func.min(bucket), sa.func.max(bucket)).select_from(days)).one()
    if None in extent:
        return
    first, last = extent
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
    named = connection.scalar(sa.text("SELECT value FROM installation WHERE key = 'time_zone'"))
    zone = ZoneInfo(named or "UTC")
    sums = ", ".join(f"CAST({sql} AS BIGINT)" for sql in MEASURES.values())
    statement = sa.text(
        f"INSERT INTO {NAME} (bucket, product_id, {', '.join(MEASURES)})"  # noqa: S608 - of our own names
        f" SELECT :start, product_id, {sums} FROM sale WHERE sold_at >= :start AND sold_at < :following GROUP BY product_id"
    ).bindparams(sa.bindparam("start", type_=UtcDateTime()), sa.bindparam("following", type_=UtcDateTime()))
    day = first.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    while (start := _midnight(monday, zone)) <= last:
        monday += timedelta(days=7)
        connection.execute(statement, {"start": start, "following": _midnight(monday, zone)})


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(ZoneInfo("UTC"))
