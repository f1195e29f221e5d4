"""A shop that sells enough to be watched by the quarter of an hour: a hundred orders in each, Monday to Saturday from 9 to 18."""

from __future__ import annotations

import numpy as np

from nebuloviz.detection.grain import QUARTER_HOUR
from nebuloviz.detection.grained_watch import Closed, GrainedWatch
from nebuloviz.detection.series import Buckets, FloatArray, SeriesKey
from tests.detection.shop import NORTH, SOUTH, START, TOTAL

WEST = SeriesKey.of("orders", region="west")  # too small for quarter hours
KEYS = (TOTAL, NORTH, SOUTH, WEST)
WEEK = 7 * 96
_SHARES = np.array([0.68, 0.3, 0.02])
_FIVE = 3  # times five minutes in a quarter


def orders(
    weeks: int, *, seed: int = 2, an_hour: float = 400.0, outage: tuple[int, int] | None = None
) -> tuple[Buckets, Buckets]:
    """Hours and quarter hours of the same Poisson orders; none in the `outage`, [first, last) fives of minutes since the start."""
    fives = np.arange(weeks * WEEK * _FIVE)
    weekday, hour = fives // 288 % 7, fives // 12 % 24
    is_open = (weekday < 6) & (hour >= 9) & (hour < 18)
    due = np.where(is_open, an_hour / 12 * np.where(weekday == 5, 1.5, 1.0), 0.0)
    if outage:
        due[slice(*outage)] = 0.0
    regions = np.random.default_rng(seed).poisson(due[:, None] * _SHARES).astype(float)
    sold = np.column_stack([regions.sum(axis=1), regions])
    return _buckets(sold, 12, START), _buckets(sold, _FIVE, QUARTER_HOUR.of_hour(START))


def _buckets(sold: FloatArray, fives: int, start: int) -> Buckets:
    return Buckets(start, KEYS, sold.reshape(-1, fives, len(KEYS)).sum(axis=1))


def large_of(watch: GrainedWatch, quarters: Buckets, first: int, last: int) -> Buckets:
    """What is read of [first, last) for a watch: the quarter hours of its large segments."""
    kept = [place for place, key in enumerate(KEYS) if key.dimensions in watch.large]
    found = quarters.between(first, last)
    return Buckets(found.start, tuple(KEYS[place] for place in kept), found.values[:, kept])


def closed(watch: GrainedWatch, hours: Buckets, quarters: Buckets, until: int) -> Closed:
    """What has closed up to quarter hour `until` and has not been fed."""
    first = hours.start if watch.hours.next_bucket is None else watch.hours.next_bucket
    hours = hours.between(first, QUARTER_HOUR.hour_of(until))
    if watch.quarters is None:
        return Closed(hours)
    return Closed(hours, large_of(watch, quarters, watch.quarters.next_bucket or 0, until))
