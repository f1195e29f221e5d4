"""What a consumer does, as Prometheus figures."""

from __future__ import annotations

import time
from collections.abc import Mapping

from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.sources import Partition
from nebuloviz.observability import (
    BATCH_SALES,
    CONSUMER_FAILURES,
    CONSUMER_HALTED,
    CONSUMER_LAG,
    CONSUMER_PROGRESS,
    SALES,
    SALES_REJECTED,
)

_SHOWN_SECONDS_APART = 1.0


def observe(written: Written) -> None:
    """Count a stored batch, whatever brought it."""
    SALES.labels("accepted").inc(written.accepted)
    SALES.labels("duplicate").inc(written.duplicates)
    SALES.labels("rejected").inc(written.rejected)
    for outcome in written.outcomes:
        if outcome.rejected is not None:
            SALES_REJECTED.labels(str(outcome.rejected.reason)).inc()
    BATCH_SALES.observe(len(written.outcomes))


class ConsumerFigures:
    """How one consumer stands: its lag by partition, its last progress, and what is halted."""

    def __init__(self) -> None:
        self._shown_at = 0.0
        self._shown: set[str] = set()

    def progress(self, partition: Partition) -> None:
        """A batch of this partition is stored."""
        CONSUMER_PROGRESS.labels(str(partition.number)).set_to_current_time()

    def failure(self) -> None:
        """Something could not be read or stored, and will be tried again."""
        CONSUMER_FAILURES.inc()

    def show(self, lags: Mapping[Partition, int], n_halted: int) -> None:
        """Take over how much waits, at most once a second; partitions that have gone to another process are forgotten."""
        now = time.monotonic()
        if now - self._shown_at < _SHOWN_SECONDS_APART:
            return
        self._shown_at = now
        numbers = {str(partition.number): lag for partition, lag in lags.items()}
        for gone in self._shown - set(numbers):
            CONSUMER_LAG.remove(gone)
            CONSUMER_PROGRESS.remove(gone)
        for came in set(numbers) - self._shown:
            CONSUMER_PROGRESS.labels(came).set_to_current_time()  # nothing stored yet must be seen to last, too
        for number, lag in numbers.items():
            CONSUMER_LAG.labels(number).set(lag)
        self._shown = set(numbers)
        CONSUMER_HALTED.set(n_halted)
