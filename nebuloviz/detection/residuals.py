"""How far buckets are from their expectation: variance-stabilised residuals over windows, the features that detectors judge.

Three views of each window of the grain (1, 2, 4 and 8 hours), in this order:
* plain: against the expectation;
* share: against the expectation scaled to what all *other* sales of the same time came to, so that a bad day of the whole
  company is not a finding in each of its segments;
* within the day: against the expectation scaled to what the day had brought *before* the window.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from nebuloviz.detection.grain import HOUR, Grain
from nebuloviz.detection.series import FloatArray

_PRIOR_SALES = (10.0, 20.0)  # how many orders' worth of expectation damp the two scales


class Scale(StrEnum):
    """How residuals of a metric are made comparable between large and small expectations."""

    COUNT = "count"  # 2 (sqrt y - sqrt E): the spread of counts grows with the root of their mean
    AMOUNT = "amount"  # log of the ratio, damped: single large baskets carry much of an amount


def residuals(
    observed: FloatArray, expected: FloatArray, unit: FloatArray, scale: Scale, grain: Grain = HOUR
) -> FloatArray:
    """Shaped (buckets, series, features); bucket 0 stands at a local midnight, series 0 is the company.

    `unit` is what one order comes to, per series (1 for counts). Buckets with NaN count as neither observed nor expected.
    """
    known = np.isfinite(observed) & np.isfinite(expected)
    got = np.where(known, np.maximum(observed, 0.0), 0.0)
    due = np.where(known, expected, 0.0)
    views = [_view(got, due, unit, scale, window, grain) for window in grain.windows]
    return np.stack([view[which] for which in range(3) for view in views], axis=-1)


def _view(
    got: FloatArray, due: FloatArray, unit: FloatArray, scale: Scale, window: int, grain: Grain
) -> tuple[FloatArray, ...]:
    """The three residuals of one window, each shaped (buckets, series)."""
    observed, expected = rolling_sum(got, window), rolling_sum(due, window)
    before_got, before_due = _day_before(got, window, grain.per_day), _day_before(due, window, grain.per_day)
    today_got, today_due = _day_so_far(got, grain.per_day) - before_got, _day_so_far(due, grain.per_day) - before_due
    few, some = _PRIOR_SALES
    others = observed[:, :1] - observed + few * unit, expected[:, :1] - expected + few * unit
    shared = expected * np.maximum(others[0], few * unit) / np.maximum(others[1], few * unit)
    shared[:, 0] = expected[:, 0]
    scaled = today_due * (before_got + some * unit) / (before_due + some * unit)
    # What went before varies by chance as well, which an hour of a few orders hides and an early quarter of many does not.
    unsure = today_due * before_due / (before_due + some * unit) ** 2 if grain.weighs_morning else 0.0
    damping = unit * window
    return (
        _residual(observed, expected, damping, scale),
        _residual(observed, shared, damping, scale),
        _residual(today_got, scaled, damping, scale) / np.sqrt(1.0 + unsure),
    )


def _residual(observed: FloatArray, expected: FloatArray, damping: FloatArray, scale: Scale) -> FloatArray:
    if scale is Scale.COUNT:
        return 2 * (np.sqrt(observed) - np.sqrt(expected))
    return np.log((observed + damping) / (expected + damping))


def rolling_sum(values: FloatArray, window: int) -> FloatArray:
    """Over the last `window` buckets, fewer at the start; along the first axis."""
    total = np.cumsum(values, axis=0)
    total[window:] -= total[:-window].copy()
    return np.maximum(total, 0.0)  # differences of sums may round below zero


def _day_so_far(values: FloatArray, per_day: int) -> FloatArray:
    """The sum since midnight, the bucket itself included."""
    buckets = len(values)
    padded = np.zeros((-(-buckets // per_day) * per_day, *values.shape[1:]))
    padded[:buckets] = values
    days = padded.reshape(-1, per_day, *values.shape[1:])
    return np.cumsum(days, axis=1).reshape(padded.shape)[:buckets]


def _day_before(values: FloatArray, window: int, per_day: int) -> FloatArray:
    """The sum since midnight without the last `window` buckets."""
    so_far = _day_so_far(values, per_day)
    before = np.zeros_like(so_far)
    before[window:] = so_far[:-window]
    before[np.arange(len(values)) % per_day < window] = 0.0
    return before
