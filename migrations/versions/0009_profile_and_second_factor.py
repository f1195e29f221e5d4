"""What users say of themselves, their second factor, and from where their sessions are used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_USER = ("second_factor_at", "totp_step", "totp_secret", "landing_page", "week_start", "format_region", "display_name")
_SESSION = ("last_used_at", "user_agent", "address")
_REFRESH = ("issued_at", "started_at", "user_agent", "address")


def upgrade() -> None:
    for name in ("display_name", "format_region", "landing_page", "totp_secret"):
        op.add_column("app_user", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("app_user", sa.Column("week_start", sa.SmallInteger(), nullable=True))
    op.add_column("app_user", sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("app_user", sa.Column("second_factor_at", UtcDateTime(), nullable=True))
    for table in ("browser_session", "refresh_token"):
        for name in ("address", "user_agent"):
            op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("browser_session", sa.Column("last_used_at", UtcDateTime(), nullable=True))
    for name in ("started_at", "issued_at"):
        op.add_column("refresh_token", sa.Column(name, UtcDateTime(), nullable=True))
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_recovery_code_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_recovery_code"),
    )
    op.create_index("ix_recovery_code_user_id", "recovery_code", ["user_id"])


def downgrade() -> None:
    op.drop_table("recovery_code")
    # In place: copying the table, as a batch would on SQLite, deletes what refers to it.
    for table, columns in (("refresh_token", _REFRESH), ("browser_session", _SESSION), ("app_user", _USER)):
        for column in columns:
            op.drop_column(table, column)
