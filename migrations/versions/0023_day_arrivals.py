"""From which moment on a batch added to a day, so that who is known to have bought on it need only be told what is new."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "day_arrival",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("since", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("day_arrival")
