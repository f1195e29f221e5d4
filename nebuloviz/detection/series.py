"""What is watched: the name of a series, closed buckets, and sale lines, all as arrays.

Buckets of a grain are whole numbers since 1970-01-01T00:00 UTC: hour `h` holds what was sold in [h, h + 1) hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from nebuloviz.detection.grain import HOUR

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.object_]

#: (dimension, value) pairs, sorted by dimension: the sales that have all of these values.
Segment = tuple[tuple[str, str], ...]
COMPANY: Segment = ()

MICROSECONDS_PER_HOUR = 3_600_000_000
HOURS_PER_DAY = 24
HOURS_PER_WEEK = 168
# A value of a dimension may hold the signs that the name of a series is made of.
_ESCAPED = {"%": "%25", ",": "%2C", "=": "%3D", "|": "%7C"}


def time_of_hour(hour: int) -> datetime:
    """The UTC moment at which bucket `hour` starts."""
    return HOUR.time_of(hour)


def hour_of_time(moment: datetime) -> int:
    """The bucket that holds an aware `moment`."""
    return HOUR.bucket_of(moment)


def within(segment: Segment, of: Segment) -> bool:
    """Whether every sale of `segment` is one of the segment `of` as well; a segment is within itself, and all are within `COMPANY`."""
    return set(of) <= set(segment)


@dataclass(frozen=True, order=True)
class SeriesKey:
    """A metric, in total or for one combination of dimension values. Written `metric` or `metric|dim=value,...`.

    >>> str(SeriesKey.of("revenue", region="Europe"))
    'revenue|region=Europe'
    >>> SeriesKey.parse("revenue|region=Europe").dimensions
    (('region', 'Europe'),)
    """

    metric: str
    dimensions: Segment = ()

    @classmethod
    def of(cls, metric: str, **dimensions: str) -> SeriesKey:
        return cls(metric, tuple(sorted(dimensions.items())))

    @classmethod
    def parse(cls, text: str) -> SeriesKey:
        """The inverse of `str`. Raises ValueError for text that no key is written as."""
        metric, _, rest = text.partition("|")
        pairs = [part.partition("=") for part in rest.split(",")] if rest else []
        if not metric or any(not name or not equals for name, equals, _ in pairs):
            raise ValueError(f"not the name of a series: {text!r}")
        return cls(metric, tuple(sorted((name, unquote(value)) for name, _, value in pairs)))

    def __str__(self) -> str:
        parts = ",".join(f"{name}={_escape(value)}" for name, value in self.dimensions)
        return f"{self.metric}|{parts}" if parts else self.metric


def _escape(value: str) -> str:
    return "".join(_ESCAPED.get(sign, sign) for sign in value)


@dataclass(frozen=True)
class Watching:
    """A series that is judged, and the local day (days since 1970) from which on it can raise alerts."""

    key: SeriesKey
    from_day: int
    grain: str  # of the buckets that it is judged in, as a query calls it


@dataclass(frozen=True)
class Buckets:
    """Closed buckets of one grain without gaps: `values[i, k]` is what series `keys[k]` came to in bucket `start + i`."""

    start: int
    keys: tuple[SeriesKey, ...]
    values: FloatArray  # (buckets, series), in the metric's unit

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.keys):
            raise ValueError(f"{len(self.keys)} series, but values shaped {self.values.shape}")

    @property
    def end(self) -> int:
        """The first bucket after the last one."""
        return self.start + len(self.values)

    def between(self, start: int, end: int) -> Buckets:
        """Those in [start, end), as far as there are any."""
        first, last = min(max(start, self.start), self.end), min(end, self.end)
        return Buckets(first, self.keys, self.values[first - self.start : max(last, first) - self.start])


@dataclass(frozen=True)
class Lines:
    """Sale lines in the order of their arrival; all arrays are as long as there are lines."""

    sold_at: IntArray  # microseconds since 1970 UTC
    order_id: TextArray
    product_id: TextArray
    quantity: FloatArray  # units, negative for returns
    unit_price: FloatArray  # currency units; 0 or NaN where there is none
    dimensions: Mapping[str, TextArray] = field(default_factory=dict)  # '' where a line has no value

    def __len__(self) -> int:
        return len(self.sold_at)

    def __getitem__(self, which: slice | npt.NDArray[Any]) -> Lines:
        return Lines(
            self.sold_at[which],
            self.order_id[which],
            self.product_id[which],
            self.quantity[which],
            self.unit_price[which],
            {name: values[which] for name, values in self.dimensions.items()},
        )

    @cached_property
    def hour(self) -> IntArray:
        """The hourly bucket of each line."""
        return self.sold_at // MICROSECONDS_PER_HOUR


def runs(values: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """The [start, end) of each run of equal neighbours."""
    if not len(values):
        return []
    edges = np.flatnonzero(np.r_[True, values[1:] != values[:-1], True])
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def keys_of(metrics: Sequence[str], segments: Iterable[tuple[tuple[str, str], ...]]) -> tuple[SeriesKey, ...]:
    """Each metric of each segment, metric by metric."""
    known = tuple(segments)
    return tuple(SeriesKey(metric, segment) for metric in metrics for segment in known)
