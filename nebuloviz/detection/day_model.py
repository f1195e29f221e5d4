"""Metrics that say too little by the hour, judged by the day: what each is made of, what is expected of it, and what is usual.

Each is a ratio: the sum of its numerator over that of its denominator, so that promotions, closures and growth, which move both,
move it little. What chance does to a ratio follows what it is a ratio of: the more orders a day has, the less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.expectation import median
from nebuloviz.detection.series import BoolArray, FloatArray, Segment
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.tail import DAYS_FIT, Tail, calibrate

_LEVEL_DAYS = 14
_SAME_WEEKDAYS = 8
_MIN_LEVEL = 7  # days known; of fewer nothing is expected
_MIN_SAME = 3
_MIN_ORDERS = 20.0  # a day with fewer says nothing
_MIN_COUNT = 3.0  # nor does one of which fewer things are expected
_MIN_DAYS = 14  # fewer make no spread of a series' own
_RESTLESS = 0.03  # ratios wander by so much of themselves whatever the number of orders
_SMALL_SHARE = 0.1  # below it, a share wanders as if it were this large
_LOWEST = 0.01  # of what is expected; a ratio below it counts as this much
_SPREAD_FLOOR = 1.0  # of counts: what chance alone does to them
_FAR, _FAR_SPREADS = 0.95, 1.96  # a series with many large residuals has a spread to match
RANGE_SPREADS = 3.0  # that the expected range reaches either way; what lies inside is no finding, however rare


class Kind(StrEnum):
    """How days of a metric are made comparable, whatever their number of orders."""

    AMOUNT = "amount"  # the logarithm of observed over expected, times the root of the orders
    SHARE = "share"  # the difference, times the root of the orders
    COUNT = "count"  # 2 (sqrt y - sqrt E), where E is what the denominator would bring


@dataclass(frozen=True)
class DayMetric:
    """A metric to watch by the day: measures of the rollups, or `customers`; a leading '-' subtracts.

    An alert tells the ratio, of a COUNT the numerator; with `shown` in the numerator's place where that is what the metric means.
    """

    metric: str
    kind: Kind
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    shown: tuple[str, ...] = ()
    budget_share: float = 0.005  # of the false alerts that are acceptable


BY_DAY = (
    # Before returns: one large return makes a small category's value of a day what it likes
    DayMetric("average_order_value", Kind.AMOUNT, ("revenue", "returned_amount"), ("orders",), shown=("revenue",)),
    DayMetric("customers", Kind.COUNT, ("customers",), ("orders",), budget_share=0.01),
    DayMetric("discount_rate", Kind.SHARE, ("discount",), ("revenue", "discount"), budget_share=0.015),
    DayMetric("margin", Kind.SHARE, ("costed_revenue", "-cost"), ("costed_revenue",), budget_share=0.015),
    DayMetric("returns", Kind.COUNT, ("returned_lines",), ("lines",), ("returned_amount",), budget_share=0.015),
)


def total(names: Sequence[str], measures: Sequence[str], values: FloatArray) -> FloatArray:
    """The signed sum of the named measures, which the last axis of `values` holds."""
    signed = [(-1.0 if name[0] == "-" else 1.0) * values[..., measures.index(name.removeprefix("-"))] for name in names]
    return np.asarray(np.sum(signed, axis=0))


def expect_next(kind: Kind, ratio: FloatArray, level: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The next day's ratio and level of each series, from the days before, shaped (days, series); NaN where not known.

    The level is the median of the last two weeks; the weekday's own way counts as far as it is steady.
    """
    scaled = _scaled(kind, ratio)
    recent = scaled[-_LEVEL_DAYS:]
    now = np.where(np.isfinite(recent).sum(axis=0) >= _MIN_LEVEL, median(recent), np.nan)
    same = slice(-7, -7 * _SAME_WEEKDAYS - 1, -7)
    off = scaled[same] - _scaled(kind, level[same])
    known = np.isfinite(off).sum(axis=0)
    usual = np.nan_to_num(median(off))
    noise = np.nan_to_num(median(np.abs(off - usual)))
    steady = usual**2 / np.maximum(usual**2 + 2 * noise**2 / np.maximum(known, 1), 1e-12)
    expected = now + np.where(known >= _MIN_SAME, steady * usual, 0.0)
    if kind is Kind.AMOUNT:
        return np.exp(expected), np.exp(now)
    return (np.maximum(expected, 0.0) if kind is Kind.COUNT else expected), now


def _scaled(kind: Kind, ratio: FloatArray) -> FloatArray:
    return np.log(np.maximum(ratio, 1e-9)) if kind is Kind.AMOUNT else ratio


@dataclass(frozen=True)
class Sums:
    """What one metric's days came to, each shaped (days, series); days of which nothing was expected hold zeros."""

    numerator: FloatArray
    expected: FloatArray  # what the denominator would have brought
    denominator: FloatArray
    orders: FloatArray

    def between(self, days: slice, series: Sequence[int]) -> Sums:
        parts = (self.numerator, self.expected, self.denominator, self.orders)
        return Sums(*(each[days][:, list(series)] for each in parts))

    @property
    def observed_ratio(self) -> FloatArray:
        return _divided(self.numerator, self.denominator)

    @property
    def expected_ratio(self) -> FloatArray:
        return _divided(self.expected, self.denominator)


def _divided(over: FloatArray, under: FloatArray) -> FloatArray:
    return np.asarray(over / np.where(under > 0, under, np.inf))


def judged(kind: Kind, sums: Sums) -> BoolArray:
    """The days of a series of which something can be said."""
    enough = (sums.orders >= _MIN_ORDERS) & (sums.denominator > 0)
    if kind is Kind.COUNT:
        return enough & (sums.expected >= _MIN_COUNT)
    return enough & (sums.expected_ratio > 0) if kind is Kind.AMOUNT else enough


def residual(kind: Kind, sums: Sums) -> FloatArray:
    """How far each day is from what was expected, with a spread that does not depend on its number of orders."""
    if kind is Kind.COUNT:
        return np.asarray(2 * (np.sqrt(np.maximum(sums.numerator, 0.0)) - np.sqrt(np.maximum(sums.expected, 0.0))))
    root, observed, expected = np.sqrt(sums.orders), sums.observed_ratio, sums.expected_ratio
    if kind is Kind.SHARE:
        return np.asarray((observed - expected) * root)
    due = np.where(expected > 0, expected, 1.0)
    return np.asarray(np.where(expected > 0, np.log(np.maximum(observed / due, _LOWEST)) * root, 0.0))


def deviation(kind: Kind, sums: Sums, spread: FloatArray) -> FloatArray:
    """The standard deviation of each day's residual: chance, and what ratios wander by themselves."""
    if kind is Kind.COUNT:
        size = np.sqrt(np.maximum(sums.expected, 0.0))
    elif kind is Kind.SHARE:
        size = np.maximum(np.abs(sums.expected_ratio), _SMALL_SHARE) * np.sqrt(sums.orders)
    else:
        size = np.sqrt(sums.orders)
    return np.asarray(np.sqrt(spread**2 + (_RESTLESS * size) ** 2))


def expected_range(kind: Kind, sums: Sums, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Low and high of what each day would normally come to: of a COUNT its number, else its ratio.

    A share that was never below zero, such as that of discounts, is not expected there either.
    """
    reach = RANGE_SPREADS * deviation(kind, sums, spread)
    if kind is Kind.COUNT:
        root = np.sqrt(np.maximum(sums.expected, 0.0))
        return np.maximum(root - reach / 2, 0.0) ** 2, (root + reach / 2) ** 2
    reach = reach / np.sqrt(np.maximum(sums.orders, 1.0))
    expected = sums.expected_ratio
    if kind is Kind.SHARE:
        low = expected - reach
        return np.where((sums.numerator >= 0).all(axis=0), np.maximum(low, 0.0), low), expected + reach
    return expected * np.exp(-reach), expected * np.exp(reach)


@dataclass(frozen=True)
class DayMetricModel:
    """How one metric's days are judged."""

    detector: Detector
    spread: FloatArray  # of each series
    tail: Tail | None  # None: too few days to know what is rare

    def deviations(self, kind: Kind, sums: Sums) -> FloatArray:
        """Residuals in standard deviations, shaped (days, series, 1)."""
        return (residual(kind, sums) / deviation(kind, sums, self.spread))[..., None]

    def surprise(self, deviations: FloatArray) -> FloatArray:
        if self.tail is None:
            return np.full(len(deviations), -np.inf)
        return self.tail.surprise(self.detector.score(deviations))


@dataclass(frozen=True)
class DayModel:
    """A trained model; see `SeriesModel`."""

    version: str
    trained_until: int
    segments: tuple[Segment, ...]
    of: Mapping[str, DayMetricModel]


def fit_metric(kind: Kind, sums: Sums, settings: WatchSettings) -> DayMetricModel:
    """Train on these days, of the series that will be judged."""
    rows = judged(kind, sums)
    untrained = DayMetricModel(settings.make_detector(), _spread(residual(kind, sums), rows, kind), None)
    if not rows.any() or not sums.numerator[rows].any():
        return untrained
    deviations = untrained.deviations(kind, sums)
    untrained.detector.fit(deviations[rows])
    tail = calibrate(untrained.detector, deviations, rows, DAYS_FIT, per_day=1)
    return DayMetricModel(untrained.detector, untrained.spread, tail)


def _spread(values: FloatArray, rows: BoolArray, kind: Kind) -> FloatArray:
    """The robust standard deviation of each series' residuals, of all series' where it has too few days."""
    pooled = _robust(values[rows]) if rows.any() else 1.0
    own = [_robust(values[rows[:, k], k]) if rows[:, k].sum() >= _MIN_DAYS else pooled for k in range(values.shape[1])]
    return np.maximum(own, _SPREAD_FLOOR if kind is Kind.COUNT else 1e-6)


def _robust(values: FloatArray) -> float:
    size = np.abs(values)
    return float(max(1.4826 * np.median(size), np.quantile(size, _FAR) / _FAR_SPREADS))


def version_of(settings: WatchSettings, parts: Sequence[object], values: FloatArray) -> str:
    """The method's name and a digest of settings, what is watched and data."""
    digest = hashlib.blake2b(digest_size=6)
    digest.update(repr((settings, *parts)).encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    return f"{settings.detector.name}-{digest.hexdigest()}"
