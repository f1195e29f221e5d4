"""Notifications: channels with their rules, what alerts are told of, the messages, and the outbox of alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from nebuloviz.models.types import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    return sa.Column("id", _BIG, autoincrement=True, nullable=False), sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _reference(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    """To a row of another table, with which this one goes."""
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "alert_outbox",
        *_id("alert_outbox"),
        sa.Column("alert_id", _BIG, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        _reference("alert_outbox", "alert_id", "alert"),
    )
    _channels()
    _messages()


def _channels() -> None:
    table = "notification_channel"
    op.create_table(
        table,
        *_id(table),
        sa.Column("user_id", _BIG, nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "name", "target", "secret", "rules")),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("group_minutes", sa.Integer(), nullable=False),
        sa.Column("most_per_hour", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("tried_at", UtcDateTime(), nullable=True),
        _reference(table, "user_id", "app_user"),
    )
    op.create_index("ix_notification_channel_user_id", table, ["user_id"])


def _messages() -> None:
    table = "notification_message"
    op.create_table(
        table,
        *_id(table),
        sa.Column("channel_id", _BIG, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("key", "state", "reason")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("attempts", "status")),
        *(sa.Column(name, UtcDateTime(), nullable=False) for name in ("next_at", "created_at")),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        _reference(table, "channel_id", "notification_channel"),
        sa.UniqueConstraint("key", name="uq_notification_message_key"),
    )
    op.create_index("ix_notification_message_state_next_at", table, ["state", "next_at"])
    op.create_index("ix_notification_message_channel_id_created_at", table, ["channel_id", "created_at"])
    table = "notification_item"
    op.create_table(
        table,
        *_id(table),
        sa.Column("channel_id", _BIG, nullable=False),
        sa.Column("alert_id", _BIG, nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("message_id", _BIG, nullable=True),
        _reference(table, "channel_id", "notification_channel"),
        _reference(table, "alert_id", "alert"),
        _reference(table, "message_id", "notification_message"),
        sa.UniqueConstraint("channel_id", "alert_id", "told", name="uq_notification_item_channel_id_alert_id_told"),
    )
    op.create_index("ix_notification_item_alert_id", table, ["alert_id"])
    op.create_index("ix_notification_item_message_id", table, ["message_id"])


def downgrade() -> None:
    for table in ("notification_item", "notification_message", "notification_channel", "alert_outbox"):
        op.drop_table(table)
