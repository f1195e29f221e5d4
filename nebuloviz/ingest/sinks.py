"""Where batches go. The sink and the offsets belong together: a batch and the offset after it are stored in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, insert, rows_changed
from nebuloviz.ingest.batch import ACCEPTED, DUPLICATE, Batch, Outcome, Written
from nebuloviz.ingest.failpoints import reach
from nebuloviz.ingest.sale import Reason, Rejected, Sale
from nebuloviz.ingest.writer import SaleWriter
from nebuloviz.models import IngestGap, IngestOffset


class StaleOffset(Exception):
    """Somebody else has written this partition meanwhile: the writer is a zombie, and must load the offset again."""


class Position(NamedTuple):
    """How far a partition is stored; `halted_reason` is '' while it runs."""

    next_offset: int
    halted_reason: str = ""


class Sink(ABC):
    """Stores batches exactly once, whatever crashes and however often they are delivered. Used by one thread at a time."""

    @abstractmethod
    def position(self, topic: str, partition: int) -> Position | None:
        """Where to continue, asked when a partition is assigned; None where nothing was ever stored."""

    @abstractmethod
    def begin(self, topic: str, partition: int, offset: int) -> Position:
        """Enter a partition that has no position yet, starting at `offset`. Returns the position that holds, also if it was there."""

    @abstractmethod
    def write(self, batch: Batch) -> Written:
        """Store the batch and its offset, all or nothing. On return it will survive a crash.

        Raises:
            StaleOffset: the partition is not at `batch.loaded`; nothing was stored.
            sqlalchemy.exc.DBAPIError: the database does not answer; nothing was stored, or, if it was lost while it committed,
                all of it.
        """

    @abstractmethod
    def halt(self, topic: str, partition: int, reason: str) -> None:
        """Mark a partition as halted, for people to see; '' sets it going again."""

    @abstractmethod
    def skip(self, topic: str, partition: int, loaded: int, next_offset: int) -> None:
        """Record that the offsets from `loaded` up to `next_offset` can never be read. Raises StaleOffset."""


class ListSink(Sink):
    """Keeps everything in lists, and refuses what a database would refuse: for tests, and for trying things out."""

    def __init__(self) -> None:
        self.sales: list[Sale] = []
        self.rejected: list[tuple[int, Rejected]] = []
        self.gaps: list[tuple[str, int, int, int]] = []
        self.positions: dict[tuple[str, int], Position] = {}
        self._fingerprints: dict[bytes, int] = {}

    def position(self, topic: str, partition: int) -> Position | None:
        return self.positions.get((topic, partition))

    def begin(self, topic: str, partition: int, offset: int) -> Position:
        return self.positions.setdefault((topic, partition), Position(offset))

    def write(self, batch: Batch) -> Written:
        self._advance(batch.topic, batch.partition, batch.loaded, batch.next_offset)
        outcomes = [self._take(item.record.offset, item.parsed) for item in batch.items]
        sales = [
            item.parsed
            for item, outcome in zip(batch.items, outcomes, strict=True)
            if outcome is ACCEPTED and isinstance(item.parsed, Sale)
        ]
        self.sales.extend(sales)
        days = frozenset(sale.sold_at.date() for sale in sales)
        return Written(batch.topic, batch.partition, batch.next_offset, outcomes, sales, days)

    def halt(self, topic: str, partition: int, reason: str) -> None:
        self.positions[topic, partition] = self.positions[topic, partition]._replace(halted_reason=reason)

    def skip(self, topic: str, partition: int, loaded: int, next_offset: int) -> None:
        self._advance(topic, partition, loaded, next_offset)
        self.gaps.append((topic, partition, loaded, next_offset))

    def _advance(self, topic: str, partition: int, loaded: int, next_offset: int) -> None:
        position = self.positions[topic, partition]
        if position.next_offset != loaded:
            raise StaleOffset
        self.positions[topic, partition] = position._replace(next_offset=next_offset)

    def _take(self, offset: int, parsed: Sale | Rejected) -> Outcome:
        if isinstance(parsed, Sale):
            known = self._fingerprints.get(parsed.key)
            if known in (None, parsed.fingerprint):
                self._fingerprints[parsed.key] = parsed.fingerprint
                return ACCEPTED if known is None else DUPLICATE
            parsed = Rejected(Reason.CONFLICT, f"the sale id {parsed.sale_id} is known with another payload")
        self.rejected.append((offset, parsed))
        return Outcome("rejected", parsed)


class DatabaseSink(Sink):
    """The installation's database, PostgreSQL or SQLite. Processes share it; each has a sink of its own.

    `now` gives the time of arrival, which is stored with each sale.
    """

    def __init__(
        self, database: Database, zone: ZoneInfo, currency: str = "", now: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._writer = SaleWriter(zone, currency)
        self._now = now

    def position(self, topic: str, partition: int) -> Position | None:
        with self._database.session() as session:
            return _position(session, topic, partition)

    def begin(self, topic: str, partition: int, offset: int) -> Position:
        row = {"topic": topic, "partition": partition, "next_offset": offset, "updated_at": self._now()}
        with self._database.transaction() as session:
            session.execute(insert(session, IngestOffset).values(row).on_conflict_do_nothing())
            position = _position(session, topic, partition)
        assert position is not None, "it was inserted, or was there"  # noqa: S101 - follows from the statement above
        return position

    def write(self, batch: Batch) -> Written:
        reach("before_tx")
        try:
            with self._database.transaction() as session:
                advance_offset(session, batch.topic, batch.partition, batch.loaded, batch.next_offset)
                reach("after_offset")
                written = self._writer.write(session, batch, self._now())
                reach("before_commit")
        except BaseException:
            self._writer.forget()
            raise
        reach("after_commit")
        return written

    def halt(self, topic: str, partition: int, reason: str) -> None:
        here = (IngestOffset.topic == topic) & (IngestOffset.partition == partition)
        with self._database.transaction() as session:
            session.execute(update(IngestOffset).where(here).values(halted_reason=reason, updated_at=self._now()))

    def skip(self, topic: str, partition: int, loaded: int, next_offset: int) -> None:
        gap = IngestGap(
            topic=topic, partition=partition, first_offset=loaded, next_offset=next_offset, noticed_at=self._now()
        )
        with self._database.transaction() as session:
            advance_offset(session, topic, partition, loaded, next_offset)
            session.add(gap)


def advance_offset(session: Session, topic: str, partition: int, loaded: int, next_offset: int) -> None:
    """Compare and set. Comparing with what was loaded, not with the batch's first offset: offsets have gaps.

    Raises:
        StaleOffset: the partition is not at `loaded`.
    """
    here = (IngestOffset.topic == topic) & (IngestOffset.partition == partition) & (IngestOffset.next_offset == loaded)
    result = session.execute(update(IngestOffset).where(here).values(next_offset=next_offset))
    if rows_changed(result) != 1:
        raise StaleOffset(f"{topic}/{partition} is not at {loaded} any more")


def _position(session: Session, topic: str, partition: int) -> Position | None:
    columns = select(IngestOffset.next_offset, IngestOffset.halted_reason)
    row = session.execute(columns.where(IngestOffset.topic == topic, IngestOffset.partition == partition)).first()
    return None if row is None else Position(row.next_offset, row.halted_reason)
