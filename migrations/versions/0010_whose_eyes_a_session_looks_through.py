"""Whose eyes a browser session looks through, where an administrator looks through a user's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("browser_session", sa.Column("viewed_user_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM browser_session WHERE viewed_user_id IS NOT NULL")  # they would act again unasked
    op.drop_column("browser_session", "viewed_user_id")
