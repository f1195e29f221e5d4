"""What people say that alerts were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alert", sa.Column("verdict", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "alert_feedback",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("alert_id", _KEY, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name="fk_alert_feedback_alert_id_alert", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alert_feedback"),
    )
    op.create_index("ix_alert_feedback_alert_id", "alert_feedback", ["alert_id"])


def downgrade() -> None:
    op.drop_table("alert_feedback")
    op.drop_column("alert", "verdict")
