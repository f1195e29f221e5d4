"""Every detector keeps the promises of `Detector`, and the checks see it when one does not."""

import itertools
import pickle
from typing import Self

import numpy as np
import pytest

from nebuloviz.detection.contract import CHECKS, Check, check_detector
from nebuloviz.detection.detector import Detector
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.registry import DETECTORS, series_detectors
from nebuloviz.detection.series import FloatArray
from nebuloviz.detection.series_contract import SERIES_CHECKS, SeriesCheck
from nebuloviz.detection.series_detector import Course, Judgement, SeriesDetector
from nebuloviz.detection.series_detectors import SameWeekday


class TestEveryDetector:
    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.name)
    def test_keeps_its_promise(self, kind: type[Detector], check: Check) -> None:
        check(kind)


class TestEverySeriesDetector:
    @pytest.mark.parametrize("check", SERIES_CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.parametrize("kind", series_detectors(), ids=lambda kind: kind.name)
    def test_keeps_its_promise(self, kind: type[SeriesDetector], check: SeriesCheck) -> None:
        check(kind)


class _Nameless(LargestDeviation):
    name = ""


class _Forgetful(LargestDeviation):
    def fit(self, features: FloatArray) -> Self:
        return type(self)(seed=self.seed)


class _Signed(LargestDeviation):
    def _score(self, features: FloatArray) -> FloatArray:
        largest: FloatArray = features.max(axis=1)
        return largest


class _Curious(LargestDeviation):
    def score(self, features: FloatArray) -> FloatArray:
        return self._score(np.nan_to_num(features))


class _Relative(LargestDeviation):
    def _score(self, features: FloatArray) -> FloatArray:
        scores: FloatArray = super()._score(features) / max(np.abs(features).max(), 1.0)
        return scores


class _Moody(LargestDeviation):
    _made = itertools.count(1)

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._mood = next(self._made)

    def _score(self, features: FloatArray) -> FloatArray:
        return super()._score(features) * self._mood


class _Careless(LargestDeviation):
    def _score(self, features: FloatArray) -> FloatArray:
        return np.zeros(len(features))


class _Meddling(LargestDeviation):
    def fit(self, features: FloatArray) -> Self:
        features *= 2
        return self


class _Absent(LargestDeviation):
    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._weight = lambda: 1.0


class _Delicate(LargestDeviation):
    def fit(self, features: FloatArray) -> Self:
        self._spread = features.std(axis=0)
        return self

    def _score(self, features: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            largest: FloatArray = np.abs(features / self._spread).max(axis=1)
        return largest


class _Chatty(LargestDeviation):
    def _score(self, features: FloatArray) -> FloatArray:
        return np.abs(features)


class TestABrokenDetector:
    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (_Nameless, "has a name"),
            (_Forgetful, "returns the detector itself"),
            (_Signed, "at least 0"),
            (_Curious, "not all finite"),
            (_Careless, "far from all others"),
            (_Relative, "cut anywhere"),
            (_Moody, "equal seeds"),
            (_Meddling, "stay as they were"),
            (_Delicate, "constant columns"),
        ],
    )
    def test_is_told_which_promise_it_breaks(self, kind: type[Detector], words: str) -> None:
        with pytest.raises(AssertionError, match=words):
            check_detector(kind)

    @pytest.mark.parametrize("kind", [_Absent, _Chatty])
    def test_that_cannot_even_be_asked_fails_as_it_fails(self, kind: type[Detector]) -> None:
        with pytest.raises((AttributeError, ValueError, TypeError, pickle.PicklingError)):
            check_detector(kind)


class _Unlabelled(SameWeekday):
    label = ""


class _Foreseeing(SameWeekday):
    def judge(self, course: Course) -> Judgement:
        usual = np.full(len(course), np.nanmean(course.values) if len(course) else 0.0)
        return Judgement.of_range(course.values, usual, usual * 0.5, usual * 2)


class _Elephant(SameWeekday):
    memory_weeks = 2


class _Scribbling(SameWeekday):
    def judge(self, course: Course) -> Judgement:
        judged = super().judge(course)
        course.values[:] = 0
        return judged


class _Dicing(SameWeekday):
    _made = itertools.count(1)

    def judge(self, course: Course) -> Judgement:
        judged = super().judge(course)
        return Judgement(judged.expected, judged.low, judged.high, judged.score * next(self._made))


class _Alarmist(SameWeekday):
    def judge(self, course: Course) -> Judgement:
        usual = course.usual(4)
        nothing = np.full(len(course), np.nan)
        return Judgement(usual, nothing, nothing, np.ones(len(course)))


class _Shortened(SameWeekday):
    def judge(self, course: Course) -> Judgement:
        judged = super().judge(course)
        return Judgement(judged.expected[1:], judged.low, judged.high, judged.score)


class TestABrokenSeriesDetector:
    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (_Unlabelled, "name and a label"),
            (_Shortened, "one expectation, range and score"),
            (_Foreseeing, "any later one"),
            (_Elephant, "looks back no further"),
            (_Dicing, "later one|equal seeds"),
            (_Scribbling, "later one|stay as they were"),
            (_Alarmist, "not known is no finding"),
        ],
    )
    def test_is_told_which_promise_it_breaks(self, kind: type[SeriesDetector], words: str) -> None:
        with pytest.raises(AssertionError, match=words):
            check_detector(kind)
