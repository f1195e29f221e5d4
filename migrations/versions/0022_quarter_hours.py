"""What is expected in the quarter hours of what is judged by them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarter_expectation",
        sa.Column("series", sa.Text(), primary_key=True),
        sa.Column("bucket", UtcDateTime(), primary_key=True),
        sa.Column("expected", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("quarter_expectation")
