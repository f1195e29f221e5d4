"""The interface of a detector: one small class of one's own stands beside those built in (`registry.DETECTORS`).

`contract.check_detector` checks any against the promises made here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np

from nebuloviz.detection.series import BoolArray, FloatArray


class Detector(ABC):
    """Scores rows of normalised features: how unlike the rows that it was fitted on.

    Rows are hours of one series, or sale lines; columns are deviations from what was expected, in robust standard deviations
    (0 = as expected, sign = direction). A detector sees one row at a time: a row's score depends on that row and on the rows
    given to `fit`, never on its neighbours in the batch, so a batch may be cut anywhere.

    Score: a float >= 0 without upper bound, higher = more anomalous; its unit is the detector's own, as what it means is
    calibrated afterwards (`tail.Tail`). A row with a NaN (nothing known yet) scores 0.

    Instances are picklable, equal seeds and rows give equal scores, and `score` is called with thousands of rows at once:
    a detector whose cost per call is high and whose cost per row is low is at home here.

    `label` says in English what readers see it called, `name` where it says nothing.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    @abstractmethod
    def fit(self, features: FloatArray) -> Self:
        """Learn from rows shaped (rows, features), at least one; constant columns and NaN occur. Returns itself."""

    @abstractmethod
    def _score(self, features: FloatArray) -> FloatArray:
        """The scores of rows that hold no NaN."""

    def score(self, features: FloatArray) -> FloatArray:
        """One score a row. Raises RuntimeError before `fit`."""
        known = known_rows(features)
        scores = np.zeros(len(features))
        if known.any():
            scores[known] = self._score(features[known])
        return scores


def known_rows(features: FloatArray) -> BoolArray:
    """The rows in which every feature is a finite number."""
    return np.asarray(np.isfinite(features).all(axis=1))
