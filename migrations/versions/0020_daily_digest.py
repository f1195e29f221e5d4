"""The daily digest by e-mail: at which minute of the recipient's day a channel sends it, and for which day it last did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notification_channel", sa.Column("digest_at", sa.Integer(), nullable=True))
    op.add_column("notification_channel", sa.Column("digest_day", sa.Date(), nullable=True))
    op.add_column("notification_message", sa.Column("about", sa.Text(), nullable=False, server_default="alerts"))


def downgrade() -> None:
    op.drop_column("notification_message", "about")
    op.drop_column("notification_channel", "digest_day")
    op.drop_column("notification_channel", "digest_at")
