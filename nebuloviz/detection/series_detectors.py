"""The built-in detectors of rules: a threshold, a change, a forecast's interval, silence, and the scorers of rows on one series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.series import BoolArray, FloatArray, IntArray
from nebuloviz.detection.series_detector import Course, Judgement, Parameter, SeriesDetector
from nebuloviz.detection.tail import DAYS_FIT, HOURS_FIT, tail_from_daily_maxima

if TYPE_CHECKING:  # which many who only ask for the detectors' names need not load
    import pandas as pd

_WEEK_DAYS = 7
_RANGE_SPREADS = 3.0  # that the range reaches either way, as that of the watches does
_SPREAD = 1.4826  # of a normal distribution, over its median absolute deviation


class Threshold(SeriesDetector):
    """Below one number, or above another; either may be left out."""

    name = "threshold"
    label = "Threshold"
    about = "Alerts when a value falls below one number or rises above another."
    parameters = (
        Parameter("below", "Alert below", least=-1e12, of_metric=True),
        Parameter("above", "Alert above", least=-1e12, of_metric=True),
    )
    memory_weeks = 5

    def judge(self, course: Course) -> Judgement:
        below, above = self.of["below"], self.of["above"]
        low = np.full(len(course), -np.inf if below is None else below)
        high = np.full(len(course), np.inf if above is None else above)
        judged = Judgement.of_range(course.values, np.full(len(course), np.nan), low, high)
        return replace(judged, expected=course.usual(4, at_least=1))


class SameWeekday(SeriesDetector):
    """A change against the median at the same hour of the same weekday, or on the same weekday, of the last four weeks."""

    name = "same_weekday"
    label = "Change from the same weekday"
    about = "Compares with the same weekday of the last four weeks, or the same hour of it."
    parameters = (
        Parameter("fall", "Alert on a drop of, in percent", 40.0, 1.0, 100.0),
        Parameter("rise", "Alert on an increase of, in percent", 80.0, 1.0, 10_000.0),
        Parameter("least", "Only where at least this much is expected", 0.0, 0.0, of_metric=True),
    )
    memory_weeks = 6

    def judge(self, course: Course) -> Judgement:
        usual = course.usual(4)
        usual[~(usual > 0) | (usual < self.number("least"))] = np.nan
        low, high = usual * (1 - self.number("fall") / 100), usual * (1 + self.number("rise") / 100)
        return Judgement.of_range(course.values, usual, low, high)


class ForecastInterval(SeriesDetector):
    """Outside of what was forecast: the usual at this place of the week times the level of the last two weeks.

    How far that may be off is looked up, not assumed: the range holds the asked share of the forecasts made in the ten weeks
    before (split conformal prediction), each measured by the root of what was forecast.
    """

    name = "forecast_interval"
    label = "Forecast interval"
    about = "Forecasts each value, and alerts when it falls outside the forecast range."
    parameters = (Parameter("percent", "Share of values that are normal, in percent", 99.5, 50.0, 99.99),)
    memory_weeks = 20
    _WEEKS = 6
    _ERRORS_WEEKS = 10
    _FEWEST = 28

    def judge(self, course: Course) -> Judgement:
        import pandas as pd  # noqa: PLC0415 - see above

        values = pd.Series(course.values)
        usual = course.usual(self._WEEKS, at_least=3)
        both = np.isfinite(course.values) & np.isfinite(usual)
        got, due = (pd.Series(np.where(both, each, 0.0)).shift(1) for each in (course.values, usual))
        window = 2 * course.season
        with np.errstate(divide="ignore", invalid="ignore"):
            level = (got.rolling(window, 1).sum() / due.rolling(window, 1).sum()).to_numpy()
        expected = usual * np.clip(np.where(np.isfinite(level), level, 1.0), 0.2, 5.0)
        root = _root_of(expected, 4 * course.season)
        errors = ((values - expected) / root).shift(1).rolling(self._ERRORS_WEEKS * course.season, self._FEWEST)
        outside = (1 - self.number("percent") / 100) / 2
        low, high = (errors.quantile(share).to_numpy() for share in (outside, 1 - outside))
        low, high = expected + np.minimum(low, 0) * root, expected + np.maximum(high, 0) * root
        return Judgement.of_range(course.values, expected, low, high)


class Silence(SeriesDetector):
    """Nothing for some buckets on end, in which there was something in at least three of the last four weeks.

    Of each value of a dimension it tells of a segment that is missing, of the records that come in of a stream gone stale.
    """

    name = "silence"
    label = "No more sales"
    about = "Alerts when a segment or the whole stream falls silent where sales are normal."
    parameters = (Parameter("buckets", "After this many hours or days without any", 3.0, 1.0, 168.0, whole=True),)
    memory_weeks = 6
    _USUALLY = 3

    def judge(self, course: Course) -> Judgement:
        wanted = int(self.number("buckets"))
        before = np.nan_to_num(course.same_slot_before(4))
        due = (before > 0).sum(axis=1) >= self._USUALLY
        silent = ~(np.nan_to_num(course.values) > 0)
        if course.closed is not None:
            due &= ~course.closed
        # Hours that are always silent, such as nights, neither count nor break a silence
        run = _run_of(silent & due, reset=~silent)
        found = due & silent & (run >= wanted)
        usual = np.where(due, np.nan_to_num(course.usual(4)), np.nan)
        score = np.where(found, run / wanted, 0.0)
        nothing = np.full(len(course), np.nan)
        low = np.where(due, np.minimum(usual, 1.0), nothing)
        return Judgement(usual, low, np.where(due, np.inf, nothing), score)


def _run_of(counted: BoolArray, reset: BoolArray) -> FloatArray:
    """How many were counted since the last reset, each bucket included."""
    total: IntArray = np.cumsum(counted)
    at_reset = np.maximum.accumulate(np.where(reset, total, 0))
    return np.asarray(total - at_reset, np.float64)


class Scored(SeriesDetector):
    """A scorer of rows on the features of one series, calibrated to a number of false alerts a week: by default an Isolation Forest.

    Features are how far the last one, four and eight buckets together are from the usual at their places of the week, and the
    step from the bucket before, in robust standard deviations of four weeks. It learns at the end of each week from the eight
    before, once each open place of the week was seen three times. What lies in the range of three standard deviations is no
    finding, and buckets that are not known, as while the shop is closed, were no different from usual.
    """

    name = "isolation_forest"
    label = ForestDetector.label
    about = "Learns what is normal every week, and sets its threshold by the false alerts you accept."
    parameters = (Parameter("false_alerts", "Acceptable false alerts per week", 0.5, 0.001, 20.0),)
    memory_weeks = 20
    scorer: ClassVar[type[Detector]] = ForestDetector
    _LEARNED_WEEKS = 8
    _MIN_WEEKS = 3
    _MIN_KNOWN = 5
    _WINDOWS = (1, 4, 8)

    def __reduce__(self) -> tuple[Callable[..., Scored], tuple[object, ...]]:
        """Classes that `scored_by` makes have no name to be found by."""
        return _restored, (self.scorer, self.seed, self.of)

    def judge(self, course: Course) -> Judgement:
        usual = course.usual(4)
        features, reach = self._features(course, usual)
        known = np.isfinite(features).all(axis=1)
        surprise = np.zeros(len(course))
        weeks = (course.first + np.arange(len(course))) // course.season
        for week in np.unique(weeks[course.asked :]):
            rows = np.flatnonzero((weeks == week) & known)
            past = np.flatnonzero((weeks >= week - self._LEARNED_WEEKS) & (weeks < week) & known)
            if len(rows) and len(past) >= self._MIN_WEEKS * len(np.unique(course.slots[past])):
                surprise[rows] = self._surprise(features[past], features[rows], past + course.first, course.season)
        outside = np.abs(course.values - usual) > reach
        score = np.where(known & outside, np.maximum(surprise + np.log10(self.number("false_alerts")), 0.0), 0.0)
        return Judgement(usual, usual - reach, usual + reach, score)

    def _features(self, course: Course, usual: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shaped (buckets, features), and how far from the usual a value may be."""
        import pandas as pd  # noqa: PLC0415 - see above

        off = pd.Series(course.values - usual)
        known, counted = off.notna(), off.fillna(0.0)
        scale = _root_of(usual, 4 * course.season)
        views = [(counted.rolling(window).sum() / np.sqrt(window) / scale).where(known) for window in self._WINDOWS]
        views.append((off - counted.shift(1)) / scale)
        least = max(course.season // 6, self._MIN_KNOWN)
        spreads = [_spread_before(view, 4 * course.season, least) for view in views]
        features: FloatArray = np.column_stack([view / spread for view, spread in zip(views, spreads, strict=True)])
        return features, _RANGE_SPREADS * spreads[0].to_numpy(np.float64) * scale

    def _surprise(self, past: FloatArray, rows: FloatArray, numbers: IntArray, season: int) -> FloatArray:
        import pandas as pd  # noqa: PLC0415 - see above

        fitted = self.scorer(seed=self.seed).fit(past)
        days = numbers * _WEEK_DAYS // season
        maxima = np.asarray(pd.Series(fitted.score(past)).groupby(days).max(), np.float64)
        by_hour = season > _WEEK_DAYS
        tail = tail_from_daily_maxima(maxima, _WEEK_DAYS, HOURS_FIT if by_hour else DAYS_FIT)
        return np.zeros(len(rows)) if tail is None else tail.surprise(fitted.score(rows))


def _root_of(due: FloatArray, window: int) -> FloatArray:
    """The root of what is due, by which chance grows; of hours with hardly anything due, that of a twentieth of the usual."""
    import pandas as pd  # noqa: PLC0415 - see above

    size = np.abs(due)
    mean = pd.Series(size).rolling(window, 1).mean().to_numpy(np.float64)
    return np.asarray(np.sqrt(np.maximum(np.maximum(size, 0.05 * mean), 1e-9)), np.float64)


def _spread_before(view: pd.Series[float], window: int, at_least: int) -> pd.Series[float]:
    """The robust standard deviation of the values before each, around nothing; of constants a thousandth."""
    return (_SPREAD * view.abs().shift(1).rolling(window, at_least).median()).clip(lower=1e-3)


@cache
def scored_by(scorer: type[Detector]) -> type[Scored]:
    """The detector of rules that judges by this scorer of rows, under the scorer's name."""
    if scorer is Scored.scorer:
        return Scored
    return type(
        scorer.__name__, (Scored,), {"name": scorer.name, "label": scorer.label or scorer.name, "scorer": scorer}
    )


def _restored(scorer: type[Detector], seed: int, parameters: Mapping[str, float | None]) -> Scored:
    return scored_by(scorer)(seed=seed, parameters=parameters)
