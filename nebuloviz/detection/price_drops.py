"""Counts, hour by hour, of invoices and of those whose prices lie far below their products' usual ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nebuloviz.detection.line_model import DropCounts
from nebuloviz.detection.product_memory import invoices
from nebuloviz.detection.series import COMPANY, HOURS_PER_DAY, FloatArray, Lines, Segment

DROP = -0.4  # log of the ratio to the usual price: a third off the median line of an invoice


@dataclass
class DropCounter:
    """Per wall hour and segment. Segments are the company and values of order dimensions, as many as there is room for.

    `segments` to begin with are those of a model that was trained before.
    """

    dimensions: tuple[str, ...]
    max_segments: int
    segments: list[Segment] = field(default_factory=lambda: [COMPANY])
    counts: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)  # hour -> segment -> invoices, drops

    def add(self, wall_hour: int, lines: Lines, ratio: FloatArray) -> None:
        """Count lines of one hour; `ratio` is the log of each price over the product's usual one, NaN where unknown."""
        invoice, ratio, first = _by_invoice(lines, ratio)
        if not len(invoice):
            return
        cell = self.counts.setdefault(wall_hour, {})
        dropped = ratio <= DROP
        self._count(cell, COMPANY, dropped)
        for name in self.dimensions:
            values = lines.dimensions[name][first]
            for value in pd.unique(values):
                if value != "":
                    self._count(cell, ((name, str(value)),), dropped[values == value])

    def _count(self, cell: dict[int, tuple[int, int]], segment: Segment, dropped: np.ndarray) -> None:
        if segment not in self.segments:
            if len(self.segments) >= self.max_segments:
                return
            self.segments.append(segment)
        column = self.segments.index(segment)
        invoices_before, drops_before = cell.get(column, (0, 0))
        cell[column] = (invoices_before + len(dropped), drops_before + int(dropped.sum()))

    def table(self, first_day: int, end_hour: int) -> DropCounts:
        """The counts from midnight of `first_day` up to wall hour `end_hour`, hours without an invoice as zero."""
        start = first_day * HOURS_PER_DAY
        table = np.zeros((2, end_hour - start, len(self.segments)))
        for hour, cell in self.counts.items():
            if start <= hour < end_hour:
                for column, pair in cell.items():
                    table[:, hour - start, column] = pair
        return DropCounts(first_day, tuple(self.segments), table[0], table[1])

    def forget(self, before_hour: int) -> None:
        self.counts = {hour: cell for hour, cell in self.counts.items() if hour >= before_hour}


def _by_invoice(lines: Lines, ratio: FloatArray) -> tuple[np.ndarray, FloatArray, np.ndarray]:
    """Each invoice with a known price: its number, the median ratio, and where its first line stands."""
    known = np.flatnonzero(np.isfinite(ratio))
    invoice = invoices(lines)[known]
    order = np.lexsort((ratio[known], invoice))
    numbers, start, count = np.unique(invoice[order], return_index=True, return_counts=True)
    ordered = ratio[known][order]
    median = (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2 if len(numbers) else ordered
    return numbers, median, known[order][start]
