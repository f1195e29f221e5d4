"""Watches closed buckets of many series: fed one by one in production, day by day in a back-test, to the same findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from nebuloviz.detection.alerts import HOURS, Finding, severity_of
from nebuloviz.detection.grain import HOUR, Grain
from nebuloviz.detection.history import History
from nebuloviz.detection.lessons import Lesson, bar_of
from nebuloviz.detection.residuals import Scale, rolling_sum
from nebuloviz.detection.series import BoolArray, Buckets, FloatArray, IntArray, Segment, SeriesKey, Watching
from nebuloviz.detection.series_model import MetricModel, SeriesModel, Watched, WatchSettings, fit
from nebuloviz.detection.training import training_due

RANGE_SPREADS = 3.0  # the expected range reaches three robust standard deviations either way
NOVELTY = timedelta(hours=24)
RECENT_WEEKS = 4  # what says whether a series sells enough to be judged


@dataclass(frozen=True)
class Band:
    """What one series was expected to be in each of some UTC buckets, in the metric's unit; NaN where nothing is known."""

    buckets: IntArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass
class News:
    """What stood out in the last day, by metric: a finding is news if nothing of its metric did so as much."""

    _recent: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)

    def marked(self, findings: Sequence[Finding]) -> list[Finding]:
        """In order of time, each `novel` where it stands out more than any did in the day before, and than the others now."""
        together: dict[tuple[datetime, str], list[Finding]] = {}
        for finding in sorted(findings, key=lambda each: each.bucket_end):
            together.setdefault((finding.bucket_end, finding.key.metric), []).append(finding)
        found: list[Finding] = []
        for (end, metric), group in together.items():
            recent = [(then, best) for then, best in self._recent.get(metric, []) if then >= end - NOVELTY]
            before = max((best for _, best in recent), default=-np.inf)
            best = max(each.score for each in group)
            self._recent[metric] = [*recent, (end, best)]
            found += [replace(each, novel=each.score == best > before) for each in group]
        return found


@dataclass
class SeriesWatch:
    """Findings from closed buckets of one grain. Causal: a finding depends on the buckets up to its own and on nothing later.

    Feed each bucket once and in order; `train` (or `fit` on a snapshot elsewhere, then `adopt`) whenever `fit_due`. Pickle it to
    keep it: it goes on as if nothing had happened. It never looks at a clock.
    """

    settings: WatchSettings = field(default_factory=WatchSettings)
    grain: Grain = HOUR
    history: History = field(init=False)
    model: SeriesModel | None = None
    next_bucket: int | None = None  # the bucket that is to be fed next; None: any, it is the first
    lessons: tuple[Lesson, ...] = ()  # all that people have taught; each counts from the hour in which it was
    budget_part: float = 1.0  # of what the settings give the watches over series, where there are several
    elsewhere: frozenset[Segment] = frozenset()  # these are judged by another watch
    news: News = field(default_factory=News)

    def __post_init__(self) -> None:
        metrics = tuple(each.metric for each in self.settings.watched)
        self.history = History(metrics, self.settings.calendar, self.grain)

    def feed(self, buckets: Buckets) -> list[Finding]:
        """Findings of these buckets, in order of time. Raises ValueError where some are missing since the last ones fed.

        A series that is not among the keys sold nothing.
        """
        return self.news.marked(self.judge(buckets))

    def judge(self, buckets: Buckets) -> list[Finding]:
        """As `feed`, but it is not known yet which of them are news."""
        if self.next_bucket not in (None, buckets.start):
            raise ValueError(f"expected bucket {self.next_bucket}, got {buckets.start}")
        taught = [self.grain.of_hour(each.known_from) - buckets.start for each in self.lessons]
        found: list[Finding] = []
        for wall, stretch in self._stretches(buckets, taught):
            found += self._judge_stretch(wall, stretch)
        self.next_bucket = buckets.end
        return found

    def correct(self, buckets: Buckets) -> None:
        """What buckets that were fed already come to by now, as sales arrive late. It raises nothing; what follows is judged by it."""
        per_day = self.grain.per_day
        remembered = range(self.history.first_day * per_day, self.history.next_day * per_day)
        for wall, stretch in self._stretches(buckets):
            if wall in remembered:
                self.history.record(wall, stretch)

    def _stretches(self, buckets: Buckets, taught: Sequence[int] = ()) -> Iterator[tuple[int, Buckets]]:
        """Consecutive buckets of one local day, each with its first wall bucket; a new one begins where something is taught."""
        wall = self.settings.calendar.wall_buckets(np.arange(buckets.start, buckets.end), self.grain)
        breaks = np.flatnonzero((np.diff(wall) != 1) | (np.diff(wall // self.grain.per_day) != 0)) + 1
        breaks = np.union1d(breaks, [place for place in taught if 0 < place < len(wall)]).astype(np.int64)
        for first, last in zip([0, *breaks], [*breaks, len(wall)], strict=True):
            if last > first:
                yield int(wall[first]), buckets.between(buckets.start + first, buckets.start + last)

    def _judge_stretch(self, wall: int, buckets: Buckets) -> list[Finding]:
        """Consecutive buckets of one local day, in which nothing is taught but in the first."""
        known = (each for each in self.lessons if self.grain.of_hour(each.known_from) <= buckets.start)
        self.history.heed(tuple(known))
        self.history.begin(wall // self.grain.per_day)
        rows = self.history.record(wall, buckets)
        if self.model is None:
            return []
        found = [f for each in self.settings.watched for f in self._findings(self.model, each, rows, buckets.start)]
        return sorted(found, key=lambda finding: finding.bucket_end)

    @property
    def fit_due(self) -> bool:
        """There is enough history for a first model, or a week has begun since the last one."""
        known = None if self.model is None else self.model.trained_until
        return training_due(self.history.whole_until, self.history.first_day, known, self.settings.warmup_weeks)

    def train(self) -> SeriesModel:
        """Fit on what was fed so far and adopt the result, here and now."""
        model = fit(self.history, self.settings)
        self.adopt(model)
        return model

    def adopt(self, model: SeriesModel) -> None:
        """Judge by this model from the next bucket on."""
        self.model = model
        self.history.forget()

    def _findings(self, model: SeriesModel, watched: Watched, rows: slice, bucket: int) -> list[Finding]:
        metric = model.of[watched.metric]
        threshold = self.settings.threshold(watched.budget_share * self.budget_part)
        lead, observed, expected = self._window(model, watched.metric, rows)
        judged = metric.judged(expected)[lead:] & self._grown_up(model, rows)
        deviations = self._without_gains(model, metric.deviations(observed, expected)[lead:], rows)
        surprise = np.full(judged.shape, -np.inf)
        if judged.any():
            surprise[judged] = metric.surprise(deviations[judged])
        surprise -= np.array([bar_of(self.history.lessons, segment) for segment in model.segments])
        surprise[:, [segment in self.elsewhere for segment in model.segments]] = -np.inf
        found: list[Finding] = []
        for i, k in zip(*np.nonzero(surprise >= threshold), strict=True):
            upto = slice(None, lead + i + 1)
            evidence = _evidence(metric, int(k), deviations[i, k], observed[upto, k], expected[upto, k])
            key, end = SeriesKey(watched.metric, model.segments[k]), self.grain.time_of(bucket + i + 1)
            found.append(_finding(key, end, float(surprise[i, k]), threshold, evidence))
        return found

    def _without_gains(self, model: SeriesModel, deviations: FloatArray, rows: slice) -> FloatArray:
        """Windows that reach into a promotion say nothing by what they are above what is expected."""
        if not self.settings.calendar.plans:
            return deviations
        promoted = self.history.promoted(rows, max(self.grain.windows) - 1)[:, self._columns(model)]
        return np.where(promoted[:, :, None], np.minimum(deviations, 0.0), deviations)

    def _window(self, model: SeriesModel, metric: str, rows: slice) -> tuple[int, FloatArray, FloatArray]:
        """Yesterday and today up to the end of `rows`: how many buckets lead in, and what was observed and expected in each."""
        start = max(0, rows.start // self.grain.per_day - 1) * self.grain.per_day
        columns = self._columns(model)
        observed, expected = self.history.judged_by(metric, slice(start, rows.stop))
        return rows.start - start, observed[:, columns], expected[:, columns]

    def _columns(self, model: SeriesModel) -> list[int]:
        index = {segment: column for column, segment in enumerate(self.history.segments)}
        return [index[segment] for segment in model.segments]

    def _grown_up(self, model: SeriesModel, rows: slice) -> BoolArray:
        day = self.history.first_day + rows.start // self.grain.per_day
        ages: BoolArray = day - self.history.first_seen[self._columns(model)] >= self.settings.warmup_weeks * 7
        return ages

    def watched(self) -> list[Watching]:
        """The series that are judged here: those that sell enough for it, and are not elsewhere."""
        if self.model is None:
            return []
        columns = self._columns(self.model)
        from_day = self.history.first_seen[columns] + self.settings.warmup_weeks * 7
        found: list[Watching] = []
        for metric, model in self.model.of.items():
            expected = self.history.of[metric].expected[-RECENT_WEEKS * self.grain.per_week :, columns]
            able = np.flatnonzero(model.judged(expected).any(axis=0)) if model.tail is not None else ()
            named = [(self.model.segments[k], int(from_day[k])) for k in able]
            found += [
                Watching(SeriesKey(metric, segment), since, self.grain.name)
                for segment, since in named
                if segment not in self.elsewhere
            ]
        return found

    def band(self, key: SeriesKey, days: int) -> Band | None:
        """The expected range of the last local days, the rest of today included; None where the series is not watched."""
        if self.model is None or key.metric not in self.model.of or key.dimensions not in self.model.segments:
            return None
        column = self.history.segments.index(key.dimensions)
        expected = self.history.of[key.metric].expected[-days * self.grain.per_day :, column]
        low, high = expected_range(self.model.of[key.metric], self.model.segments.index(key.dimensions), expected, 0)
        last = self.history.next_day * self.grain.per_day
        buckets, rows = self.settings.calendar.utc_buckets(last - len(expected), last, self.grain)
        return Band(buckets, expected[rows], low[rows], high[rows])


@dataclass(frozen=True)
class Evidence:
    """The window that speaks loudest for a finding, in the metric's unit."""

    length: timedelta
    observed: float
    expected: float
    low: float
    high: float


def _evidence(
    metric: MetricModel, segment: int, deviations: FloatArray, observed: FloatArray, expected: FloatArray
) -> Evidence:
    """The window with the largest plain deviation; `observed` and `expected` end with the bucket of the finding."""
    windows = metric.grain.windows
    window = int(np.abs(deviations[: len(windows)]).argmax())
    buckets = windows[window]
    due = rolling_sum(np.nan_to_num(expected), buckets)[-1:]
    low, high = expected_range(metric, segment, due, window)
    seen = float(np.nansum(observed[-buckets:]))
    return Evidence(buckets * metric.grain.length, seen, float(due[0]), float(low[0]), float(high[0]))


def expected_range(
    metric: MetricModel, segment: int, expected: FloatArray, window: int
) -> tuple[FloatArray, FloatArray]:
    """Low and high of what a window (its place among the grain's) would normally come to, given its expectation."""
    reach = RANGE_SPREADS * metric.spread[segment, window]
    if metric.scale is Scale.COUNT:
        root = np.sqrt(expected)
        return np.maximum(root - reach / 2, 0) ** 2, (root + reach / 2) ** 2
    damping = metric.unit[segment] * metric.grain.windows[window]
    return (
        np.maximum((expected + damping) * np.exp(-reach) - damping, 0.0),
        (expected + damping) * np.exp(reach) - damping,
    )


def _finding(key: SeriesKey, end: datetime, score: float, threshold: float, evidence: Evidence) -> Finding:
    return Finding(
        key=key,
        bucket_start=end - evidence.length,
        bucket_end=end,
        observed=evidence.observed,
        expected=evidence.expected,
        expected_low=evidence.low,
        expected_high=evidence.high,
        score=score,
        severity=severity_of(score, threshold),
        detector=HOURS,
    )
