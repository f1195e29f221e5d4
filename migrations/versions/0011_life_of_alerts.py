"""Who looks after an alert, and until when it is snoozed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.add_column("alert", sa.Column("snoozed_until", UtcDateTime(), nullable=True))
    op.add_column("alert_event", sa.Column("until", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.execute("UPDATE alert SET state = 'open' WHERE state = 'snoozed'")  # nothing would wake them
    op.drop_column("alert_event", "until")
    op.drop_column("alert", "snoozed_until")
    op.drop_column("alert", "owner")
