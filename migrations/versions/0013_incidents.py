"""Which alerts are one incident. Those there are stand each for itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("incident_id", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE alert SET incident_id = id")
    op.create_index("ix_alert_incident_id", "alert", ["incident_id"])


def downgrade() -> None:
    op.drop_index("ix_alert_incident_id", "alert")
    op.drop_column("alert", "incident_id")
