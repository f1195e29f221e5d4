"""What the users page keeps of a user: e-mail, row scope, version, last sign-in; and the one-time links to set a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("app_user", sa.Column("email", sa.Text(), nullable=False, server_default=""))
    op.add_column("app_user", sa.Column("scope", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("app_user", sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("app_user", sa.Column("last_sign_in_at", UtcDateTime(), nullable=True))
    op.create_table(
        "password_link",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name="fk_password_link_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_password_link"),
    )
    op.create_index("ix_password_link_user_id", "password_link", ["user_id"])


def downgrade() -> None:
    op.drop_table("password_link")
    # In place: copying the table, as a batch would on SQLite, deletes what refers to it.
    for column in ("last_sign_in_at", "version", "scope", "email"):
        op.drop_column("app_user", column)
