"""What every detector of one series promises, as checks that can be run on any; see `contract.check_detector`.

Each check makes its own courses, by the hour and by the day, and raises AssertionError with the promise that was broken.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from nebuloviz.detection.promises import promise
from nebuloviz.detection.series import FloatArray
from nebuloviz.detection.series_detector import Course, Judgement, SeriesDetector

_SEASONS = (168, 7)
_MORE_WEEKS = 2  # than a detector remembers
_TOLERANCE = 1e-6


def check_series_detector(kind: type[SeriesDetector]) -> None:
    """Run all checks on a detector.

    Raises:
        AssertionError: it breaks a promise of `SeriesDetector`; says which.
    """
    for check in SERIES_CHECKS:
        check(kind)


def says_what_it_is(kind: type[SeriesDetector]) -> None:
    for words in (getattr(kind, "name", ""), getattr(kind, "label", "")):
        promise(bool(words), "it has a name and a label")
    for each in kind.parameters:
        inside = each.default is None or each.least <= each.default <= each.most
        promise(bool(each.name) and inside, "a parameter has a name, and a default within its bounds")
    promise(kind.memory_weeks > 0, "it remembers some weeks")


def gives_one_judgement_a_bucket(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        for part in (course, course[:1], course[:0]):
            judged = kind(seed=0).judge(part)
            shapes = {each.shape for each in _arrays(judged)}
            promise(shapes == {(len(part),)}, "each bucket gets one expectation, range and score")
            good = np.isfinite(judged.score) & (judged.score >= 0)
            promise(bool(good.all()), "scores are finite and at least 0")


def looks_at_nothing_later(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        whole, cut = kind(seed=0).judge(course), len(course) - course.season // 2
        alone = kind(seed=0).judge(course[:cut])
        promise(_same(alone, whole, slice(cut)), "what it says of a bucket does not depend on any later one")


def forgets_what_is_long_ago(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        begin = len(course) - kind.memory_weeks * course.season - course.season // 2
        late, whole = kind(seed=0).judge(course[begin:]), kind(seed=0).judge(course)
        tail = -(course.season // 2)
        same = all(_close(x[tail:], y[tail:]) for x, y in zip(_arrays(late), _arrays(whole), strict=True))
        promise(same, "it looks back no further than `memory_weeks` weeks, wherever a course begins")


def says_the_same_of_what_is_asked_alone(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        later = replace(course, asked=course.asked + course.season)
        part = slice(later.asked, None)
        one, other = (kind(seed=0).judge(each) for each in (course, later))
        same = all(_close(x[part], y[part]) for x, y in zip(_arrays(one), _arrays(other), strict=True))
        promise(same, "what it says of a bucket does not depend on which others are asked for")


def repeats_itself(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        promise(_same(kind(seed=0).judge(course), kind(seed=0).judge(course)), "equal seeds give equal judgements")


def leaves_its_course_alone(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        before = copy.deepcopy(course)
        kind(seed=0).judge(course)
        promise(_close(course.values, before.values), "the values it is given stay as they were")


def survives_pickling(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        made = kind(seed=0)
        restored = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
        promise(_same(made.judge(course), restored.judge(course)), "it says the same after it was pickled")


def handles_gaps_and_constants(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        gaps = course.values.copy()
        gaps[::5] = np.nan
        gaps[len(gaps) // 2 : len(gaps) // 2 + course.season] = np.nan
        for values in (gaps, np.full(len(gaps), np.nan), np.full(len(gaps), 5.0), np.zeros(len(gaps)), -course.values):
            judged = kind(seed=0).judge(_with(course, values))
            promise(
                bool(np.isfinite(judged.score).all()), "it bears gaps, constants, nothing at all, and less than that"
            )


def finds_nothing_where_nothing_is_known(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        values = course.values.copy()
        values[-3:] = np.nan
        judged = kind(seed=0).judge(_with(course, values))
        known = np.isfinite(judged.low[-3:])
        # Silence is the one thing that can be said of nothing, and then the range says so
        promise(bool((judged.score[-3:][~known] == 0).all()), "a value that is not known is no finding")


def draws_a_range_before_it_sees_the_value(kind: type[SeriesDetector]) -> None:
    for course in _courses(kind):
        values = course.values.copy()
        values[-1] = np.nan
        known, unknown = kind(seed=0).judge(course), kind(seed=0).judge(_with(course, values))
        pairs = zip(_arrays(known)[:3], _arrays(unknown)[:3], strict=True)
        promise(all(_close(x[-1:], y[-1:]) for x, y in pairs), "the range of a bucket does not depend on its own value")


SeriesCheck = Callable[[type[SeriesDetector]], None]
SERIES_CHECKS: tuple[SeriesCheck, ...] = (
    says_what_it_is,
    gives_one_judgement_a_bucket,
    looks_at_nothing_later,
    forgets_what_is_long_ago,
    says_the_same_of_what_is_asked_alone,
    repeats_itself,
    leaves_its_course_alone,
    survives_pickling,
    handles_gaps_and_constants,
    finds_nothing_where_nothing_is_known,
    draws_a_range_before_it_sees_the_value,
)


def _courses(kind: type[SeriesDetector]) -> Iterator[Course]:
    """A shop's hours and days, longer than the detector remembers: a week's shape, chance, and some anomalies near the end."""
    for season in _SEASONS:
        count = (kind.memory_weeks + _MORE_WEEKS) * season
        slots = np.arange(count) % season
        shape = 20 + 15 * np.sin(2 * np.pi * slots / max(season // 7, 7))
        values = np.random.default_rng(season).poisson(shape).astype(float)
        values[[-season // 2, -2]] = 0.0, 400.0
        yield Course(1000 * season, season, slots, values, asked=kind.memory_weeks * season)


def _with(course: Course, values: FloatArray) -> Course:
    return replace(course, values=values)


def _arrays(judged: Judgement) -> tuple[FloatArray, ...]:
    return judged.expected, judged.low, judged.high, judged.score


def _same(one: Judgement, other: Judgement, part: slice = slice(None)) -> bool:
    return all(_close(x, y[part]) for x, y in zip(_arrays(one), _arrays(other), strict=True))


def _close(one: FloatArray, other: FloatArray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))
