"""The state of the live stream: where each partition stands, and how many records arrived in each of the last minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.ingest.jobs import stream_topics
from nebuloviz.models import IngestMinute, IngestOffset
from nebuloviz.observability import CONSUMER_LAG
from nebuloviz.services.interfaces import PartitionStatus, StreamStatus

SHOWN_MINUTES = 60


def stream_status(session: Session, kafka_topic: str, now: datetime) -> StreamStatus:
    """All partitions by topic and number, and the last `SHOWN_MINUTES` up to `now`, minutes without a record included.

    The lag is known for `kafka_topic` alone, and only to the process that consumes it.
    """
    lags = {int(sample.labels["partition"]): int(sample.value) for sample in next(iter(CONSUMER_LAG.collect())).samples}
    offsets = session.scalars(
        select(IngestOffset)
        .where(stream_topics(IngestOffset.topic))
        .order_by(IngestOffset.topic, IngestOffset.partition)
    )
    partitions = tuple(
        partition_status(row, lags.get(row.partition) if row.topic == kafka_topic else None) for row in offsets
    )
    return StreamStatus(partitions, _minutes(session, now))


def partition_status(row: IngestOffset, lag: int | None) -> PartitionStatus:
    return PartitionStatus(
        topic=row.topic,
        partition=row.partition,
        next_offset=row.next_offset,
        lag=lag,
        accepted=row.n_ok,
        duplicate=row.n_duplicate,
        rejected=row.n_rejected,
        updated_at=row.updated_at,
        halted_reason=row.halted_reason,
    )


def _minutes(session: Session, now: datetime) -> tuple[tuple[datetime, int, int, int, int], ...]:
    """(minute, accepted, duplicate, rejected, late seconds) of each minute shown, oldest first."""
    last = now.replace(second=0, microsecond=0)
    first = last - timedelta(minutes=SHOWN_MINUTES - 1)
    sums = [func.sum(column) for column in (IngestMinute.accepted, IngestMinute.duplicate, IngestMinute.rejected)]
    query = (
        select(IngestMinute.minute, *sums, func.max(IngestMinute.late_seconds))
        .where(IngestMinute.minute >= first, stream_topics(IngestMinute.topic))
        .group_by(IngestMinute.minute)
    )
    known = {minute: tuple(int(figure) for figure in figures) for minute, *figures in session.execute(query)}
    minutes = (first + timedelta(minutes=number) for number in range(SHOWN_MINUTES))
    return tuple((minute, *known.get(minute, (0, 0, 0, 0))) for minute in minutes)  # type: ignore[misc]  # four figures each
