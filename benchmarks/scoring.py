"""How fast rows are scored: `python -m benchmarks scoring`, beside scikit-learn's own way on the same rows and trees."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks.table import Figure, show
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.series import Buckets, hour_of_time, keys_of
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch

_FEATURES = 12
_SERIES = 1_000
_WEEKS = 5  # that the watch has learned from
_TIMED = 12  # hours, from midnight to noon


def figures() -> list[Figure]:
    """One large batch, and the size of batch that a closed hour makes."""
    return [
        _scoring("scoring, one batch of 100,000", 100_000, ">= 0.8"),
        _scoring("scoring, a batch of 100", 100, ""),
        *_closed_hour(),
    ]


def _closed_hour() -> list[Figure]:
    """What the watch over 1,000 series does once an hour has closed, beside what scikit-learn needs to score as many rows."""
    metrics = ("orders", "revenue", "units", "lines")
    keys = keys_of(metrics, [(), *((("store", f"{number:03}"),) for number in range(_SERIES // len(metrics) - 1))])
    hours = np.random.default_rng(0).poisson(20.0, (_WEEKS * 168 + _TIMED, len(keys))).astype(float)
    watch = SeriesWatch(WatchSettings(max_series=_SERIES))
    start = hour_of_time(datetime(2026, 1, 5, tzinfo=UTC))
    for first in range(0, _WEEKS * 168, 24):
        watch.feed(Buckets(start + first, keys, hours[first : first + 24]))
    watch.train()
    seconds = []
    for hour in range(_WEEKS * 168, _WEEKS * 168 + _TIMED):
        began = time.perf_counter()
        watch.feed(Buckets(start + hour, keys, hours[hour : hour + 1]))
        seconds.append(time.perf_counter() - began)
    rows = np.random.default_rng(0).normal(size=(_SERIES, _FEATURES))
    reference = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(rows)
    own, theirs = float(np.median(seconds)), _SERIES / _rate(lambda: reference.score_samples(rows), _SERIES)
    words = "scikit-learn's score_samples alone"
    return [Figure("1,000 series, from a closed hour to findings", own, "s", words, own / theirs, "<= 1 s")]


def _scoring(name: str, n_rows: int, target: str) -> Figure:
    rows = np.random.default_rng(0).normal(size=(max(n_rows, 1_000), _FEATURES))
    detector = ForestDetector(seed=0).fit(rows)
    reference = IsolationForest(n_estimators=detector.trees, max_samples=detector.samples, random_state=0).fit(rows)
    batch = rows[:n_rows]
    own = _rate(lambda: detector.score(batch), n_rows)
    theirs = _rate(lambda: reference.score_samples(batch), n_rows)
    return Figure(name, own, "rows/s", "scikit-learn's score_samples", own / theirs, target)


def _rate(call: Callable[[], object], n_rows: int) -> float:
    """Rows a second in the best of five calls."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return n_rows / min(seconds)


if __name__ == "__main__":
    show("Scoring", figures())
