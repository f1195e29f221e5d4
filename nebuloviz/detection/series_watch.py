"""Watches closed hourly buckets of many series: fed hour by hour in production, day by day in a back-test, to the same findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from nebuloviz.detection.alerts import HOURS, Finding, severity_of
from nebuloviz.detection.history import History
from nebuloviz.detection.lessons import Lesson, bar_of
from nebuloviz.detection.residuals import WINDOWS, Scale, rolling_sum
from nebuloviz.detection.series import (
    HOURS_PER_DAY,
    HOURS_PER_WEEK,
    BoolArray,
    FloatArray,
    HourBuckets,
    IntArray,
    SeriesKey,
    Watching,
    time_of_hour,
)
from nebuloviz.detection.series_model import MetricModel, SeriesModel, Watched, WatchSettings, fit

RANGE_SPREADS = 3.0  # the expected range reaches three robust standard deviations either way
NOVELTY_HOURS = 24
REFIT_DAYS = 7
RECENT_HOURS = 4 * HOURS_PER_WEEK  # what says whether a series sells enough to be judged


@dataclass(frozen=True)
class Band:
    """What one series was expected to be in each of some UTC hours, in the metric's unit; NaN where nothing is known."""

    hours: IntArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass
class SeriesWatch:
    """Findings from closed hourly buckets. Causal: a finding depends on the hours up to its own and on nothing later.

    Feed each hour once and in order; `train` (or `fit` on a snapshot elsewhere, then `adopt`) whenever `fit_due`. Pickle it to
    keep it: it goes on as if nothing had happened. It never looks at a clock.
    """

    settings: WatchSettings = field(default_factory=WatchSettings)
    history: History = field(init=False)
    model: SeriesModel | None = None
    next_hour: int | None = None  # the hour that is to be fed next; None: any, it is the first
    lessons: tuple[Lesson, ...] = ()  # all that people have taught; each counts from the hour in which it was
    _recent: dict[str, list[tuple[int, float]]] = field(
        default_factory=dict
    )  # the highest surprise of each of the last hours

    def __post_init__(self) -> None:
        self.history = History(tuple(each.metric for each in self.settings.watched), self.settings.calendar)

    def feed(self, buckets: HourBuckets) -> list[Finding]:
        """Findings of these hours, in order of time. Raises ValueError where hours are missing since the last ones fed.

        A series that is not among the keys sold nothing.
        """
        if self.next_hour not in (None, buckets.start):
            raise ValueError(f"expected hour {self.next_hour}, got {buckets.start}")
        taught = [each.known_from - buckets.start for each in self.lessons]
        found: list[Finding] = []
        for wall_hour, stretch in self._stretches(buckets, taught):
            found += self._feed_stretch(wall_hour, stretch)
        self.next_hour = buckets.end
        return found

    def correct(self, buckets: HourBuckets) -> None:
        """What hours that were fed already come to by now, as sales arrive late. It raises nothing; what follows is judged by it."""
        remembered = range(self.history.first_day * HOURS_PER_DAY, self.history.next_day * HOURS_PER_DAY)
        for wall_hour, stretch in self._stretches(buckets):
            if wall_hour in remembered:
                self.history.record(wall_hour, stretch)

    def _stretches(self, buckets: HourBuckets, taught: Sequence[int] = ()) -> Iterator[tuple[int, HourBuckets]]:
        """Consecutive hours of one local day, each with its first wall hour; a new one begins where something is taught."""
        wall = self.settings.calendar.wall_hours(np.arange(buckets.start, buckets.end))
        breaks = np.flatnonzero((np.diff(wall) != 1) | (np.diff(wall // HOURS_PER_DAY) != 0)) + 1
        breaks = np.union1d(breaks, [hour for hour in taught if 0 < hour < len(wall)]).astype(np.int64)
        for first, last in zip([0, *breaks], [*breaks, len(wall)], strict=True):
            if last > first:
                yield int(wall[first]), buckets.between(buckets.start + first, buckets.start + last)

    def _feed_stretch(self, wall_hour: int, buckets: HourBuckets) -> list[Finding]:
        """Consecutive hours of one local day, in which nothing is taught but in the first."""
        self.history.heed(tuple(each for each in self.lessons if each.known_from <= buckets.start))
        self.history.begin(wall_hour // HOURS_PER_DAY)
        rows = self.history.record(wall_hour, buckets)
        if self.model is None:
            return []
        found = [f for each in self.settings.watched for f in self._findings(self.model, each, rows, buckets.start)]
        return sorted(found, key=lambda finding: finding.bucket_end)

    @property
    def fit_due(self) -> bool:
        """There is enough history for a first model, or the model is a week old."""
        until = self.history.whole_until
        if self.model is None:
            return until - self.history.first_day >= self.settings.warmup_weeks * 7
        return until - self.model.trained_until >= REFIT_DAYS

    def train(self) -> SeriesModel:
        """Fit on what was fed so far and adopt the result, here and now."""
        model = fit(self.history, self.settings)
        self.adopt(model)
        return model

    def adopt(self, model: SeriesModel) -> None:
        """Judge by this model from the next hour on."""
        self.model = model
        self.history.forget()

    def _findings(self, model: SeriesModel, watched: Watched, rows: slice, hour: int) -> list[Finding]:
        metric, threshold = model.of[watched.metric], self.settings.threshold(watched.budget_share)
        lead, observed, expected = self._window(model, watched.metric, rows)
        judged = metric.judged(expected)[lead:] & self._grown_up(model, rows)
        deviations = self._without_gains(model, metric.deviations(observed, expected)[lead:], rows)
        surprise = np.full(judged.shape, -np.inf)
        if judged.any():
            surprise[judged] = metric.surprise(deviations[judged])
        surprise -= np.array([bar_of(self.history.lessons, segment) for segment in model.segments])
        found: list[Finding] = []
        for i, scores in enumerate(surprise):
            novel = self._novel(watched.metric, hour + i, scores)
            for k in np.flatnonzero(scores >= threshold):
                upto = slice(None, lead + i + 1)
                evidence = _evidence(metric, int(k), deviations[i, k], observed[upto, k], expected[upto, k])
                key = SeriesKey(watched.metric, model.segments[k])
                found.append(_finding(key, hour + i, float(scores[k]), threshold, evidence, novel=bool(novel[k])))
        return found

    def _without_gains(self, model: SeriesModel, deviations: FloatArray, rows: slice) -> FloatArray:
        """Windows that reach into a promotion say nothing by what they are above what is expected."""
        if not self.settings.calendar.plans:
            return deviations
        promoted = self.history.promoted(rows, max(WINDOWS) - 1)[:, self._columns(model)]
        return np.where(promoted[:, :, None], np.minimum(deviations, 0.0), deviations)

    def _window(self, model: SeriesModel, metric: str, rows: slice) -> tuple[int, FloatArray, FloatArray]:
        """Yesterday and today up to the end of `rows`: how many hours lead in, and what was observed and expected in each."""
        start = max(0, rows.start // HOURS_PER_DAY - 1) * HOURS_PER_DAY
        columns = self._columns(model)
        observed, expected = self.history.judged_by(metric, slice(start, rows.stop))
        return rows.start - start, observed[:, columns], expected[:, columns]

    def _columns(self, model: SeriesModel) -> list[int]:
        index = {segment: column for column, segment in enumerate(self.history.segments)}
        return [index[segment] for segment in model.segments]

    def _grown_up(self, model: SeriesModel, rows: slice) -> BoolArray:
        day = self.history.first_day + rows.start // HOURS_PER_DAY
        ages: BoolArray = day - self.history.first_seen[self._columns(model)] >= self.settings.warmup_weeks * 7
        return ages

    def _novel(self, metric: str, hour: int, scores: FloatArray) -> BoolArray:
        """Which series stand out more than any did in the day before and than the others now."""
        recent = [(then, best) for then, best in self._recent.get(metric, []) if then >= hour - NOVELTY_HOURS]
        before = max((best for _, best in recent), default=-np.inf)
        best = float(scores.max(initial=-np.inf))
        self._recent[metric] = [*recent, (hour, best)]
        return (scores >= best) & (scores > before)

    def watched(self) -> list[Watching]:
        """The series that sell enough to be judged by the hour."""
        if self.model is None:
            return []
        columns = self._columns(self.model)
        from_day = self.history.first_seen[columns] + self.settings.warmup_weeks * 7
        found: list[Watching] = []
        for metric, model in self.model.of.items():
            expected = self.history.of[metric].expected[-RECENT_HOURS:, columns]
            able = np.flatnonzero(model.judged(expected).any(axis=0)) if model.tail is not None else ()
            found += [Watching(SeriesKey(metric, self.model.segments[k]), int(from_day[k])) for k in able]
        return found

    def band(self, key: SeriesKey, days: int) -> Band | None:
        """The expected range of the last local days, today's remaining hours included; None where the series is not watched."""
        if self.model is None or key.metric not in self.model.of or key.dimensions not in self.model.segments:
            return None
        column = self.history.segments.index(key.dimensions)
        expected = self.history.of[key.metric].expected[-days * HOURS_PER_DAY :, column]
        low, high = expected_range(self.model.of[key.metric], self.model.segments.index(key.dimensions), expected, 0)
        last = self.history.next_day * HOURS_PER_DAY
        hours, rows = self.settings.calendar.utc_hours(last - len(expected), last)
        return Band(hours, expected[rows], low[rows], high[rows])


@dataclass(frozen=True)
class Evidence:
    """The window that speaks loudest for a finding, in the metric's unit."""

    hours: int
    observed: float
    expected: float
    low: float
    high: float


def _evidence(
    metric: MetricModel, segment: int, deviations: FloatArray, observed: FloatArray, expected: FloatArray
) -> Evidence:
    """The window with the largest plain deviation; `observed` and `expected` end with the hour of the finding."""
    window = int(np.abs(deviations[: len(WINDOWS)]).argmax())
    hours = WINDOWS[window]
    due = rolling_sum(np.nan_to_num(expected), hours)[-1:]
    low, high = expected_range(metric, segment, due, window)
    return Evidence(hours, float(np.nansum(observed[-hours:])), float(due[0]), float(low[0]), float(high[0]))


def expected_range(
    metric: MetricModel, segment: int, expected: FloatArray, window: int
) -> tuple[FloatArray, FloatArray]:
    """Low and high of what a window (its index in `WINDOWS`) would normally come to, given its expectation."""
    reach = RANGE_SPREADS * metric.spread[segment, window]
    if metric.scale is Scale.COUNT:
        root = np.sqrt(expected)
        return np.maximum(root - reach / 2, 0) ** 2, (root + reach / 2) ** 2
    damping = metric.unit[segment] * WINDOWS[window]
    return (
        np.maximum((expected + damping) * np.exp(-reach) - damping, 0.0),
        (expected + damping) * np.exp(reach) - damping,
    )


def _finding(key: SeriesKey, hour: int, score: float, threshold: float, evidence: Evidence, *, novel: bool) -> Finding:
    end = time_of_hour(hour + 1)
    return Finding(
        key=key,
        bucket_start=end - timedelta(hours=evidence.hours),
        bucket_end=end,
        observed=evidence.observed,
        expected=evidence.expected,
        expected_low=evidence.low,
        expected_high=evidence.high,
        score=score,
        severity=severity_of(score, threshold),
        detector=HOURS,
        novel=novel,
    )
