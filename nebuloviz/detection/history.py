"""What the series watch remembers: observed and expected buckets of each metric and segment, on the wall clock of the shop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.expectation import DayHistory, expect_day
from nebuloviz.detection.grain import HOUR, Grain
from nebuloviz.detection.lessons import Aside, Lesson, Rebasing, Verdict, rebasing_factor, without
from nebuloviz.detection.series import COMPANY, BoolArray, Buckets, FloatArray, IntArray, Segment, within

KEEP_DAYS = 77  # eight weeks to fit on, and the days whose residuals look back before them
_NEVER = np.iinfo(np.int64).max // 2


@dataclass
class MetricHistory:
    """One metric's past: buckets shaped (days x those of a day, segments), days shaped (days, segments)."""

    observed: FloatArray  # NaN: that bucket has not closed, or the clock skipped it
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

    def last_days(self, days: int, per_day: int) -> MetricHistory:
        buckets = days * per_day
        return MetricHistory(
            self.observed[-buckets:].copy(),
            self.expected[-buckets:].copy(),
            self.profile_total[-days:].copy(),
            self.level[-days:].copy(),
        )


@dataclass
class History:
    """The past of every segment, in whole local days from `first_day`; the last day may be under way."""

    metrics: tuple[str, ...]
    calendar: Calendar
    grain: Grain = HOUR
    first_day: int = 0
    n_days: int = 0
    segments: list[Segment] = field(default_factory=lambda: [COMPANY])
    first_seen: IntArray = field(default_factory=lambda: np.full(1, _NEVER))  # the local day of a segment's first order
    of: dict[str, MetricHistory] = field(default_factory=dict)
    lessons: tuple[Lesson, ...] = ()  # that are known by now
    asides: tuple[Aside, ...] = ()
    rebased: tuple[Rebasing, ...] = ()

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
        shut = ~self.calendar.is_open(self.next_day, self.grain)
        for past in self.of.values():
            day = expect_day(self._days_of(past, usable), closed=bool(closed[-1]))
            day.expected[shut] = 0.0
            past.observed = np.vstack([past.observed, np.full_like(day.expected, np.nan)])
            past.expected = np.vstack([past.expected, day.expected])
            past.profile_total = np.vstack([past.profile_total, np.nan_to_num(day.profile_total)])
            past.level = np.vstack([past.level, day.level])
        self.n_days += 1

    def _days_of(self, past: MetricHistory, usable: BoolArray) -> DayHistory:
        shape = self.n_days, self.grain.per_day, len(self.segments)
        observed = self._taught(past)
        set_aside = (np.isnan(observed) & ~np.isnan(past.observed)).reshape(shape).any(axis=1)
        since = np.zeros(len(self.segments), np.int64)
        for each in self.rebased:
            first = -(-each.first // self.grain.per_day) - self.first_day
            inside = [within(segment, each.segment) for segment in self.segments]
            since[inside] = np.maximum(since[inside], first)
        return DayHistory(observed.reshape(shape), past.profile_total, past.level, usable, usable & ~set_aside, since)

    def taught(self, metric: str) -> FloatArray:
        """The observed buckets of a metric that are examples of what is normal; NaN in the others."""
        return self._taught(self.of[metric])

    def _taught(self, past: MetricHistory) -> FloatArray:
        asides = self._asides()
        if not asides:
            return past.observed
        start = self.first_day * self.grain.per_day
        return without(past.observed, past.expected, self.segments, start, asides)

    def _asides(self) -> tuple[Aside, ...]:
        """Those taught and those planned, in buckets."""
        if not self.calendar.plans:
            return self.asides
        planned = self.calendar.asides(self.first_day, self.n_days)
        of_hour = self.grain.of_hour
        return (
            *self.asides,
            *(replace(each, first=of_hour(each.first), last=of_hour(each.last)) for each in planned),
        )

    def judged_by(self, metric: str, rows: slice) -> tuple[FloatArray, FloatArray]:
        """What was observed and expected in `rows`; both NaN in buckets that were expected to be unlike others.

        What a segment's promotion brings is taken out of what contains it; the segment itself is judged by all it brought.
        """
        past, asides = self.of[metric], self._asides()
        observed, expected = past.observed[rows], past.expected[rows]
        start = self.first_day * self.grain.per_day + rows.start
        promotions = [each for each in asides if each.promoted]
        if promotions:
            beside = without(observed, expected, self.segments, start, promotions)
            observed = np.where(self.promoted(rows), observed, beside)
        silent = [each for each in asides if each.silent]
        if not silent:
            return observed, expected
        kept = without(observed, expected, self.segments, start, silent)
        return kept, np.where(np.isnan(kept), np.nan, expected)

    def promoted(self, rows: slice, reach: int = 0) -> BoolArray:
        """Which of `rows` lie in a promotion of a segment, or up to `reach` buckets after it; shaped (buckets, segments)."""
        start = self.first_day * self.grain.per_day + rows.start
        found = np.zeros((rows.stop - rows.start, len(self.segments)), bool)
        for each in self._asides():
            if each.promoted:
                first, last = max(each.first - start, 0), max(each.last + reach - start, 0)
                found[first:last, each.columns(self.segments)] = True
        return found

    def heed(self, lessons: tuple[Lesson, ...]) -> None:
        """Go on by these lessons, from the bucket that is recorded next; those left out are taken back."""
        if lessons == self.lessons:
            return
        self.lessons = lessons
        aside = [each for each in lessons if each.verdict in {Verdict.REAL, Verdict.EXPECTED}]
        self.asides = tuple(
            Aside(each.key.dimensions, *self._wall_span(each), silent=each.verdict is Verdict.EXPECTED)
            for each in aside
        )
        wanted = {each.number: each for each in lessons if each.verdict is Verdict.NEW_NORMAL}
        for each in self.rebased:
            if each.number not in wanted:
                self._scale(each, back=True)
        self.rebased = tuple(each for each in self.rebased if each.number in wanted)
        known = {each.number for each in self.rebased}
        for number in sorted(wanted.keys() - known):
            self._rebase(wanted[number])

    def _wall_span(self, lesson: Lesson) -> tuple[int, int]:
        """The wall buckets of the hours that it is about."""
        first, last = self.calendar.wall_hours(np.array([lesson.start, max(lesson.start, lesson.end - 1)]))
        return self.grain.of_hour(int(first)), self.grain.of_hour(int(last) + 1)

    def _rebase(self, lesson: Lesson) -> None:
        first, _last = self._wall_span(lesson)
        rebasing = Rebasing(lesson.number, lesson.key.dimensions, first, self.next_day * self.grain.per_day, ())
        rows, _days, columns = self._places(rebasing)
        factors = [
            (metric, tuple(rebasing_factor(past.observed[rows][:, columns], past.expected[rows][:, columns]).tolist()))
            for metric, past in self.of.items()
        ]
        rebasing = replace(rebasing, factors=tuple(factors))
        self._scale(rebasing)
        self.rebased += (rebasing,)

    def _places(self, rebasing: Rebasing) -> tuple[slice, slice, list[int]]:
        """The buckets, the days and the segments that it is about, as far as they are remembered."""
        start = self.first_day * self.grain.per_day
        first, last = (max(bucket - start, 0) for bucket in (rebasing.first, rebasing.last))
        columns = [k for k, segment in enumerate(self.segments) if within(segment, rebasing.segment)]
        per_day = self.grain.per_day
        return slice(first, last), slice(first // per_day, -(-last // per_day)), columns

    def _scale(self, rebasing: Rebasing, *, back: bool = False) -> None:
        rows, days, columns = self._places(rebasing)
        for metric, factors in rebasing.factors:
            known = columns[: len(factors)]  # segments are only ever added
            factor = np.array(factors[: len(known)]) ** (-1.0 if back else 1.0)
            self.of[metric].expected[rows, known] *= factor
            self.of[metric].level[days, known] *= factor

    def record(self, wall: int, buckets: Buckets) -> slice:
        """Write consecutive buckets of the open day, starting at `wall` on its clock; the rows that they now stand in."""
        columns: dict[str, tuple[list[int], list[int]]] = {metric: ([], []) for metric in self.metrics}
        index = self._columns_of(buckets)
        for k, key in enumerate(buckets.keys):
            if key.metric in columns:
                columns[key.metric][0].append(index[key.dimensions])
                columns[key.metric][1].append(k)
        row = wall - self.first_day * self.grain.per_day
        rows = slice(row, row + len(buckets.values))
        for metric, (to, source) in columns.items():
            observed = self.of[metric].observed
            observed[rows] = 0.0
            observed[rows, to] = buckets.values[:, source]
        self._notice_first_sales(rows)
        return rows

    def _columns_of(self, buckets: Buckets) -> dict[Segment, int]:
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
        day = self.first_day + rows.start // self.grain.per_day
        sold = np.logical_or.reduce([(past.observed[rows] != 0).any(axis=0) for past in self.of.values()])
        self.first_seen = np.where(sold, np.minimum(self.first_seen, day), self.first_seen)

    def forget(self) -> None:
        """Drop days that no later expectation or fit looks at."""
        if self.n_days > KEEP_DAYS:
            self.of = {metric: past.last_days(KEEP_DAYS, self.grain.per_day) for metric, past in self.of.items()}
            self.first_day += self.n_days - KEEP_DAYS
            self.n_days = KEEP_DAYS

    def copy(self) -> History:
        """A snapshot that a background fit may read while buckets go on being recorded."""
        kept = {metric: past.last_days(self.n_days, self.grain.per_day) for metric, past in self.of.items()}
        return replace(self, segments=list(self.segments), of=kept)

    def volume(self, metric: str, days: int) -> FloatArray:
        """What each segment came to over the last days."""
        total: FloatArray = np.nansum(self.of[metric].observed[-days * self.grain.per_day :], axis=0)
        return total
