"""Stored sales on their way from a consumer to the line watch, which works in another process."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from nebuloviz.clock import utc_now
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.sale import Sale
from nebuloviz.observability import LINES_UNJUDGED

MAX_AGE = timedelta(days=2)  # of a sale that is still judged
QUEUE_LINES = 20_000

_log = logging.getLogger(__name__)


class LineFeed:
    """Takes what a consumer has stored, and gives it batch by batch. Its methods may be called from any thread.

    What comes faster than it is judged is left out and counted: alerts on lines are worth having and not worth waiting for.
    """

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._queue: deque[Sequence[Sale]] = deque()
        self._n_unjudged = 0  # those in the queue, and those given away and not yet judged
        self._leaving_out = False

    def on_written(self, written: Written) -> None:
        """Take over the young ones of a stored batch, for a consumer. Never waits; what finds no room is left out."""
        oldest = self._now() - MAX_AGE
        sales = [sale for sale in written.sales if sale.sold_at >= oldest]
        if not sales:
            return
        with self._changed:
            fits = not self._n_unjudged or self._n_unjudged + len(sales) <= QUEUE_LINES
            if fits:
                self._queue.append(sales)
                self._n_unjudged += len(sales)
                self._changed.notify()
            turned = self._leaving_out == fits
            self._leaving_out = not fits
        if not fits:
            LINES_UNJUDGED.inc(len(sales))
        if turned:
            _log.warning(
                "sale lines arrive faster than they can be judged: %s", "no more" if fits else "some are left out"
            )

    def next(self, timeout_seconds: float) -> Sequence[Sale]:
        """The next batch to judge; none when there is none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue, timeout_seconds)
            return self._queue.popleft() if self._queue else ()

    def judged(self, n_lines: int) -> None:
        """So many lines of those given away make room for others."""
        with self._changed:
            self._n_unjudged -= n_lines

    def forget(self) -> None:
        """Whoever was to judge what was given away is gone, and that with it."""
        with self._changed:
            self._n_unjudged = sum(map(len, self._queue))
