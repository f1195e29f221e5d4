import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from nebuloviz.detection.forest import ForestDetector


@pytest.mark.parametrize(("rows", "samples"), [(1_000, 256), (40, 256), (2, 256), (1, 256)])
def test_isolation_is_what_scikit_learn_says(rows: int, samples: int) -> None:
    X = np.random.default_rng(3).normal(size=(rows, 4))
    detector = ForestDetector(trees=20, samples=samples, seed=5).fit(X)
    reference = IsolationForest(n_estimators=20, max_samples=min(samples, rows), random_state=5).fit(X)
    probes = np.random.default_rng(4).normal(scale=3, size=(200, 4))
    if rows > 1:
        assert np.allclose(detector.isolation(probes), -reference.score_samples(probes))
    assert np.isfinite(detector.score(probes)).all()


def test_the_tail_keeps_telling_far_from_farther() -> None:
    X = np.random.default_rng(3).normal(size=(500, 3))
    far = np.array([[50.0, 0, 0], [500.0, 0, 0]])
    without, with_tail = ForestDetector(tail=0.0).fit(X), ForestDetector().fit(X)
    assert without.score(far)[0] == without.score(far)[1]
    assert with_tail.score(far)[0] < with_tail.score(far)[1]


def test_scoring_before_fitting_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="fit"):
        ForestDetector().score(np.ones((1, 2)))
