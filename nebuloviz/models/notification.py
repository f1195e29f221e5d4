"""What is told to people outside of the program: to whom, about what, and what became of it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey, UtcDateTime


class AlertOutbox(Base):
    """An alert was raised, got worse, is over or open again. Written with the change; taken out once it is known whom to tell."""

    __tablename__ = "alert_outbox"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(Text)  # raised | worsened | over | reopened
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class NotificationChannel(Base):
    """A way to somebody: a user's own, or (without a user) the installation's."""

    __tablename__ = "notification_channel"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(Text)  # mail | slack | webhook
    name: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(
        Text
    )  # address of a mail, '' for the user's own; of a webhook sealed: it may be a key
    secret: Mapped[str] = mapped_column(Text, default="")  # sealed; what a webhook's messages are signed with
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    rules: Mapped[str] = mapped_column(Text, default="[]")  # JSON, as `notification_rules` writes it
    group_minutes: Mapped[int] = mapped_column(Integer)  # at most one message in so many
    most_per_hour: Mapped[int] = mapped_column(Integer)
    digest_at: Mapped[int | None] = mapped_column(Integer)  # minutes of the recipient's day; None: no digest
    digest_day: Mapped[date | None] = mapped_column(Date)  # of the recipient's days the one that it was last sent on
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tried_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class NotificationMessage(Base):
    """One message of a channel, and what became of it. The key tells its receiver a repetition from another message."""

    __tablename__ = "notification_message"
    __table_args__ = (
        Index("ix_notification_message_state_next_at", "state", "next_at"),
        Index("ix_notification_message_channel_id_created_at", "channel_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("notification_channel.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[str] = mapped_column(Text, default="waiting")  # waiting | sent | failed | dropped
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)  # of one that waits: when it is tried
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")  # why the last try failed, by a slug
    about: Mapped[str] = mapped_column(Text, default="alerts", server_default="alerts")  # alerts | digest
    status: Mapped[int] = mapped_column(Integer, default=0)  # what a webhook answered last; 0: nothing


class NotificationItem(Base):
    """An alert that a channel is told of, once that it is there and once that it is over; in a message as soon as it may be sent.

    And each time that it was opened again once more, with the number of that time behind the word.
    """

    __tablename__ = "notification_item"
    __table_args__ = (UniqueConstraint("channel_id", "alert_id", "told"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("notification_channel.id", ondelete="CASCADE"))
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"), index=True)
    told: Mapped[str] = mapped_column(Text)  # open | over | reopened
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)  # later than it happened only where the rule's hours say so
    message_id: Mapped[int | None] = mapped_column(
        ForeignKey("notification_message.id", ondelete="CASCADE"), index=True
    )
