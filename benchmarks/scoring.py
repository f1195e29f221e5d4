"""How fast rows are scored: `python -m benchmarks scoring`, beside scikit-learn's own way on the same rows and trees."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks.table import Figure, show
from nebuloviz.detection.forest import ForestDetector
from nebuloviz.detection.grain import HOUR, QUARTER_HOUR, Grain
from nebuloviz.detection.history import KEEP_DAYS
from nebuloviz.detection.series import Buckets, SeriesKey, keys_of
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch

_SERIES = 1_000
_WEEKS = 5  # that the watch has learned from
_TIMED = 12  # buckets, up to noon
_METRICS = ("orders", "revenue", "units", "lines")


def figures() -> list[Figure]:
    """One large batch, and the size of batch that a closed hour makes."""
    return [
        _scoring("scoring, one batch of 100,000", 100_000, ">= 0.8"),
        _scoring("scoring, a batch of 100", 100, ""),
        _closed_bucket(HOUR, "a closed hour"),
        _closed_bucket(QUARTER_HOUR, "a closed quarter of an hour"),
        _memory(HOUR, "an hour"),
        _memory(QUARTER_HOUR, "a quarter of an hour"),
    ]


def _closed_bucket(grain: Grain, name: str) -> Figure:
    """What the watch over 1,000 series does once a bucket has closed, beside what scikit-learn needs to score as many rows."""
    keys = _keys(_SERIES)
    until, noon = _WEEKS * grain.per_week, _WEEKS * grain.per_week + grain.per_day // 2
    sold = np.random.default_rng(0).poisson(20.0, (noon, len(keys))).astype(float)
    watch = SeriesWatch(WatchSettings(max_series=_SERIES), grain)
    buckets = Buckets(grain.bucket_of(datetime(2026, 1, 5, tzinfo=UTC)), keys, sold)
    for first in range(buckets.start, buckets.start + until, grain.per_day):
        watch.feed(buckets.between(first, first + grain.per_day))
    watch.train()
    watch.feed(buckets.between(buckets.start + until, buckets.end - _TIMED))
    seconds = []
    for bucket in range(buckets.end - _TIMED, buckets.end):
        began = time.perf_counter()
        watch.feed(buckets.between(bucket, bucket + 1))
        seconds.append(time.perf_counter() - began)
    rows = np.random.default_rng(0).normal(size=(_SERIES, 3 * len(grain.windows)))
    reference = IsolationForest(n_estimators=100, max_samples=256, random_state=0).fit(rows)
    own, theirs = float(np.median(seconds)), _SERIES / _rate(lambda: reference.score_samples(rows), _SERIES)
    words = "scikit-learn's score_samples alone"
    return Figure(f"1,000 series, from {name} to findings", own, "s", words, own / theirs, "<= 1 s")


def _keys(count: int) -> tuple[SeriesKey, ...]:
    stores = [(("store", f"{number:03}"),) for number in range(count // len(_METRICS) - 1)]
    return keys_of(_METRICS, [(), *stores])


def _memory(grain: Grain, name: str) -> Figure:
    """What a watch takes to keep, once it forgets as much as it learns, beside what it took four weeks before."""
    keys = _keys(_SERIES // 10)
    watch = SeriesWatch(WatchSettings(max_series=_SERIES), grain)
    first = grain.bucket_of(datetime(2026, 1, 5, tzinfo=UTC))
    generator, sizes = np.random.default_rng(0), []
    for day in range(KEEP_DAYS + 28 + 1):
        sold = generator.poisson(20.0, (grain.per_day, len(keys))).astype(float)
        watch.feed(Buckets(first + day * grain.per_day, keys, sold))
        if watch.fit_due:
            watch.train()
        if day in (KEEP_DAYS, KEEP_DAYS + 28):
            sizes.append(len(pickle.dumps(watch)) / len(keys) / 1024)
    before, now = sizes
    words = f"four weeks before, {before:.0f} KB; {KEEP_DAYS} days are kept"
    return Figure(
        f"kept of a series in buckets of {name}, with its part of the model", now, "KB", words, now / before, "<= 1"
    )


def _scoring(name: str, n_rows: int, target: str) -> Figure:
    rows = np.random.default_rng(0).normal(size=(max(n_rows, 1_000), 3 * len(HOUR.windows)))
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
