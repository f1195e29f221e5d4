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

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.series import BoolArray, FloatArray, IntArray

LOOK_BACK = 1_000  # previous values that make up the usual
FOREST_WINDOW = 8_000  # previous rows of features that a forest is fitted on
REFIT_EVERY = 1_000
FIRST_SCORE = 100  # values before the first one that is scored
DEBOUNCE = 400  # a score counts if it is above those of so many values before it
SAME_TIME = 100  # earlier values of the same half hour of the day, or hour of the week, that make its usual one
_BINS_PER_DAY = 48
_MIN_KNOWN = 20
_TAIL = 0.05
_LARGEST = 1e6  # of a deviation in spreads, so that a constant that changes is far, not infinite


def score_values(timestamps: pd.DatetimeIndex, values: FloatArray, *, seed: int = 0) -> FloatArray:
    """Scores in [0, 1], one a value; 0 for a missing value, for the first hundred, and where nothing new stands out.

    Score i depends on rows 0 to i alone. Missing timestamps (NaT) only cost the comparison with the same time of day.
    """
    features = series_features(timestamps, values)
    known = np.isfinite(values)
    raw = np.zeros(len(values))
    for start, end in _blocks(len(values)):
        past = features[max(0, start - FOREST_WINDOW) : start][known[max(0, start - FOREST_WINDOW) : start]]
        rows = np.flatnonzero(known[start:end]) + start
        if len(past) >= _MIN_KNOWN and len(rows):
            raw[rows] = _detector(seed).fit(past).score(features[rows])
    return debounced(np.minimum(raw, 1.0))


def _detector(seed: int) -> Detector:
    # Hardly a tail: a sensor's far outliers are no likelier to matter than its near ones. But a forest grown on a constant
    # tells nothing from anything, so that without it a constant could change unnoticed.
    return ForestDetector(trees=100, samples=512, tail=_TAIL, seed=seed)


def _blocks(n: int) -> Iterator[tuple[int, int]]:
    """Stretches that one forest scores: it doubles its experience at first, and is refitted regularly later."""
    start = FIRST_SCORE
    while start < n:
        end = min(start + min(start, REFIT_EVERY), n)
        yield start, end
        start = end


def debounced(scores: FloatArray) -> FloatArray:
    """A score where it is above all of the last ones before it, else 0."""
    before = pd.Series(scores).shift(1, fill_value=0.0).rolling(DEBOUNCE, min_periods=1).max().to_numpy()
    return np.where(scores > before, scores, 0.0)


def series_features(timestamps: pd.DatetimeIndex, values: FloatArray) -> FloatArray:
    """Shaped (values, 5), each the log1p of an absolute deviation in robust spreads; 0 where nothing is known.

    From the median of the last values; from the usual at this time of day, and of the week; of the step from the value before
    from the usual step; beyond the range of the last values.
    """
    series = pd.Series(values).where(np.isfinite(values))
    usual = _previous(series).median()
    spread = _spread(series - usual)
    step = series.diff()
    lowest, highest = _previous(series).min(), _previous(series).max()
    beyond = (series - highest).clip(lower=0) + (lowest - series).clip(lower=0)
    of_day, of_week = _times(timestamps)
    columns = (
        _in_spreads(series - usual, spread),
        _from_same_time(series, of_day),
        _from_same_time(series, of_week),
        _in_spreads(step - _previous(step).median(), _spread(step - _previous(step).median())),
        _in_spreads(beyond, spread),
    )
    return np.log1p(np.column_stack(columns))


def _previous(series: pd.Series[float]) -> Rolling[pd.Series[float]]:
    return series.shift(1).rolling(LOOK_BACK, min_periods=_MIN_KNOWN)


def _spread(deviations: pd.Series[float]) -> pd.Series[float]:
    """The robust standard deviation of earlier deviations; of a series that hardly ever moves, the mean of their sizes."""
    sizes = _previous(deviations.abs())
    robust: pd.Series[float] = 1.4826 * sizes.median()
    return robust.where(robust > 0, sizes.mean())


def _in_spreads(deviations: pd.Series[float], spread: pd.Series[float]) -> FloatArray:
    size, unit = deviations.abs().to_numpy(), spread.to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size > 0, size / unit, 0.0)
    return np.where(np.isnan(size) | np.isnan(unit), 0.0, np.minimum(ratio, _LARGEST))


def _times(timestamps: pd.DatetimeIndex) -> tuple[IntArray, IntArray]:
    """The half hour of the day, and the hour of the week, of each timestamp; -1 where there is none."""
    missing = np.asarray(timestamps.isna())
    minute = np.nan_to_num(timestamps.hour.to_numpy(float) * 60 + timestamps.minute.to_numpy(float))
    hour_of_week = np.nan_to_num(timestamps.day_of_week.to_numpy(float) * 24 + timestamps.hour.to_numpy(float))
    half_hour = minute // (24 * 60 / _BINS_PER_DAY)
    return np.where(missing, -1, half_hour).astype(np.int64), np.where(missing, -1, hour_of_week).astype(np.int64)


def _from_same_time(series: pd.Series[float], time: IntArray) -> FloatArray:
    """Deviations from the median of earlier values at the same time, in their own spreads."""
    usual = series.groupby(time).transform(lambda same: same.shift(1).rolling(SAME_TIME, min_periods=3).median())
    deviations = (series - usual).where(time >= 0)
    return _in_spreads(deviations, _spread(deviations))


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
