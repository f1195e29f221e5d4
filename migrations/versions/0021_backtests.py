"""Rules tried on the past, and what people say of what they would have found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import BigKey, UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backtest",
        sa.Column("id", BigKey, primary_key=True, autoincrement=True),
        sa.Column("user_id", BigKey, sa.ForeignKey("app_user.id", ondelete="CASCADE"), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=False),
        sa.Column("end", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_backtest_user_id", "backtest", ["user_id"])
    op.create_table(
        "bucket_label",
        sa.Column("id", BigKey, primary_key=True, autoincrement=True),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("bucket_start", UtcDateTime(), nullable=False),
        sa.Column("bucket_end", UtcDateTime(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("series", "bucket_start"),
    )


def downgrade() -> None:
    op.drop_table("bucket_label")
    op.drop_table("backtest")
