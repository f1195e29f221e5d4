"""What is tried again of a rejected record, where that is not its bytes: the sale made of a file's row, or a correction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dead_letter", sa.Column("record", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("dead_letter", "record")
