"""The trained half of the line watch: one forest on prices, one on quantities, one on the hourly share of price drops."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.detector import Detector, known_rows
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.grain import HOUR
from nebuloviz.detection.residuals import rolling_sum
from nebuloviz.detection.series import FloatArray, IntArray, Segment
from nebuloviz.detection.tail import LINES_FIT, Tail, calibrate, tail_from_daily_maxima

_SPREAD_QUANTILE, _SPREAD_SIGMAS = 0.99, 2.576
_SPREAD_FLOOR = 0.1
# By how many spreads the oddest quantity of an ordinary day stands out at least, and that of one day in ten. In many shops none
# stands out on any day, and the first that does a little is no error.
_ODDEST_OF_A_DAY = (3.0, 4.5)
_DROP_SPREAD = 0.5  # of 2 (sqrt k - sqrt E) for counts mostly zero, whose own spread is none
_DROP_PRIOR = (0.5, 25.0)  # invoices with and without a drop that every segment is taken to have had

PRICE, QUANTITY, DROPS, REPEATS = "unit_price", "quantity", "price_drops", "repeated_orders"


@dataclass(frozen=True)
class LineSettings:
    """What the line watch looks at. `dimensions` are those of an order (not of a product) that price drops are split by."""

    calendar: Calendar = field(default_factory=Calendar)
    dimensions: tuple[str, ...] = ()
    product_dimension: str = "product"  # the name that a product has in the name of a series
    max_segments: int = 40
    warmup_weeks: int = 4
    fit_weeks: int = 8
    false_alerts_per_week: float = 1.0
    budget_shares: Mapping[str, float] = field(
        default_factory=lambda: {PRICE: 0.1, QUANTITY: 0.1, DROPS: 0.08, REPEATS: 0.06}
    )
    seed: int = 0
    detector: type[Detector] = ForestDetector

    def threshold(self, detector: str) -> float:
        """The surprise from which this detector alerts."""
        return float(-np.log10(self.false_alerts_per_week * self.budget_shares[detector]))


@dataclass(frozen=True)
class Sample:
    """Past rows of features and the local day of each: every twentieth line, and each hour's most deviating ones."""

    days: IntArray
    features: FloatArray

    def since(self, day: int) -> Sample:
        recent = self.days >= day
        return Sample(self.days[recent], self.features[recent])


@dataclass(frozen=True)
class DropCounts:
    """Invoices, and those among them whose prices dropped, per local hour from midnight of `first_day`; (hours, segments)."""

    first_day: int
    segments: tuple[Segment, ...]
    invoices: FloatArray
    drops: FloatArray


@dataclass(frozen=True)
class Judge:
    """A fitted detector with the scale of its features and its calibration."""

    detector: Detector
    spread: FloatArray
    tail: Tail | None

    def surprise(self, features: FloatArray) -> FloatArray:
        """Calibrated scores, see `Tail.surprise`; of rows that hold a NaN, below every threshold."""
        if self.tail is None:
            return np.full(len(features), -np.inf)
        scores = self.tail.surprise(self.detector.score(features / self.spread))
        return np.where(known_rows(features), scores, -np.inf)


@dataclass(frozen=True)
class LineModel:
    """A trained model; `version` names what it was made of."""

    version: str
    trained_until: int
    price: Judge
    quantity: Judge
    drops: Judge
    segments: tuple[Segment, ...]  # that price drops are looked for in
    drop_share: FloatArray  # (segments,): the part of invoices that usually shows a price drop


def fit_lines(price: Sample, quantity: Sample, counts: DropCounts, until: int, settings: LineSettings) -> LineModel:
    """Train on the last weeks before local day `until`. Pure, so a background thread may run it on copies."""
    since = until - settings.fit_weeks * 7
    share = _drop_share(counts)
    return LineModel(
        version=_version(price, quantity, counts, settings, until),
        trained_until=until,
        price=_judge(price.since(since), settings),
        quantity=_judge(quantity.since(since), settings, _ODDEST_OF_A_DAY),
        drops=_drop_judge(counts, share, settings),
        segments=counts.segments,
        drop_share=share,
    )


def _judge(sample: Sample, settings: LineSettings, oddest: Sequence[float] = ()) -> Judge:
    known = known_rows(sample.features)
    features, days = sample.features[known], sample.days[known]
    detector = settings.detector(seed=settings.seed)
    if not len(features):
        return Judge(detector, np.ones(sample.features.shape[1]), None)
    spread = np.quantile(np.abs(features), _SPREAD_QUANTILE, axis=0) / _SPREAD_SIGMAS
    spread = np.maximum(spread, _SPREAD_FLOOR)
    scores = detector.fit(features / spread).score(features / spread)
    unique, day = np.unique(days, return_inverse=True)
    maxima = np.full(len(unique), -np.inf)
    np.maximum.at(maxima, day, scores)
    days_per_week = 7 * len(unique) / (unique[-1] - unique[0] + 1)
    scores_of_oddest = detector.score(np.outer(oddest, np.ones(features.shape[1]))).tolist() if oddest else None
    tail = tail_from_daily_maxima(maxima, days_per_week, LINES_FIT, scores_of_oddest)
    return Judge(detector, spread, tail)


def drop_deviations(counts: DropCounts, share: FloatArray) -> FloatArray:
    """How far price drops are above their usual share of invoices, over each window; (hours, segments, windows)."""
    views = []
    for window in HOUR.windows:
        expected = rolling_sum(counts.invoices, window) * share
        views.append(2 * (np.sqrt(rolling_sum(counts.drops, window)) - np.sqrt(expected)) / _DROP_SPREAD)
    return np.maximum(np.stack(views, axis=-1), 0.0)


def _drop_share(counts: DropCounts) -> FloatArray:
    few, many = _DROP_PRIOR
    share: FloatArray = (counts.drops.sum(axis=0) + few) / (counts.invoices.sum(axis=0) + few + many)
    return share


def _drop_judge(counts: DropCounts, share: FloatArray, settings: LineSettings) -> Judge:
    deviations = drop_deviations(counts, share)
    rows = counts.invoices > 0
    detector = settings.detector(seed=settings.seed)
    ones = np.ones(len(HOUR.windows))
    if not rows.any():
        return Judge(detector, ones, None)
    detector.fit(deviations[rows])
    return Judge(detector, ones, calibrate(detector, deviations, rows, LINES_FIT))


def _version(price: Sample, quantity: Sample, counts: DropCounts, settings: LineSettings, until: int) -> str:
    digest = hashlib.blake2b(repr((settings, until, counts.first_day)).encode(), digest_size=6)
    for array in (price.features, quantity.features, counts.invoices, counts.drops):
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"lines-{settings.detector.name}-{digest.hexdigest()}"
