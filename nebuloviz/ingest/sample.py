"""The sample that an empty installation shows: a year of real supermarket sales, moved so that it goes on now.

What lies before now is loaded as history, newest days first; what lies behind it replays as the clock reaches it, through the
same parser and sink as everything else. Both are numbered in an order that follows from the file and from one stored decision
(how many weeks it is moved, and where history ended), so a restart continues where the sink stands.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer, OnWritten
from nebuloviz.ingest.jobs import finish_job, open_job
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sample_data import (
    DAY_SECONDS,
    HISTORY_END,
    REPEAT_SECONDS,
    REPEAT_START,
    WEEK_SECONDS,
    Lines,
    SampleFile,
)
from nebuloviz.ingest.sample_schedule import arrivals
from nebuloviz.ingest.sinks import Sink
from nebuloviz.ingest.sources import IteratorSource, Partition, ReplaySource, Timed
from nebuloviz.models import Installation
from nebuloviz.observability import Health

log = logging.getLogger(__name__)

HISTORY: Final = Partition("sample:history", 0)
LIVE: Final = Partition("sample:live", 0)
NAME: Final = "The Complete Journey"
CURRENCY: Final = "USD"
#: Offsets of the n-th pass through the file begin at n times this.
PASS_OFFSETS: Final = 10_000_000
_PLAN_KEY = "sample"
_JOIN_SECONDS = 8.0


@dataclass(frozen=True)
class Plan:
    """The decision taken at the first start: by how many weeks the file is moved, and the moment of the file that was then 'now'."""

    weeks: int
    cut: int

    @property
    def shift_seconds(self) -> int:
        return self.weeks * WEEK_SECONDS


def plan_at(now: datetime) -> Plan:
    """Move the file by the whole weeks that bring the end of its 44th week to at most a week before `now`."""
    weeks = (int(now.timestamp()) - HISTORY_END) // WEEK_SECONDS
    return Plan(weeks, int(now.timestamp()) - weeks * WEEK_SECONDS)


def settled_plan(database: Database, now: datetime) -> Plan:
    """The stored plan; made and stored at the first call."""
    with database.transaction() as session:
        stored = session.execute(select(Installation.value).where(Installation.key == _PLAN_KEY)).scalar_one_or_none()
        if stored is not None:
            return Plan(**json.loads(stored))
        plan = plan_at(now)
        session.add(Installation(key=_PLAN_KEY, value=json.dumps({"weeks": plan.weeks, "cut": plan.cut})))
        return plan


def is_started(database: Database) -> bool:
    """Whether this installation shows the sample already."""
    with database.session() as session:
        return session.get(Installation, _PLAN_KEY) is not None


class SampleStream:
    """The sample's records: `history` and `live`, each from any offset."""

    def __init__(self, file: SampleFile, plan: Plan, currency: str = CURRENCY) -> None:
        self._file = file
        self._plan = plan
        self._currency = currency
        self._kept: tuple[int, Lines, npt.NDArray[np.int64]] | None = None

    def history_size(self) -> int:
        """Number of lines that had arrived at the first start."""
        part = self._file.part_of(self._plan.cut)
        return self._file.bounds[part] + int(np.count_nonzero(self._part(part)[1] <= self._plan.cut))

    def history(self, offset: int) -> Iterator[Record]:
        """Newest days first, and in order of time within a day."""
        last = self._file.part_of(self._plan.cut)
        start = 0
        for number in range(last, -1, -1):
            n_lines = self._file.bounds[number + 1] - self._file.bounds[number]
            if number != last and start + n_lines <= offset:
                start += n_lines
                continue
            lines, moments = self._part(number)
            past = np.flatnonzero(moments <= self._plan.cut) if number == last else np.arange(n_lines)
            order = past[np.argsort(-(lines.seconds[past] // DAY_SECONDS), kind="stable")]
            yield from self._records(HISTORY, lines, order, start, max(offset - start, 0), 0)
            start += len(order)

    def live_beginning(self) -> int:
        """Offset of the first line that had not arrived at the first start."""
        return self.history_size()

    def live(self, offset: int) -> Iterator[Timed]:
        """In the order of arrival; pass after pass, without an end."""
        for number in count(offset // PASS_OFFSETS):
            shift = self._plan.shift_seconds + number * REPEAT_SECONDS
            base = number * PASS_OFFSETS
            for part in range(len(self._file.bounds) - 1):
                if base + self._file.bounds[part + 1] <= offset:
                    continue
                lines, moments = self._part(part)
                order = np.argsort(moments, kind="stable")
                first = max(offset - base - lines.first, 0)
                records = self._records(LIVE, lines, order, base + lines.first, first, number)
                for at, record in zip(order[first:].tolist(), records, strict=True):
                    # The file's first day would play twice in a later pass: it is also the day that the pass before ended with
                    if number == 0 or lines.seconds[at] >= REPEAT_START:
                        yield Timed(datetime.fromtimestamp(int(moments[at]) + shift, UTC), record)

    def _part(self, number: int) -> tuple[Lines, npt.NDArray[np.int64]]:
        """A part's lines and their moments of arrival. The last one is kept: history begins in the part that replay begins in."""
        if self._kept is None or self._kept[0] != number:
            self._kept = None  # before the next one is read, so that only one is in memory
            lines = self._file.part(number)
            self._kept = number, lines, arrivals(lines.seconds, lines.basket, lines.cents)
        return self._kept[1], self._kept[2]

    def _records(
        self, partition: Partition, lines: Lines, order: npt.NDArray[np.int64], start: int, first: int, number: int
    ) -> Iterator[Record]:
        shift = self._plan.shift_seconds + number * REPEAT_SECONDS
        suffix = f"-{number + 1}" if number else ""
        values = self._file.records(lines, order[first:].tolist(), shift, suffix, self._currency)
        return (Record(*partition, start + at, value) for at, value in enumerate(values, first))


class Demo:
    """Loads the history, then replays the rest, in a thread of its own. Started again, it goes on where it was.

    `currency` is the installation's, '' for that of the sample.
    """

    def __init__(
        self,
        database: Database,
        sink: Sink,
        on_written: Sequence[OnWritten] = (),
        *,
        currency: str = "",
        file: SampleFile | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._sink = sink
        self._on_written = on_written
        self._currency = currency or CURRENCY
        self._file = file or SampleFile()
        self._now = now
        self._stopping = threading.Event()
        self._consumer: Consumer | None = None
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="nebuloviz-demo", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._consumer is not None:
            self._consumer.stop()

    def join(self, timeout_seconds: float = _JOIN_SECONDS) -> bool:
        """Wait for the end; False when it has not come."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def health(self) -> Health:
        if self._failed:
            return Health(ok=False, detail=f"The sample has stopped: {self._failed}")
        return (
            self._consumer.health() if self._consumer is not None else Health(ok=True, detail="The sample is starting.")
        )

    def _run(self) -> None:
        try:
            stream = SampleStream(self._file, settled_plan(self._database, self._now()), self._currency)
            self._load_history(stream)
            self._replay(stream)
        except Exception as error:
            log.exception("The sample has stopped")
            self._failed = f"{type(error).__name__}: {error}"

    def _load_history(self, stream: SampleStream) -> None:
        size = stream.history_size()
        job = open_job(self._database, HISTORY.topic, NAME, size, {}, "system", self._now())
        if job.state == "done":
            return
        self._consume(
            Consumer(IteratorSource(HISTORY, stream.history, limit=5000), self._sink, None, self._on_written, self._now)
        )
        position = self._sink.position(*HISTORY)
        if position is not None and position.next_offset >= size:
            finish_job(self._database, job.id, "done", "", self._now())

    def _replay(self, stream: SampleStream) -> None:
        source = ReplaySource(LIVE, stream.live, beginning=stream.live_beginning, now=self._now, limit=2000)
        self._consume(Consumer(source, self._sink, None, self._on_written, self._now))

    def _consume(self, consumer: Consumer) -> None:
        self._consumer = consumer
        if not self._stopping.is_set():
            consumer.run()
