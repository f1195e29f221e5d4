"""The trained half of the series watch: for each metric the spread of its residuals, one detector for all series, a calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nebuloviz.detection.calendar import Calendar, busiest_bucket, open_hours
from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.grain import Grain
from nebuloviz.detection.history import History
from nebuloviz.detection.residuals import Scale, residuals, rolling_sum
from nebuloviz.detection.series import BoolArray, FloatArray, IntArray, Segment
from nebuloviz.detection.tail import Tail, calibrate

DUE_ORDERS = 0.5  # a longest window with less than half an order due says nothing
_MIN_OPEN_HOURS = 24  # fewer make no spread of a series' own
_SPREAD_FLOOR = {Scale.COUNT: 0.5, Scale.AMOUNT: 0.05}


@dataclass(frozen=True)
class Watched:
    """A metric to watch, and its part of the false alerts that are acceptable."""

    metric: str
    scale: Scale
    budget_share: float


# Orders say most: the others jump with single wholesale baskets, so they alert only when the case is plain.
# With the shares of the day watch and of the line watch these come to one.
WATCHED = (
    Watched("orders", Scale.COUNT, 0.54),
    Watched("revenue", Scale.AMOUNT, 0.02),
    Watched("units", Scale.AMOUNT, 0.02),
    Watched("lines", Scale.AMOUNT, 0.02),
)


@dataclass(frozen=True)
class WatchSettings:
    """What to watch and how strictly. `false_alerts_per_week` is the budget of all detectors together."""

    calendar: Calendar = field(default_factory=Calendar)
    watched: tuple[Watched, ...] = WATCHED
    max_series: int = 264
    warmup_weeks: int = 4  # a series raises nothing until it has been seen for so long
    fit_weeks: int = 8
    false_alerts_per_week: float = 1.0
    seed: int = 0
    detector: type[Detector] = ForestDetector

    def threshold(self, budget_share: float) -> float:
        """The surprise from which a detector with this share of the budget alerts."""
        return float(-np.log10(self.false_alerts_per_week * budget_share))

    def make_detector(self) -> Detector:
        return self.detector(seed=self.seed)


@dataclass(frozen=True)
class MetricModel:
    """How one metric's buckets are judged; arrays have one entry a segment."""

    scale: Scale
    detector: Detector
    spread: FloatArray  # (segments, features)
    unit: FloatArray  # what one order comes to
    busiest: FloatArray
    grain: Grain
    tail: Tail | None  # None: too few days to know what is rare

    def judged(self, expected: FloatArray) -> BoolArray:
        """The buckets (rows) and segments of which something can be said."""
        due = rolling_sum(np.nan_to_num(expected), max(self.grain.windows)) / self.unit
        return open_hours(expected, self.busiest) & (due >= DUE_ORDERS)

    def deviations(self, observed: FloatArray, expected: FloatArray) -> FloatArray:
        """Residuals in robust standard deviations, shaped (buckets, segments, features)."""
        return residuals(observed, expected, self.unit, self.scale, self.grain) / self.spread

    def surprise(self, deviations: FloatArray) -> FloatArray:
        """Calibrated scores of rows of deviations; see `Tail.surprise`. Below every threshold where nothing is known."""
        if self.tail is None:
            return np.full(len(deviations), -np.inf)
        return self.tail.surprise(self.detector.score(deviations))


@dataclass(frozen=True)
class SeriesModel:
    """A trained model. `version` names what it was made of: equal settings and equal history give equal versions."""

    version: str
    trained_until: int  # the local day that it knows nothing of any more
    segments: tuple[Segment, ...]
    of: Mapping[str, MetricModel]


def fit(history: History, settings: WatchSettings) -> SeriesModel:
    """Train on the last weeks of whole days. Pure: a background thread may run it on `History.copy()`."""
    columns = _watched_columns(history, settings)
    of = {each.metric: _fit_metric(history, each, columns, settings) for each in settings.watched}
    segments = tuple(history.segments[column] for column in columns)
    return SeriesModel(_version(history, settings, segments), history.whole_until, segments, of)


def _watched_columns(history: History, settings: WatchSettings) -> IntArray:
    """The company and the largest segments, as many as the settings allow."""
    n = max(1, settings.max_series // len(settings.watched))
    volume = history.volume(settings.watched[0].metric, settings.fit_weeks * 7)
    volume[0] = np.inf
    largest = np.argsort(-volume, kind="stable")[:n]
    return np.sort(largest[volume[largest] > 0])


def _fit_metric(history: History, watched: Watched, columns: IntArray, settings: WatchSettings) -> MetricModel:
    past, grain = history.of[watched.metric], history.grain
    lately = slice(-settings.fit_weeks * grain.per_week, None)
    observed, expected = history.taught(watched.metric)[lately][:, columns], past.expected[lately][:, columns]
    unit = _unit(history, watched, columns, lately, settings)
    detector = settings.make_detector()
    untrained = MetricModel(
        watched.scale, detector, np.ones((len(columns), 1)), unit, busiest_bucket(expected), grain, None
    )
    rows = untrained.judged(expected) & np.isfinite(observed)
    raw = untrained.deviations(observed, expected)
    spread = _spread(raw, rows, watched.scale)
    deviations = raw / spread
    if not rows.any():
        return untrained
    detector.fit(deviations[rows])
    tail = calibrate(detector, deviations, rows, per_day=grain.per_day)
    return replace(untrained, spread=spread, tail=tail)


def _unit(history: History, watched: Watched, columns: IntArray, lately: slice, settings: WatchSettings) -> FloatArray:
    """What one order of each segment comes to in this metric; the company's where a segment has none."""
    if watched.scale is Scale.COUNT:
        return np.ones(len(columns))
    counted = settings.watched[0].metric
    orders = np.nansum(history.of[counted].observed[lately][:, columns], axis=0)
    total = np.nansum(history.of[watched.metric].observed[lately][:, columns], axis=0)
    company = max(total[0] / max(orders[0], 1.0), 1e-9)
    unit: FloatArray = np.where((orders > 0) & (total > 0), total / np.maximum(orders, 1.0), company)
    return unit


def _spread(residual: FloatArray, rows: BoolArray, scale: Scale) -> FloatArray:
    """The robust standard deviation of each segment's residuals, of all segments' where it has too few buckets."""
    floor = _SPREAD_FLOOR[scale]
    pooled = _deviation(residual[rows]) if rows.any() else np.full(residual.shape[2], floor)
    spread = [
        _deviation(residual[rows[:, k], k]) if rows[:, k].sum() >= _MIN_OPEN_HOURS else pooled
        for k in range(residual.shape[1])
    ]
    floored: FloatArray = np.maximum(np.stack(spread), floor)
    return floored


def _deviation(values: FloatArray) -> FloatArray:
    return np.asarray(1.4826 * np.median(np.abs(values), axis=0))


def _version(history: History, settings: WatchSettings, segments: tuple[Segment, ...]) -> str:
    """The method's name and a digest of settings, training span and data."""
    digest = hashlib.blake2b(digest_size=6)
    digest.update(repr((settings, history.first_day, history.next_day, segments, history.lessons)).encode())
    for metric in sorted(history.of):
        digest.update(np.ascontiguousarray(history.of[metric].observed).tobytes())
    return f"{settings.detector.name}-{digest.hexdigest()}"
