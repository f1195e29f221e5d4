"""The sample as records, each from any offset on: history newest days first, live in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sample_data import REPEAT_SECONDS, REPEAT_START, Lines, SampleFile
from nebuloviz.ingest.sample_plan import CURRENCY, DAY_SECONDS, HISTORY, LIVE, Plan
from nebuloviz.ingest.sample_schedule import arrivals
from nebuloviz.ingest.sources import Partition, Timed

#: Offsets of the n-th pass through the file begin at n times this.
PASS_OFFSETS: Final = 10_000_000


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
