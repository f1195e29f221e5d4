"""The sample that an empty installation shows: its history is loaded by a process of its own, the rest replays as it comes due.

Both go through the same parser and sink as everything else. The file is only ever read in other processes: what that takes is
more than all the rest of the program.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from nebuloviz.background import Repeater
from nebuloviz.child import Child, ChildLostError, Children
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest import tasks
from nebuloviz.ingest.announce import OnWritten, announce
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.jobs import open_job
from nebuloviz.ingest.sample_plan import CURRENCY, HISTORY, LIVE, NAME, Plan, settled_plan
from nebuloviz.ingest.sinks import Sink
from nebuloviz.ingest.sources import ReplaySource, SourceFailed, Timed
from nebuloviz.observability import Health

_log = logging.getLogger(__name__)

HISTORY_LINES: Final = 10_000  # stored at once
LIVE_LINES: Final = 10_000  # read at once: some two days
_PAUSE_SECONDS = 2.0  # before a history that was cut off goes on
_JOIN_SECONDS = 8.0


class Demo:
    """Loads the history, and replays the rest from the moment the newest days are there. Started again, it goes on where it was.

    `storage` says where the history goes, `sink` stores what is live. `currency` is the installation's, '' for that of the sample;
    `folder` holds the files, by default those of the package.
    """

    def __init__(
        self,
        database: Database,
        sink: Sink,
        storage: tasks.Storage,
        on_written: Sequence[OnWritten] = (),
        *,
        currency: str = "",
        folder: Path | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._sink = sink
        self._storage = storage
        self._on_written = on_written
        self._currency = currency or CURRENCY
        self._folder = folder
        self._now = now
        self._children = Children()
        self._history = Repeater("sample history", self._load_history, _PAUSE_SECONDS)
        self._consumer: Consumer | None = None
        self._failed = ""

    def start(self) -> None:
        self._history.start()

    def stop(self) -> None:
        self._history.stop()
        if self._consumer is not None:
            self._consumer.stop()
        self._children.stop()

    def join(self, timeout_seconds: float = _JOIN_SECONDS) -> bool:
        """Wait for the end; False when it has not come."""
        deadline = time.monotonic() + timeout_seconds
        ended = self._history.join(timeout_seconds)
        return ended and (self._consumer is None or self._consumer.join(max(0.1, deadline - time.monotonic())))

    def health(self) -> Health:
        if self._failed:
            return Health(ok=False, detail=f"The sample cannot be loaded: {self._failed}")
        if self._consumer is None:
            return Health(ok=True, detail="The sample is starting.")
        return self._consumer.health()

    def _load_history(self) -> bool:
        """Load what is missing, in a child; one that was killed is followed by another."""
        try:
            plan = settled_plan(self._database, self._now())
            # Entered before anything is stored, so that nobody learns from a part of the history
            if open_job(self._database, HISTORY.topic, NAME, None, {}, "system", self._now()).state != "done":
                self._run_child(plan)
        except Exception as error:
            self._failed = f"{type(error).__name__}: {error}"
            raise
        self._failed = ""
        self._replay(plan)
        self._history.stop()
        return False

    def _run_child(self, plan: Plan) -> None:
        with self._children.running(
            Child(tasks.load_history, self._storage, plan, self._currency, self._folder, HISTORY_LINES)
        ) as child:
            for written in child.messages():
                self._replay(plan)
                announce(written, self._on_written)

    def _replay(self, plan: Plan) -> None:
        """Start the live lines, once."""
        if self._consumer is not None or self._children.stopping:
            return
        lines = _LiveLines(lambda offset: self._read(plan, offset))
        source = ReplaySource(LIVE, lines.records_from, beginning=lines.beginning, now=self._now, limit=2000)
        self._consumer = Consumer(source, self._sink, None, self._on_written, self._now)
        self._consumer.start()

    def _read(self, plan: Plan, offset: int | None) -> list[Timed]:
        try:
            with self._children.running(
                Child(tasks.read_live, plan, self._currency, self._folder, offset, LIVE_LINES)
            ) as child:
                return [line for block in child.messages() for line in block]
        except ChildLostError as error:
            raise SourceFailed(str(error)) from error


class _LiveLines:
    """The sample's lines as a replay wants them, read block by block; `read` gives the block at an offset, or (None) the first."""

    def __init__(self, read: Callable[[int | None], list[Timed]]) -> None:
        self._read = read
        self._first: list[Timed] = []

    def beginning(self) -> int:
        """Offset of the first line."""
        self._first = self._read(None)
        return self._first[0].record.offset

    def records_from(self, offset: int) -> Iterator[Timed]:
        """All lines from an offset on; there is always another one. Raises SourceFailed."""
        block, self._first = self._first, []
        if not block or block[0].record.offset != offset:
            block = self._read(offset)
        while True:
            yield from block
            block = self._read(block[-1].record.offset + 1)
