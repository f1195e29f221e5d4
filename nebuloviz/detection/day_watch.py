"""Watches closed days of metrics that say too little by the hour: average order value, discount rate, margin, returns, customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nebuloviz.detection.alerts import DAYS, Finding, severity_of
from nebuloviz.detection.day_model import (
    BY_DAY,
    RANGE_SPREADS,
    DayMetric,
    DayModel,
    Kind,
    Sums,
    expect_next,
    expected_range,
    fit_metric,
    judged,
    total,
    version_of,
)
from nebuloviz.detection.history import KEEP_DAYS
from nebuloviz.detection.series import (
    COMPANY,
    HOURS_PER_DAY,
    BoolArray,
    FloatArray,
    IntArray,
    Segment,
    SeriesKey,
    Watching,
    time_of_hour,
)
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.training import training_due

RECENT_DAYS = 28  # what says whether a series sells enough to be judged
Shown = tuple[float, float, float, float]  # observed, expected, low, high
_NEVER = np.iinfo(np.int64).max // 2


@dataclass(frozen=True)
class DayFigures:
    """Closed local days without gaps: `values[i, k, m]` is `measures[m]` of `segments[k]` on day `first + i` (days since 1970).

    Amounts are in the currency's unit. A segment that is not among them sold nothing.
    """

    first: int
    segments: tuple[Segment, ...]
    measures: tuple[str, ...]
    values: FloatArray

    def __iter__(self) -> Iterator[DayFigures]:
        """Day by day."""
        for i in range(len(self.values)):
            yield DayFigures(self.first + i, self.segments, self.measures, self.values[i : i + 1])


@dataclass(frozen=True)
class DayBand:
    """What one series was expected to be on a day that has closed, and what it would normally keep to."""

    key: SeriesKey
    day: int
    expected: float
    low: float
    high: float


@dataclass
class _Past:
    """One metric's past, shaped (days, segments): what each day was expected to be and the level it was due to keep, as ratios."""

    expected: FloatArray
    level: FloatArray


@dataclass
class DayWatch:
    """Findings from closed days. Causal, picklable and without a clock, as `SeriesWatch` is. Feed each day once and in order."""

    settings: WatchSettings = field(default_factory=WatchSettings)
    metrics: tuple[DayMetric, ...] = BY_DAY
    model: DayModel | None = None
    next_day: int | None = None  # the local day that is to be fed next; None: any, it is the first
    first_day: int = 0
    segments: list[Segment] = field(default_factory=lambda: [COMPANY])
    measures: tuple[str, ...] = ()
    first_seen: IntArray = field(default_factory=lambda: np.full(1, _NEVER))
    _values: FloatArray = field(default_factory=lambda: np.zeros((0, 1, 0)))  # (days, segments, measures)
    _past: dict[str, _Past] = field(default_factory=dict)
    _best: dict[str, float] = field(default_factory=dict)  # the highest surprise of the day before

    def feed(self, figures: DayFigures) -> list[Finding]:
        """Findings of these days, in order of time. Raises ValueError where days are missing since the last ones fed."""
        if self.next_day not in (None, figures.first):
            raise ValueError(f"expected day {self.next_day}, got {figures.first}")
        found: list[Finding] = []
        for day in figures:
            self._record(day)
            found += self._findings()
        return found

    @property
    def fit_due(self) -> bool:
        """There is enough history for a first model, or a week has begun since the last one."""
        if self.next_day is None or not self._past:
            return False
        known = None if self.model is None else self.model.trained_until
        return training_due(self.next_day, self.first_day, known, self.settings.warmup_weeks)

    def train(self) -> DayModel:
        """Fit on what was fed so far, and judge by that from the next day on."""
        settings, days = self.settings, slice(-self.settings.fit_weeks * 7, None)
        columns = self._largest(days)
        of = {m.metric: fit_metric(m.kind, self._sums(m).between(days, columns), settings) for m in self.metrics}
        segments = tuple(self.segments[column] for column in columns)
        version = version_of(settings, (self.metrics, self.first_day, segments), self._values)
        self.model = DayModel(version, self.next_day or 0, segments, of)
        self._forget()
        return self.model

    def watched(self) -> list[Watching]:
        """The series that sell enough to be judged by the day."""
        if self.model is None:
            return []
        columns = self._columns(self.model)
        from_day = self.first_seen[columns] + self.settings.warmup_weeks * 7
        found: list[Watching] = []
        for metric in self.metrics:
            recent = self._sums(metric).between(slice(-RECENT_DAYS, None), columns)
            trained = self.model.of[metric.metric].tail is not None
            able = np.flatnonzero(judged(metric.kind, recent).any(axis=0)) if trained else ()
            found += [Watching(SeriesKey(metric.metric, self.model.segments[k]), int(from_day[k]), "day") for k in able]
        return found

    def bands(self, days: int) -> Iterator[DayBand]:
        """Of each series that is watched, the last days of which something was expected."""
        if self.model is None or self.next_day is None:
            return
        columns = self._columns(self.model)
        for metric in self.metrics:
            model = self.model.of[metric.metric]
            if model.tail is None:
                continue
            sums = self._sums(metric).between(slice(-days, None), columns)
            expected = sums.expected if metric.kind is Kind.COUNT else sums.expected_ratio
            low, high = expected_range(metric.kind, sums, model.spread)
            worth = self._worth(metric, columns)
            first = self.next_day - len(expected)
            for i, k in zip(*np.nonzero(sums.denominator > 0), strict=True):
                key = SeriesKey(metric.metric, self.model.segments[k])
                shown = (float(each[i, k] * worth[k]) for each in (expected, low, high))
                yield DayBand(key, first + int(i), *shown)

    def _largest(self, days: slice) -> list[int]:
        """The company and the segments with most orders, as many as the settings allow."""
        n = max(1, self.settings.max_series // len(self.metrics))
        orders = total(("orders",), self.measures, self._values[days]).sum(axis=0)
        orders[0] = np.inf
        largest = np.argsort(-orders, kind="stable")[:n]
        return sorted(int(column) for column in largest if orders[column] > 0)

    def _record(self, day: DayFigures) -> None:
        """Expect the day from those before it, then write down what it came to."""
        if not self._past:
            self.first_day, self.measures = day.first, day.measures
            self._values = np.zeros((0, len(self.segments), len(self.measures)))
            self._past = {m.metric: _Past(*(np.zeros((0, len(self.segments))) for _ in range(2))) for m in self.metrics}
        self._widen(day.segments)
        for metric in self.metrics:
            past = self._past[metric.metric]
            expected, level = expect_next(metric.kind, self._ratio(metric), past.level)
            past.expected, past.level = np.vstack([past.expected, expected]), np.vstack([past.level, level])
        index = {segment: column for column, segment in enumerate(self.segments)}
        row = np.zeros((1, len(self.segments), len(self.measures)))
        row[0, [index[segment] for segment in day.segments]] = day.values[0]
        self._values = np.vstack([self._values, row])
        self.next_day = day.first + 1
        sold = total(("lines",), self.measures, row[0]) > 0
        self.first_seen = np.where(sold, np.minimum(self.first_seen, day.first), self.first_seen)

    def _widen(self, segments: Sequence[Segment]) -> None:
        """Room for segments that are new, and sold nothing so far."""
        new = sorted(set(segments) - set(self.segments))
        if not new:
            return
        self.segments += new
        self.first_seen = np.r_[self.first_seen, np.full(len(new), _NEVER)]
        self._values = np.pad(self._values, ((0, 0), (0, len(new)), (0, 0)))
        for past in self._past.values():
            room = ((0, 0), (0, len(new)))
            past.expected = np.pad(past.expected, room, constant_values=np.nan)
            past.level = np.pad(past.level, room, constant_values=np.nan)

    def _ratio(self, metric: DayMetric) -> FloatArray:
        """What each day came to; NaN where something else was planned, nothing was sold, or the segment was new that day."""
        over, under = (total(each, self.measures, self._values) for each in (metric.numerator, metric.denominator))
        days = self.first_day + np.arange(len(over))
        closed = self.settings.calendar.is_closed(self.first_day, len(over))
        planned = self.settings.calendar.set_aside(self.first_day, len(over), self.segments)
        usable = (under > 0) & ~closed[:, None] & ~planned & (days[:, None] > self.first_seen)
        return np.where(usable, over / np.where(usable, under, 1.0), np.nan)

    def _sums(self, metric: DayMetric) -> Sums:
        """All days; zeros where nothing was expected, or the shop was closed."""
        ratio = self._past[metric.metric].expected
        known = np.isfinite(ratio) & np.isfinite(self._ratio(metric))
        over, under, orders = (
            np.where(known, total(each, self.measures, self._values), 0.0)
            for each in (metric.numerator, metric.denominator, ("orders",))
        )
        return Sums(over, under * np.where(known, ratio, 0.0), under, orders)

    def _columns(self, model: DayModel) -> list[int]:
        index = {segment: column for column, segment in enumerate(self.segments)}
        return [index[segment] for segment in model.segments]

    def _worth(self, metric: DayMetric, columns: list[int]) -> FloatArray:
        """What one of the numerator is usually worth, where an alert tells something else in its place."""
        if not metric.shown:
            return np.ones(len(columns))
        recent = self._values[-self.settings.fit_weeks * 7 :][:, columns]
        over, under = (total(each, self.measures, recent).sum(axis=0) for each in (metric.shown, metric.numerator))
        return np.asarray(over / np.where(under > 0, under, np.inf))

    def _findings(self) -> list[Finding]:
        """Of the last day. Of a segment's metrics only the one that stands out most is news: they move together."""
        if self.model is None or self.next_day is None:
            return []
        columns = self._columns(self.model)
        grown_up = self.next_day - 1 - self.first_seen[columns] >= self.settings.warmup_weeks * 7
        found = [f for metric in self.metrics for f in self._of_metric(self.model, metric, columns, grown_up)]
        news: dict[Segment, Finding] = {}
        for finding in sorted(found, key=lambda each: -each.score):
            if finding.novel:
                news.setdefault(finding.key.dimensions, finding)
        return [replace(each, novel=each is news.get(each.key.dimensions)) for each in found]

    def _of_metric(
        self, model: DayModel, metric: DayMetric, columns: list[int], grown_up: BoolArray
    ) -> Iterator[Finding]:
        trained = model.of[metric.metric]
        sums = self._sums(metric).between(slice(-1, None), columns)
        deviations = trained.deviations(metric.kind, sums)[0]
        able = judged(metric.kind, sums)[0] & grown_up & (np.abs(deviations[:, 0]) > RANGE_SPREADS)
        scores = np.full(len(columns), -np.inf)
        if able.any():
            scores[able] = trained.surprise(deviations[able])
        novel = self._novel(metric.metric, scores)
        for k in np.flatnonzero(scores >= self.threshold(metric.metric)):
            shown = self._shown(metric, sums, columns, int(k), trained.spread)
            yield self._finding(
                SeriesKey(metric.metric, model.segments[k]), float(scores[k]), shown, novel=bool(novel[k])
            )

    def threshold(self, metric: str) -> float:
        """The surprise from which a day of this metric is found."""
        share = next(each.budget_share for each in self.metrics if each.metric == metric)
        return self.settings.threshold(share)

    def _novel(self, metric: str, scores: FloatArray) -> BoolArray:
        """Which series stand out more than any did the day before, and than the others now."""
        before, best = self._best.get(metric, -np.inf), float(scores.max(initial=-np.inf))
        self._best[metric] = best
        return (scores >= best) & (scores > before)

    def _shown(self, metric: DayMetric, sums: Sums, columns: list[int], series: int, spread: FloatArray) -> Shown:
        """Observed, expected, low and high of the last day of one series, in the metric's unit."""
        worth = self._worth(metric, columns)[series]
        observed = total(metric.shown or metric.numerator, self.measures, self._values[-1, columns[series]])
        expected, (low, high) = sums.expected, expected_range(metric.kind, sums, spread)
        if metric.kind is not Kind.COUNT:
            observed, expected = observed / sums.denominator[-1, series], sums.expected_ratio
        due, least, most = (float(each[-1, series] * worth) for each in (expected, low, high))
        return float(observed), due, least, most

    def _finding(self, key: SeriesKey, score: float, shown: Shown, *, novel: bool) -> Finding:
        following = self.next_day or 0
        hours, _ = self.settings.calendar.utc_hours((following - 1) * HOURS_PER_DAY, following * HOURS_PER_DAY)
        severity = severity_of(score, self.threshold(key.metric))
        start, end = time_of_hour(hours[0]), time_of_hour(hours[-1] + 1)
        return Finding(key, start, end, *shown, score=score, severity=severity, detector=DAYS, novel=novel)

    def _forget(self) -> None:
        """Drop days that no later expectation or fit looks at."""
        more = len(self._values) - KEEP_DAYS
        if more <= 0:
            return
        self.first_day += more
        self._values = self._values[more:].copy()
        for past in self._past.values():
            past.expected, past.level = past.expected[more:].copy(), past.level[more:].copy()
