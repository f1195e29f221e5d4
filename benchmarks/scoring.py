"""How fast rows are scored: `python -m benchmarks scoring`, beside scikit-learn's own way on the same rows and trees."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks.table import Figure, show
from nebuloviz.detection.forest import ForestDetector

_FEATURES = 12


def figures() -> list[Figure]:
    """One large batch, and the size of batch that a closed hour makes."""
    return [
        _scoring("scoring, one batch of 100,000", 100_000, ">= 0.8"),
        _scoring("scoring, a batch of 100", 100, ""),
    ]


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
