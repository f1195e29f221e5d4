"""What every detector promises, as checks that can be run on any: `check_detector(MyDetector)`.

Each check makes its own instances and data, and raises AssertionError with the promise that was broken. The data are seeded:
a detector that passes once always passes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np

from nebuloviz.detection.detector import Detector
from nebuloviz.detection.promises import promise
from nebuloviz.detection.series import FloatArray
from nebuloviz.detection.series_contract import check_series_detector
from nebuloviz.detection.series_detector import SeriesDetector

_ROWS, _FEATURES = 600, 6
_TOLERANCE = 1e-9


def check_detector(kind: type[Detector | SeriesDetector]) -> None:
    """Run all checks on a detector, whether it scores rows or judges one series.

    Raises:
        AssertionError: it breaks a promise of `Detector` or `SeriesDetector`; says which.
    """
    if issubclass(kind, SeriesDetector):
        check_series_detector(kind)
        return
    for check in CHECKS:
        check(kind)


def has_a_name(kind: type[Detector]) -> None:
    promise(isinstance(getattr(kind, "name", None), str) and bool(kind.name), "it has a name")


def returns_itself_from_fit(kind: type[Detector]) -> None:
    made = kind(seed=0)
    promise(made.fit(_ordinary()) is made, "fit returns the detector itself")


def gives_one_score_a_row(kind: type[Detector]) -> None:
    fitted = _fitted(kind)
    for count in (0, 1, _ROWS):
        scores = fitted.score(_ordinary(seed=1)[:count])
        promise(scores.shape == (count,), f"{count} rows get {count} scores, not an array shaped {scores.shape}")
        promise(bool(np.isfinite(scores).all() and (scores >= 0).all()), "scores are finite and at least 0")


def scores_what_is_unknown_zero(kind: type[Detector]) -> None:
    rows = _ordinary(seed=1)
    rows[3, 2], rows[5, 0] = np.nan, np.inf
    scores = _fitted(kind).score(rows)
    promise(scores[3] == 0 and scores[5] == 0, "a row that is not all finite numbers scores 0")


def scores_what_is_far_out_higher(kind: type[Detector]) -> None:
    fitted = _fitted(kind)
    ordinary = fitted.score(_ordinary(seed=1))
    for sign in (-1.0, 1.0):
        far = fitted.score(np.full((1, _FEATURES), 12.0 * sign))[0]
        promise(far > np.quantile(ordinary, 0.99), "a row far from all others scores higher than ordinary ones")


def scores_each_row_by_itself(kind: type[Detector]) -> None:
    fitted, rows = _fitted(kind), _ordinary(seed=1)
    whole = fitted.score(rows)
    cut = np.concatenate([fitted.score(rows[:1]), fitted.score(rows[1:97]), fitted.score(rows[97:])])
    promise(_same(whole, cut), "a batch may be cut anywhere without changing a score")
    order = np.random.default_rng(2).permutation(len(rows))
    promise(_same(whole[order], fitted.score(rows[order])), "a row's score does not depend on its neighbours")


def repeats_itself(kind: type[Detector]) -> None:
    rows = _ordinary(seed=1)
    promise(_same(_fitted(kind).score(rows), _fitted(kind).score(rows)), "equal seeds and rows give equal scores")


def leaves_its_input_alone(kind: type[Detector]) -> None:
    taught, asked = _ordinary(), _ordinary(seed=1)
    kind(seed=0).fit(taught).score(asked)
    promise(_same(taught, _ordinary()) and _same(asked, _ordinary(seed=1)), "the arrays it is given stay as they were")


def survives_pickling(kind: type[Detector]) -> None:
    fitted, rows = _fitted(kind), _ordinary(seed=1)
    restored = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - our own bytes
    promise(_same(fitted.score(rows), restored.score(rows)), "it scores the same after a restart, which pickles it")


def learns_from_anything(kind: type[Detector]) -> None:
    gaps = _ordinary()
    gaps[::3, 1] = np.nan
    for rows in (_ordinary()[:1], np.zeros((50, _FEATURES)), gaps, np.full((4, _FEATURES), np.nan)):
        scores = kind(seed=0).fit(rows).score(_ordinary(seed=1))
        promise(bool(np.isfinite(scores).all()), "it learns from one row, constant columns, gaps, and nothing but gaps")


Check = Callable[[type[Detector]], None]
CHECKS: tuple[Check, ...] = (
    has_a_name,
    returns_itself_from_fit,
    gives_one_score_a_row,
    scores_what_is_unknown_zero,
    scores_what_is_far_out_higher,
    scores_each_row_by_itself,
    repeats_itself,
    leaves_its_input_alone,
    survives_pickling,
    learns_from_anything,
)


def _ordinary(seed: int = 0) -> FloatArray:
    """Rows as they usually are: deviations in robust standard deviations."""
    rows: FloatArray = np.random.default_rng(seed).normal(size=(_ROWS, _FEATURES))
    return rows


def _fitted(kind: type[Detector]) -> Detector:
    return kind(seed=0).fit(_ordinary())


def _same(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
