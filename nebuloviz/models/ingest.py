"""What the pipeline remembers: positions, rejects, gaps, pace, and the files that were imported."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey, UtcDateTime


class IngestOffset(Base):
    """How far each partition has been written, in the same transaction as its sales. The truth; Kafka's own offset is advisory."""

    __tablename__ = "ingest_offset"

    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    n_ok: Mapped[int] = mapped_column(BigInteger, default=0)
    n_duplicate: Mapped[int] = mapped_column(BigInteger, default=0)
    n_rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    halted_reason: Mapped[str] = mapped_column(Text, default="")  # '' while it runs


class IngestGap(Base):
    """Records that retention removed before they could be read."""

    __tablename__ = "ingest_gap"

    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    first_offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    noticed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeadLetter(Base):
    """A record that could not become a sale: where it came from, its bytes and why."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        UniqueConstraint("topic", "partition", "offset"),
        Index("ix_dead_letter_state_received_at", "state", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int] = mapped_column(Integer)
    offset: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)  # a `Reason` of nebuloviz.ingest.sale
    detail: Mapped[str] = mapped_column(Text, default="")
    payload: Mapped[bytes] = mapped_column(LargeBinary)  # at most 64 KiB
    payload_size: Mapped[int] = mapped_column(BigInteger)  # of the whole record
    record: Mapped[bytes | None] = mapped_column(LargeBinary)  # the JSON to try again, where that is not the payload
    state: Mapped[str] = mapped_column(Text, default="open")  # open | retried | discarded
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str] = mapped_column(Text, default="")


class IngestMinute(Base):
    """The pace of each topic, by the minute of arrival."""

    __tablename__ = "ingest_minute"

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    accepted: Mapped[int] = mapped_column(BigInteger, default=0)
    duplicate: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    late_seconds: Mapped[int] = mapped_column(
        BigInteger, default=0
    )  # the largest arrival minus sale time of that minute


class ImportJob(Base):
    """One import of a file, or of the sample's history, with its progress."""

    __tablename__ = "import_job"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(
        Text, unique=True
    )  # 'file:<sha256 of content and mapping>': a second try continues the first
    name: Mapped[str] = mapped_column(Text)
    mapping: Mapped[str] = mapped_column(Text, default="{}")  # JSON: field -> column
    state: Mapped[str] = mapped_column(Text, default="running")  # running | done | failed
    message: Mapped[str] = mapped_column(Text, default="")
    rows_total: Mapped[int | None] = mapped_column(BigInteger)  # NULL while unknown
    rows_done: Mapped[int] = mapped_column(BigInteger, default=0)
    accepted: Mapped[int] = mapped_column(BigInteger, default=0)
    duplicate: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    started_by: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
