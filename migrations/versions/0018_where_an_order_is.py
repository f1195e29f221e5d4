"""Between which days the lines of each order lie, noted from the facts; and room for the next sum beside each sum.

PostgreSQL writes a row anew when it changes: where its page has room, that costs no entry in an index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

#: Days since 1970 in UTC.
DAY = {
    "postgresql": "CAST(FLOOR(EXTRACT(EPOCH FROM {moment}) / 86400) AS INTEGER)",
    "sqlite": "CAST(FLOOR({moment} / 86400000000.0) AS INTEGER)",
}
DIMENSIONS = ("category", "region", "country", "channel", "store")
ROLLUPS = (
    *(f"rollup_{grain}{name}" for grain in ("hour", "day") for name in ("", *(f"_{each}" for each in DIMENSIONS))),
    *("rollup_day_all", "rollup_day_product", "rollup_week_product"),
)


def upgrade() -> None:
    op.create_table(
        "order_days",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_order_days"),
    )
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")
        for name in ROLLUPS:
            op.execute(f"ALTER TABLE {name} SET (fillfactor = 80)")
    first, last = (DAY[dialect].format(moment=f"{which}(sold_at)") for which in ("MIN", "MAX"))
    days = f"SELECT order_id, {first}, {last} FROM sale GROUP BY order_id"  # noqa: S608 - of our own names
    op.execute(f"INSERT INTO order_days (order_id, first_day, last_day) {days}")


def downgrade() -> None:
    op.drop_table("order_days")
    if op.get_bind().dialect.name == "postgresql":
        for name in ROLLUPS:
            op.execute(f"ALTER TABLE {name} RESET (fillfactor)")
