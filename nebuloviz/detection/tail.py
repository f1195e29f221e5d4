"""From a detector's own score to a unit that all detectors share: expected false alerts a week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.series import HOURS_PER_DAY, BoolArray, FloatArray

# The upper part of past maxima holds true anomalies, which must not teach the detector to expect them: fit below it.
# Hours of a company are anomalous on several days in ten; wrong lines are rarer, and their ordinary days say less about the rare.
HOURS_FIT = (0.2, 0.6)
LINES_FIT = (0.5, 0.9)
# Days of what is judged by the day are anomalous as rarely as lines are wrong.
DAYS_FIT = LINES_FIT
_MIN_DAYS = 5
_CANDIDATES = 8  # the rows of a day that its highest score is looked for in
_SURPRISE_LIMIT = 300.0


@dataclass(frozen=True)
class Tail:
    """A Gumbel distribution of daily maxima: scores with an exponential tail have maxima like this.

    `surprise` is -log10 of how many days a week a chance maximum would reach a score: 0 = one false alert a week,
    1 = one in ten weeks, 2 = one in a hundred.
    """

    location: float
    scale: float
    days_per_week: float

    def surprise(self, scores: FloatArray) -> FloatArray:
        """Scores of any shape -> surprise, between about -0.8 and 300; NaN stays NaN."""
        reduced = np.clip((scores - self.location) / self.scale, -50.0, None)
        # log of 1 - exp(-exp(-x)), which for large x is -x: computed so that it neither overflows nor rounds to log(0)
        exceed = np.where(reduced > 30, -reduced, np.log(-np.expm1(-np.exp(-np.minimum(reduced, 30.0)))))
        surprise: FloatArray = np.minimum(-(exceed + np.log(self.days_per_week)) / np.log(10), _SURPRISE_LIMIT)
        return surprise


def tail_from_daily_maxima(
    maxima: FloatArray,
    days_per_week: float,
    quantiles: tuple[float, float] = HOURS_FIT,
    at_least: Sequence[float] | None = None,
) -> Tail | None:
    """Fitted to two quantiles of the highest score of each past day, or to `at_least` where these are lower.

    None where a handful of days is all there is.
    """
    known = maxima[np.isfinite(maxima)]
    if len(known) < _MIN_DAYS or days_per_week <= 0:
        return None
    low, high = np.maximum(np.quantile(known, quantiles), at_least or -np.inf)
    reduced_low, reduced_high = -np.log(-np.log(quantiles))
    scale = max((high - low) / (reduced_high - reduced_low), 1e-3 * max(abs(high), 1e-6))
    return Tail(float(low - scale * reduced_low), float(scale), days_per_week)


def calibrate(
    detector: Detector,
    deviations: FloatArray,
    rows: BoolArray,
    quantiles: tuple[float, float] = HOURS_FIT,
    *,
    per_day: int = HOURS_PER_DAY,
) -> Tail | None:
    """The tail of a fitted detector's scores on buckets shaped (days x `per_day`, series, features), of which `rows` count.

    The highest score of a day is looked for among the day's largest deviations: scoring all of them would take minutes.
    """
    largest = np.where(rows, np.abs(deviations).max(axis=2), -1.0)
    flat = largest.reshape(len(largest) // per_day, -1)
    top = np.argsort(-flat, axis=1, kind="stable")[:, :_CANDIDATES]
    candidates = deviations.reshape(*flat.shape, -1)[np.arange(len(flat))[:, None], top]
    scores = detector.score(candidates.reshape(-1, candidates.shape[2])).reshape(top.shape)
    scores[np.take_along_axis(flat, top, axis=1) < 0] = -np.inf
    maxima = scores.max(axis=1)
    return tail_from_daily_maxima(maxima, 7 * int(np.isfinite(maxima).sum()) / max(len(maxima), 1), quantiles)
