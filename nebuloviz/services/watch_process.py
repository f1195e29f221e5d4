"""The process that watches sales, beside a process that serves or ingests: kept alive, fed with sale lines, and heard.

What it loads and learns takes hundreds of megabytes and whole seconds of a processor, which its parent's pages never feel.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Metric

from nebuloviz.background import Repeater
from nebuloviz.child import Child, ChildLostError, Children
from nebuloviz.clock import utc_now
from nebuloviz.observability import WATCH_LOST, show_detection
from nebuloviz.services.line_feed import LineFeed

SERIES_TASK = "series watch"  # what the processes elect one of them for
LEASE_LIFE = timedelta(seconds=9)  # so soon after its holder is lost, another process may be elected
_PAUSE_SECONDS = 1.0  # before another one, doubled each time that one is lost early
_STEADY_SECONDS = 60.0  # lost later than so, it was lost by accident
_LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """The task has done with so many lines of those that it was sent."""

    n_lines: int


@dataclass(frozen=True)
class Figures:
    """The task's metrics, as they stand."""

    families: Sequence[Metric]


class WatchProcess:
    """Starts the process that `new_child` makes, and another whenever it is lost. Give `on_written` to consumers.

    The child is sent batches of sales, and tells `Judged` for each and now and then its `Figures`.
    """

    def __init__(self, new_child: Callable[[], Child], now: Callable[[], datetime] = utc_now) -> None:
        self._new_child = new_child
        self._feed = LineFeed(now)
        self.on_written = self._feed.on_written
        self._children = Children()
        self._keeper = Repeater("watch process", self._run, _PAUSE_SECONDS)

    def start(self) -> None:
        self._keeper.start()

    @property
    def failures(self) -> int:
        """How many of the last processes ended by themselves as soon as they had begun."""
        return self._keeper.failures

    def stop(self) -> None:
        """Tell it to end; `join` waits for that."""
        self._keeper.stop()
        self._children.stop()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for its end, and bring it about after the time; whether it had come by itself."""
        ended = self._children.join(timeout_seconds)
        return self._keeper.join(_LOOK_SECONDS) and ended

    def _run(self) -> bool:
        """One process, until it ends. Raises where that was early, so that the next comes later and later."""
        started = time.monotonic()
        self._feed.forget()
        try:
            with self._children.running(self._new_child()) as child, self._fed(child):
                for message in child.messages():
                    self._hear(message)
        except ChildLostError as error:
            if self._children.stopping:
                return False
            WATCH_LOST.inc()
            if time.monotonic() - started < _STEADY_SECONDS:
                raise
            _log.warning("The process that watches sales was lost (%s); another one goes on.", error)
        return False

    @contextmanager
    def _fed(self, child: Child) -> Iterator[None]:
        """Lines are sent to `child` inside the block."""
        ended = threading.Event()
        feeder = threading.Thread(target=self._send, args=(child, ended), name="watch feed", daemon=True)
        feeder.start()
        try:
            yield
        finally:
            ended.set()
            child.stop()
            feeder.join()

    def _send(self, child: Child, ended: threading.Event) -> None:
        while not ended.is_set():
            sales = self._feed.next(_LOOK_SECONDS)
            if sales and not child.send(sales):
                return

    def _hear(self, message: Any) -> None:
        if isinstance(message, Judged):
            self._feed.judged(message.n_lines)
        elif isinstance(message, Figures):
            show_detection(message.families)
