"""Sale lines -> hourly buckets, in memory: what the rollup tables hold, for replays and tests that have no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nebuloviz.detection.series import FloatArray, HourBuckets, IntArray, Lines, SeriesKey, TextArray

METRICS = ("revenue", "orders", "units")


def buckets_from_rows(lines: Lines, dimensions: Sequence[str], start: int, end: int) -> HourBuckets:
    """Revenue, orders and units of hours [start, end), in total and per value of each dimension that occurs in them.

    An order counts once in every cell that it has a line in, as in the rollup tables. Lines outside the hours are left out.
    """
    inside = np.flatnonzero((lines.hour >= start) & (lines.hour < end))
    chosen = lines[inside]
    rows = chosen.hour - start
    order = pd.factorize(chosen.order_id)[0].astype(np.int64)
    keys: list[SeriesKey] = []
    columns: list[FloatArray] = []
    for name, segment, values in _segments(chosen, dimensions):
        table = _measures(chosen, rows, order, segment, len(values), end - start)
        for code, value in enumerate(values):
            pair = ((name, value),) if name else ()
            keys += [SeriesKey(metric, pair) for metric in METRICS]
            columns += [measure[:, code] for measure in table]
    return HourBuckets(start, tuple(keys), np.stack(columns, axis=1))


def _segments(lines: Lines, dimensions: Sequence[str]) -> list[tuple[str, IntArray, list[str]]]:
    """The total and each dimension: its name, each line's code (-1: no value), and the values."""
    found = [("", np.zeros(len(lines), np.int64), [""])]
    for name in dimensions:
        codes, values = pd.factorize(_without_blanks(lines.dimensions[name]), sort=True)
        found.append((name, codes.astype(np.int64), [str(value) for value in values]))
    return found


def _without_blanks(values: TextArray) -> TextArray:
    known = values.copy()
    known[values == ""] = None
    return known


def _measures(
    lines: Lines, rows: IntArray, order: IntArray, segment: IntArray, n_segments: int, n_hours: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Revenue, orders and units, each shaped (hours, segments)."""
    known = segment >= 0
    cell = (rows * n_segments + segment)[known]
    size = n_hours * n_segments
    pairs = pd.unique(cell * (order.max(initial=0) + 1) + order[known])
    orders = np.bincount(pairs // (order.max(initial=0) + 1), minlength=size)
    revenue = np.bincount(cell, weights=np.nan_to_num(lines.amount[known]), minlength=size)
    units = np.bincount(cell, weights=lines.quantity[known], minlength=size)
    shape = (n_hours, n_segments)
    return _table(revenue, shape), _table(orders, shape), _table(units, shape)


def _table(cells: npt.NDArray[Any], shape: tuple[int, int]) -> FloatArray:
    return cells.astype(np.float64).reshape(shape)
