"""Which hours an alert's figures are of: it may span more of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("judged_start", UtcDateTime(), nullable=True))
    op.add_column("alert", sa.Column("judged_end", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("alert", "judged_end")
    op.drop_column("alert", "judged_start")
