"""What the series watch remembers: observed and expected hours of each metric and segment, on the wall clock of the shop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.expectation import DayHistory, expect_day
from nebuloviz.detection.series import HOURS_PER_DAY, FloatArray, HourBuckets, IntArray

Segment = tuple[tuple[str, str], ...]
COMPANY: Segment = ()
KEEP_DAYS = 77  # eight weeks to fit on, and the days whose residuals look back before them
_NEVER = np.iinfo(np.int64).max // 2


@dataclass
class MetricHistory:
    """One metric's past: hours shaped (days x 24, segments), days shaped (days, segments)."""

    observed: FloatArray  # NaN: that hour has not closed, or the clock skipped it
    expected: FloatArray  # NaN: no such weekday before it
    profile_total: FloatArray
    level: FloatArray

    @classmethod
    def empty(cls, n_segments: int) -> MetricHistory:
        return cls(*(np.zeros((0, n_segments)) for _ in range(4)))

    def widen(self, more: int) -> None:
        """Room for `more` segments, that sold nothing so far."""
        self.observed = np.pad(self.observed, ((0, 0), (0, more)))
        self.observed[np.isnan(self.observed[:, 0])] = np.nan
        self.expected = np.pad(self.expected, ((0, 0), (0, more)), constant_values=np.nan)
        self.profile_total = np.pad(self.profile_total, ((0, 0), (0, more)))
        self.level = np.pad(self.level, ((0, 0), (0, more)), constant_values=1.0)

    def last_days(self, days: int) -> MetricHistory:
        hours = days * HOURS_PER_DAY
        return MetricHistory(
            self.observed[-hours:].copy(),
            self.expected[-hours:].copy(),
            self.profile_total[-days:].copy(),
            self.level[-days:].copy(),
        )


@dataclass
class History:
    """The past of every segment, in whole local days from `first_day`; the last day may be under way."""

    metrics: tuple[str, ...]
    calendar: Calendar
    first_day: int = 0
    n_days: int = 0
    segments: list[Segment] = field(default_factory=lambda: [COMPANY])
    first_seen: IntArray = field(default_factory=lambda: np.full(1, _NEVER))  # the local day of a segment's first order
    of: dict[str, MetricHistory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.of = self.of or {metric: MetricHistory.empty(len(self.segments)) for metric in self.metrics}

    @property
    def next_day(self) -> int:
        return self.first_day + self.n_days

    @property
    def whole_until(self) -> int:
        """The first local day that has not been recorded to its end."""
        observed = self.of[self.metrics[0]].observed
        return self.next_day - int(len(observed) > 0 and bool(np.isnan(observed[-1, 0])))

    def begin(self, day: int) -> None:
        """Open local day `day`: its expectation is made from the days before it. Days left out in between are unknown."""
        if self.n_days == 0:
            self.first_day = day
        while self.next_day <= day:
            self._append_day()

    def _append_day(self) -> None:
        closed = self.calendar.is_closed(self.first_day, self.n_days + 1)
        days = self.first_day + np.arange(self.n_days)
        # The first day of a segment is hardly ever whole, so it teaches nothing.
        usable = ~closed[:-1, None] & (days[:, None] > self.first_seen)
        for past in self.of.values():
            observed = past.observed.reshape(self.n_days, HOURS_PER_DAY, len(self.segments))
            day = expect_day(DayHistory(observed, past.profile_total, past.level, usable), closed=bool(closed[-1]))
            past.observed = np.vstack([past.observed, np.full_like(day.expected, np.nan)])
            past.expected = np.vstack([past.expected, day.expected])
            past.profile_total = np.vstack([past.profile_total, np.nan_to_num(day.profile_total)])
            past.level = np.vstack([past.level, day.level])
        self.n_days += 1

    def record(self, wall_hour: int, buckets: HourBuckets) -> slice:
        """Write consecutive hours of the open day, starting at `wall_hour`; the rows that they now stand in."""
        columns: dict[str, tuple[list[int], list[int]]] = {metric: ([], []) for metric in self.metrics}
        index = self._columns_of(buckets)
        for k, key in enumerate(buckets.keys):
            if key.metric in columns:
                columns[key.metric][0].append(index[key.dimensions])
                columns[key.metric][1].append(k)
        row = wall_hour - self.first_day * HOURS_PER_DAY
        rows = slice(row, row + len(buckets.values))
        for metric, (to, source) in columns.items():
            observed = self.of[metric].observed
            observed[rows] = 0.0
            observed[rows, to] = buckets.values[:, source]
        self._notice_first_sales(rows)
        return rows

    def _columns_of(self, buckets: HourBuckets) -> dict[Segment, int]:
        index = {segment: column for column, segment in enumerate(self.segments)}
        new = sorted({key.dimensions for key in buckets.keys if key.metric in self.of} - index.keys())
        if new:
            self.segments += new
            self.first_seen = np.r_[self.first_seen, np.full(len(new), _NEVER)]
            for past in self.of.values():
                past.widen(len(new))
            index = {segment: column for column, segment in enumerate(self.segments)}
        return index

    def _notice_first_sales(self, rows: slice) -> None:
        day = self.first_day + rows.start // HOURS_PER_DAY
        sold = np.logical_or.reduce([(past.observed[rows] != 0).any(axis=0) for past in self.of.values()])
        self.first_seen = np.where(sold, np.minimum(self.first_seen, day), self.first_seen)

    def forget(self) -> None:
        """Drop days that no later expectation or fit looks at."""
        if self.n_days > KEEP_DAYS:
            self.of = {metric: past.last_days(KEEP_DAYS) for metric, past in self.of.items()}
            self.first_day += self.n_days - KEEP_DAYS
            self.n_days = KEEP_DAYS

    def copy(self) -> History:
        """A snapshot that a background fit may read while hours go on being recorded."""
        kept = {metric: past.last_days(self.n_days) for metric, past in self.of.items()}
        return History(
            self.metrics, self.calendar, self.first_day, self.n_days, list(self.segments), self.first_seen, kept
        )

    def volume(self, metric: str, days: int) -> FloatArray:
        """What each segment came to over the last days."""
        total: FloatArray = np.nansum(self.of[metric].observed[-days * HOURS_PER_DAY :], axis=0)
        return total
