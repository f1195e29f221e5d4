"""Where records come from. A source delivers bytes and positions; what they mean is `parse`'s business, what is stored the sink's."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from nebuloviz.clock import utc_now
from nebuloviz.ingest.sale import Record


class Partition(NamedTuple):
    """One ordered stream of records with offsets that grow."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class SourceFailed(Exception):
    """Nothing could be read. The source repairs itself at the next poll; every partition waits for a `seek` again."""


class Undecodable(SourceFailed):
    """The record at a partition's position cannot be read, although its server delivers it."""

    def __init__(self, partition: Partition, detail: str) -> None:
        super().__init__(f"{partition}: {detail}")
        self.partition = partition
        self.detail = detail


class OutOfRange(SourceFailed):
    """The source no longer has (or does not yet have) `offset`; what it has begins at `beginning` and ends before `end`."""

    def __init__(self, partition: Partition, offset: int, beginning: int, end: int) -> None:
        super().__init__(f"{partition}: offset {offset} is outside {beginning} to {end}")
        self.partition, self.offset, self.beginning, self.end = partition, offset, beginning, end


class Source(ABC):
    """A set of partitions, read in order. All methods are called by one thread.

    A partition delivers nothing until `seek` has said where to start; those assigned and not yet placed are `waiting`.
    """

    @abstractmethod
    def waiting(self) -> Collection[Partition]:
        """Partitions that need a `seek`. After a rebalance or a failure a partition comes here again."""

    @abstractmethod
    def assigned(self) -> Collection[Partition]:
        """The partitions that this reader has at the moment, paused ones too, as far as known without asking a server.

        May be called from any thread.
        """

    @abstractmethod
    def beginning(self, partition: Partition) -> int:
        """The first offset that there is. Raises SourceFailed."""

    @abstractmethod
    def seek(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on; a paused partition goes on. Nothing happens when it is no longer assigned."""

    @abstractmethod
    def pause(self, partition: Partition) -> None:
        """Deliver nothing of the partition until the next `seek`."""

    @abstractmethod
    def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
        """What has come in, by partition and in order of offsets; waits at most `timeout_seconds` (and no longer than half a second).

        Raises:
            SourceFailed: see there and its kinds.
        """

    @abstractmethod
    def lag(self) -> Mapping[Partition, int]:
        """Records that are there and not yet delivered, as far as known without asking a server."""

    def commit(self, positions: Mapping[Partition, int]) -> None:  # noqa: B027 - most sources have nobody to tell
        """Tell the source's own server how far all is stored. Advisory: called at most once a second, and allowed to fail."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever come again."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Leave. Takes at most a few seconds."""


class ListSource(Source):
    """Delivers given records, at most `limit` a poll: for tests, and for what is in memory anyway."""

    def __init__(self, records: Iterable[Record], limit: int = 1000) -> None:
        ordered = sorted(records, key=lambda record: (record.topic, record.partition, record.offset))
        self._records = {
            Partition(*key): list(group) for key, group in groupby(ordered, key=lambda r: (r.topic, r.partition))
        }
        self._limit = limit
        self._left: dict[Partition, list[Record]] = {}
        self._paused: set[Partition] = set()
        self.committed: dict[Partition, int] = {}
        self.closed = False

    def waiting(self) -> Collection[Partition]:
        return [partition for partition in self._records if partition not in self._left]

    def assigned(self) -> Collection[Partition]:
        return self._records.keys()

    def beginning(self, partition: Partition) -> int:
        return self._records[partition][0].offset

    def seek(self, partition: Partition, offset: int) -> None:
        self._left[partition] = [record for record in self._records[partition] if record.offset >= offset]
        self._paused.discard(partition)

    def pause(self, partition: Partition) -> None:
        self._paused.add(partition)

    def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:  # noqa: ARG002 - nothing to wait for
        running = {partition: left for partition, left in self._left.items() if left and partition not in self._paused}
        taken = {partition: left[: self._limit] for partition, left in running.items()}
        for partition, records in taken.items():
            self._left[partition] = self._left[partition][len(records) :]
        return taken

    def lag(self) -> Mapping[Partition, int]:
        return {partition: len(left) for partition, left in self._left.items()}

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self.committed.update(positions)

    @property
    def exhausted(self) -> bool:
        return not self.waiting() and not any(self._left.values())

    def close(self) -> None:
        self.closed = True


class Timed(NamedTuple):
    """A record and the moment from which it may be delivered."""

    due: datetime
    record: Record


class ReplaySource(Source):
    """Plays one partition of records that lie at hand, each when it is due.

    `records_from(offset)` gives them from an offset on, with due times that do not fall; `now` is the clock that they are due by.
    """

    def __init__(
        self,
        partition: Partition,
        records_from: Callable[[int], Iterator[Timed]],
        *,
        beginning: Callable[[], int] = lambda: 0,
        now: Callable[[], datetime] = utc_now,
        limit: int = 5000,
    ) -> None:
        self._partition = partition
        self._beginning = beginning
        self._records_from = records_from
        self._now = now
        self._limit = limit
        self._records: Iterator[Timed] | None = None
        self._ahead: Timed | None = None
        self._paused = False

    def waiting(self) -> Collection[Partition]:
        return [] if self._records is not None else [self._partition]

    def beginning(self, partition: Partition) -> int:  # noqa: ARG002 - there is only one
        return self._beginning()

    def seek(self, partition: Partition, offset: int) -> None:  # noqa: ARG002 - there is only one
        self._records = self._records_from(offset)
        self._ahead = next(self._records, None)
        self._paused = False

    def pause(self, partition: Partition) -> None:  # noqa: ARG002 - there is only one
        self._paused = True

    def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
        wait = min(timeout_seconds, 0.5)
        if self._records is None or self._ahead is None or self._paused:
            time.sleep(wait)
            return {}
        early = (self._ahead.due - self._now()).total_seconds()
        if early > 0:
            time.sleep(min(early, wait))
        taken = self._take(self._now())
        return {self._partition: taken} if taken else {}

    def _take(self, now: datetime) -> list[Record]:
        assert self._records is not None, "poll has checked"  # noqa: S101 - an invariant of this class
        taken: list[Record] = []
        while self._ahead is not None and self._ahead.due <= now and len(taken) < self._limit:
            taken.append(self._ahead.record)
            self._ahead = next(self._records, None)
        return taken

    def assigned(self) -> Collection[Partition]:
        return (self._partition,)

    def lag(self) -> Mapping[Partition, int]:
        """1 while something is due, else 0: how much more there is, only reading it would tell."""
        due = self._ahead is not None and not self._paused and self._ahead.due <= self._now()
        return {self._partition: int(due)}

    @property
    def exhausted(self) -> bool:
        return self._records is not None and self._ahead is None

    def close(self) -> None:
        self._records = None
        self._ahead = None


class IteratorSource(ReplaySource):
    """Delivers one partition of records as fast as they are taken: files, and the sample's history."""

    def __init__(
        self, partition: Partition, records_from: Callable[[int], Iterator[Record]], *, limit: int = 20_000
    ) -> None:
        super().__init__(
            partition, lambda offset: (Timed(_ALWAYS, record) for record in records_from(offset)), limit=limit
        )


_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
