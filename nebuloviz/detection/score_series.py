"""One series of numbers, of any spacing: how unusual each value is, judged by itself and the values before it only."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from pandas.core.window import Rolling

from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.series import BoolArray, FloatArray, IntArray

FOREST_WINDOW = 8_000  # previous rows of features that a forest is fitted on
REFIT_EVERY = 1_000
FIRST_SCORE = 100  # values before the first one that is scored
QUIET_SHARE, QUIET_AT_LEAST = 0.1, 100  # a score counts if it is above those of the last tenth of the values before it
SAME_TIME = 100  # earlier values of the same half hour of the day, or hour of the week, that make its usual one
LOOK_BACK = 1_000  # previous values that make up the usual spread
NEAR = (30, 100)  # previous values that a value is compared with
RESTLESS = 48  # values that volatility is taken over
_BINS_PER_DAY = 48
_MIN_KNOWN = 20
_ROUNDING = 1e-9  # of the range, which arithmetic alone may leave it by
_FARTHEST = 10.0  # ranges beyond the range, after which far is far
_LARGEST = 1e150  # beyond which differences and squares would overflow


def score_values(timestamps: pd.DatetimeIndex, values: FloatArray, *, seed: int = 0) -> FloatArray:
    """Scores in [0, 1], one a value; 0 for a missing value, for the first hundred, and where nothing new stands out.

    Half of a score is how soon an Isolation Forest isolates the value's features from those before, the other half in how many
    of them it is a new extreme. Score i depends on rows 0 to i alone. Missing timestamps (NaT) only cost the comparisons with
    the same time of day and of the week.
    """
    features = series_features(timestamps, values)
    known = np.isfinite(values)
    raw = np.zeros(len(values))
    for start, end in _blocks(len(values)):
        past = features[max(0, start - FOREST_WINDOW) : start][known[max(0, start - FOREST_WINDOW) : start]]
        rows = np.flatnonzero(known[start:end]) + start
        if len(past) >= _MIN_KNOWN and len(rows):
            forest = ForestDetector(trees=100, samples=512, seed=seed).fit(past)
            raw[rows] = (forest.isolation(features[rows]) + (features[rows] > 0).mean(axis=1)) / 2
    return debounced(raw)


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Stretches that one forest scores: it doubles its experience at first, and is refitted regularly later."""
    start = FIRST_SCORE
    while start < n:
        end = min(start + min(start, REFIT_EVERY), n)
        yield start, end
        start = end


def debounced(scores: FloatArray) -> FloatArray:
    """A score where it is above all of the last tenth before it (at least a hundred), else 0.

    What counts as one anomaly grows with what is known: in a year of values a second alarm within a day tells nothing new.
    """
    place = np.arange(len(scores))
    reach = np.minimum(np.maximum(QUIET_SHARE * place, QUIET_AT_LEAST).astype(np.int64), place)
    return np.where(scores > _highest_before(scores, reach), scores, 0.0)


def _highest_before(scores: FloatArray, reach: IntArray) -> FloatArray:
    """The highest of the `reach[i]` scores before each; 0 where that is none.

    Two overlapping stretches of a power of two cover any stretch, so one table of maxima a power is all it takes.
    """
    highest = np.zeros(len(scores))
    stretch, power = scores, 1  # stretch[i]: the highest of scores[i : i + power]
    while power <= reach.max(initial=0):
        rows = np.flatnonzero((reach >= power) & (reach < 2 * power))
        highest[rows] = np.maximum(stretch[rows - reach[rows]], stretch[rows - power])
        stretch, power = np.maximum(stretch, np.r_[stretch[power:], np.zeros(min(power, len(scores)))]), 2 * power
    return highest


def series_features(timestamps: pd.DatetimeIndex, values: FloatArray) -> FloatArray:
    """Shaped (values, 6): in each view of the series, how far a value lies outside the range of all before it.

    Seen are the value itself; how far it is from the usual at this time of day, and of the week; from the median of the last 30
    and of the last 100; and how restless the last 48 are. The distance is counted in widths of that range, as log1p of its
    hundredfold: 0 inside the range, and where nothing is known. Ranges make series comparable that have nothing else in
    common: whatever its distribution, one without anomalies sets few records.
    """
    series = pd.Series(values).where(np.isfinite(values)).clip(-_LARGEST, _LARGEST)
    of_day, of_week = _times(timestamps)
    views = (
        series,
        _from_same_time(series, of_day),
        _from_same_time(series, of_week),
        *(series - _previous(series, near, 5).median() for near in NEAR),
        _restlessness(series),
    )
    return np.column_stack([np.log1p(100 * _outside(view)) for view in views])


def _outside(view: pd.Series[float]) -> FloatArray:
    """How far each value lies outside the range of those before it, in widths of that range; a constant's is a thousandth of it."""
    before = view.shift(1).expanding(_MIN_KNOWN)
    lowest, highest = before.min(), before.max()
    size = view.abs().expanding().max()
    width = (highest - lowest).where(highest > lowest, 1e-3 * size)
    excess = np.maximum((view - highest).to_numpy(), (lowest - view).to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = np.where(excess > _ROUNDING * size.to_numpy(), excess / width.to_numpy(), 0.0)
    return np.minimum(outside, _FARTHEST)


def _restlessness(series: pd.Series[float]) -> pd.Series[float]:
    """The logarithm of the standard deviation of the last values. Below a hundredth of the usual spread, still is still."""
    deviation = series - _previous(series, LOOK_BACK, _MIN_KNOWN).median()
    spread = 1.4826 * _previous(deviation.abs(), LOOK_BACK, _MIN_KNOWN).median()
    still = 0.01 * spread.fillna(0.0) + 1e-9 * (1.0 + series.abs().expanding().max())
    return (series.rolling(RESTLESS, min_periods=3).std().fillna(0.0) + still).map(np.log)


def _previous(series: pd.Series[float], n: int, at_least: int) -> Rolling[pd.Series[float]]:
    return series.shift(1).rolling(n, min_periods=at_least)


def _times(timestamps: pd.DatetimeIndex) -> tuple[IntArray, IntArray]:
    """The half hour of the day, and the hour of the week, of each timestamp; -1 where there is none."""
    missing = np.asarray(timestamps.isna())
    minute = np.nan_to_num(timestamps.hour.to_numpy(float) * 60 + timestamps.minute.to_numpy(float))
    hour_of_week = np.nan_to_num(timestamps.day_of_week.to_numpy(float) * 24 + timestamps.hour.to_numpy(float))
    half_hour = minute // (24 * 60 / _BINS_PER_DAY)
    return np.where(missing, -1, half_hour).astype(np.int64), np.where(missing, -1, hour_of_week).astype(np.int64)


def _from_same_time(series: pd.Series[float], time: IntArray) -> pd.Series[float]:
    """How far each value is from the median of earlier ones at the same time; NaN where too few are known."""
    usual = series.groupby(time).transform(lambda same: same.shift(1).rolling(SAME_TIME, min_periods=3).median())
    return (series - usual).where(time >= 0)


def score_series(source: Path, output: Path) -> None:
    """Read a CSV of `timestamp,value` (gzipped or not), write `timestamp,value,anomaly_score`, a row for each row.

    Rows are taken in the order of the file, timestamps and values written as they were read; a value that is no number is missing.
    Raises ValueError where one of the two columns is.
    """
    with _opened(source) as file:
        rows = csv.DictReader(file)
        if not {"timestamp", "value"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{source}: expected the columns timestamp and value, found {rows.fieldnames}")
        texts = [(row["timestamp"] or "", row["value"] or "") for row in rows]
    scores = score_values(_moments([stamp for stamp, _ in texts]), _numbers([value for _, value in texts]))
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "value", "anomaly_score"))
        writer.writerows((*text, f"{score:.6f}") for text, score in zip(texts, scores, strict=True))


def _opened(source: Path) -> TextIO:
    if source.suffix == ".gz":
        return gzip.open(source, "rt", encoding="utf-8-sig", newline="")
    return source.open(encoding="utf-8-sig", newline="")


def _moments(texts: list[str]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(pd.Series(texts, dtype=object), errors="coerce", utc=True, format="ISO8601"))


def _numbers(texts: list[str]) -> FloatArray:
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)
    known: BoolArray = np.isfinite(numbers)
    return np.where(known, numbers, np.nan)
