"""The built-in detectors: an Isolation Forest with an open tail, and the plain largest deviation to compare it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from nebuloviz.detection.detector import Detector, known_rows
from nebuloviz.detection.series import FloatArray

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree


class ForestDetector(Detector):
    """Isolation Forest (Liu, Ting and Zhou, 2008, grown by scikit-learn) plus `tail * log1p(largest |feature|)`.

    A forest cannot tell far from very far: beyond the rows it was fitted on all scores are alike. The second term keeps their
    order. Scores lie between 0.3 and about 1 plus the tail. Cost: about 1 ms a call and 3 us a row, with 100 trees.
    """

    name = "forest"
    label = "Isolation forest"

    def __init__(self, *, trees: int = 100, samples: int = 256, tail: float = 3.0, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.trees = trees
        self.samples = samples
        self.tail = tail
        self._trees: list[Tree] = []
        self._depths: list[FloatArray] = []  # of the leaves of each tree; 0 at inner nodes
        self._ordinary_depth = 1.0

    def fit(self, features: FloatArray) -> Self:
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - 100 MB, and many only ask for the detectors' names

        rows = features[known_rows(features)]
        if not len(rows):
            rows = np.zeros((1, features.shape[1]))
        forest = IsolationForest(
            n_estimators=self.trees, max_samples=min(self.samples, len(rows)), random_state=self.seed
        )
        self._trees = [estimator.tree_ for estimator in forest.fit(rows).estimators_]
        self._depths = [_leaf_depths(tree) for tree in self._trees]
        self._ordinary_depth = max(float(_unsuccessful_search(np.array([forest.max_samples_]))[0]), 1e-9)
        return self

    def _score(self, features: FloatArray) -> FloatArray:
        tail: FloatArray = np.log1p(np.abs(features).max(axis=1))
        return self.isolation(features) + self.tail * tail

    def isolation(self, features: FloatArray) -> FloatArray:
        """The forest's own score, equal to minus scikit-learn's `score_samples`: 0.5 is ordinary, 1 is isolated at once.

        Walks the trees directly, as scikit-learn's own loop spends a tenth of a millisecond on every tree of every call,
        which small batches cannot spread over many rows.
        """
        if not self._trees:
            raise RuntimeError("fit the detector before scoring")
        rows = np.ascontiguousarray(features, np.float32)
        depth = np.zeros(len(rows))
        for tree, depths in zip(self._trees, self._depths, strict=True):
            depth += depths[tree.apply(rows)]
        score: FloatArray = 2.0 ** (-depth / (len(self._trees) * self._ordinary_depth))
        return score


def _leaf_depths(tree: Tree) -> FloatArray:
    """The path length of each leaf: its depth, and what splitting the samples left in it would add on average."""
    depth = tree.compute_node_depths() - 1.0  # the root's is 1
    return np.where(tree.children_left < 0, depth + _unsuccessful_search(tree.n_node_samples), 0.0)


def _unsuccessful_search(samples: npt.NDArray[np.int64]) -> FloatArray:
    """The average path length in a binary search tree of so many samples: equation 1 of the paper."""
    n = samples.astype(float)
    long = 2.0 * (np.log(np.maximum(n - 1.0, 1.0)) + np.euler_gamma) - 2.0 * (n - 1.0) / np.maximum(n, 1.0)
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, long))


class LargestDeviation(Detector):
    """The largest |feature| of a row: what a threshold on the deviation alone would see. Nothing to learn, 0.1 us a row.

    The yardstick that a learned detector has to beat in `python -m benchmarks detect`.
    """

    name = "largest_deviation"
    label = "Largest deviation"

    def fit(self, features: FloatArray) -> Self:  # noqa: ARG002 - nothing to learn
        return self

    def _score(self, features: FloatArray) -> FloatArray:
        largest: FloatArray = np.abs(features).max(axis=1)
        return largest
