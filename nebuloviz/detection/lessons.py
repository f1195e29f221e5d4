"""What people teach the detectors by their verdicts on alerts, each from the hour in which it was given and never before.

* *real* and *expected* hours are no example of what is normal: they teach no expectation. Expected ones alert no more either.
* A *false alarm* raises the bar of its segment: by so much that an alert as severe as it was needs a higher score from then on.
* A *new normal* rebases its segment: what was expected since the change is scaled to what came, and levels are learned from after it.

What is said of a segment is true of all within it; only bars are those of one segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nebuloviz.detection.alerts import Finding, Severity
from nebuloviz.detection.series import FloatArray, Segment, SeriesKey, hour_of_time, within

#: By how much a false alarm of each severity raises the bar, as powers of ten: 1 means that it must be ten times rarer.
BAR_STEPS: Mapping[str, float] = {
    Severity.LOW: 0.5,
    Severity.MEDIUM: 1.0,
    Severity.HIGH: 2.0,
    Severity.CRITICAL: 3.0,
}
_MAX_REBASED = 20.0  # times; what came on the day of a change is too little to say more
_LEEWAY = 0.1  # of a logarithm: lines that are hardly further from usual than what is normal now


class Verdict(StrEnum):
    REAL = "real"
    EXPECTED = "expected"
    FALSE_ALARM = "false_alarm"
    NEW_NORMAL = "new_normal"


@dataclass(frozen=True)
class Lesson:
    """A verdict on an alert about `key`. Hours are UTC; [`start`, `end`) is what it is about, `known_from` when it was given.

    `ratio` is what was observed over what was expected, for sale lines; 0 where one of them is none.
    """

    number: int
    verdict: Verdict
    key: SeriesKey
    start: int
    end: int
    known_from: int
    severity: str = Severity.LOW
    ratio: float = 0.0


@dataclass(frozen=True)
class Aside:
    """Wall buckets [`first`, `last`) of a segment that teach nothing; `silent`: nor alert, `promoted`: only by selling less."""

    segment: Segment
    first: int
    last: int
    silent: bool
    promoted: bool = False

    def columns(self, segments: Sequence[Segment]) -> list[int]:
        """The places of those that are within its segment."""
        return [k for k, segment in enumerate(segments) if within(segment, self.segment)]


@dataclass(frozen=True)
class Rebasing:
    """A new normal of a segment from wall bucket `first` on: the factors, by metric, that buckets up to `last` were scaled by."""

    number: int
    segment: Segment
    first: int
    last: int
    factors: tuple[tuple[str, tuple[float, ...]], ...]


def bar_of(lessons: Iterable[Lesson], segment: Segment) -> float:
    """By how much the bar of a segment is raised."""
    alarms = (each for each in lessons if each.verdict is Verdict.FALSE_ALARM and each.key.dimensions == segment)
    return sum(BAR_STEPS[each.severity] for each in alarms)


def without(
    observed: FloatArray, expected: FloatArray, segments: Sequence[Segment], start: int, asides: Iterable[Aside]
) -> FloatArray:
    """Values shaped (buckets, segments) from wall bucket `start`, without those set aside: NaN in their segment and all within.

    What they brought beyond expectation is taken out of all that may contain some of it: the company, which is the first column,
    and segments of other dimensions, by their share of the company.
    """
    kept = observed.copy()
    beyond: dict[Segment, FloatArray] = {}
    for aside in asides:
        first, last = (min(max(bucket - start, 0), len(kept)) for bucket in (aside.first, aside.last))
        kept[first:last, aside.columns(segments)] = np.nan
        if aside.segment in segments and aside.segment:
            own = segments.index(aside.segment)
            more = beyond.setdefault(aside.segment, np.zeros(len(kept)))
            more[first:last] = np.nan_to_num(observed[first:last, own] - expected[first:last, own])
    company = np.nan_to_num(expected[:, 0])
    for k, segment in enumerate(segments):
        share = np.where(company > 0, np.nan_to_num(expected[:, k]) / np.where(company > 0, company, 1.0), 0.0)
        kept[:, k] -= _elsewhere(beyond, segment, len(kept)) * share
    return kept


def _elsewhere(beyond: Mapping[Segment, FloatArray], segment: Segment, n_buckets: int) -> FloatArray:
    """What lies in segments of other dimensions than `segment`: of one dimension all, of several the most, being the same sales."""
    by_dimension: dict[tuple[str, ...], FloatArray] = {}
    for other, more in beyond.items():
        names = tuple(name for name, _value in other)
        if not set(names) & {name for name, _value in segment}:
            by_dimension[names] = by_dimension.get(names, np.zeros(n_buckets)) + more
    most = np.zeros(n_buckets)
    for total in by_dimension.values():
        most = np.where(np.abs(total) > np.abs(most), total, most)
    return most


def rebasing_factor(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """What came over what was expected, of buckets shaped (buckets, segments); 1 where nothing was expected."""
    known = np.isfinite(observed) & np.isfinite(expected)
    got, due = (np.where(known, values, 0.0).sum(axis=0) for values in (observed, expected))
    ratio = np.where(due > 0, got / np.where(due > 0, due, 1.0), 1.0)
    return np.asarray(np.clip(ratio, 1 / _MAX_REBASED, _MAX_REBASED))


def lets_pass(lessons: Iterable[Lesson], finding: Finding, threshold: float) -> bool:
    """Whether a finding whose detector keeps no expectation may raise an alert, for all that was taught about its series."""
    own = [each for each in lessons if each.key == finding.key]
    bar = threshold + sum(BAR_STEPS[each.severity] for each in own if each.verdict is Verdict.FALSE_ALARM)
    return finding.score >= bar and not any(_is_known(each, finding) for each in own)


def is_expected(lessons: Iterable[Lesson], finding: Finding) -> bool:
    """Whether its time was said to be expected of its segment, or of one that contains it."""
    first, last = hour_of_time(finding.bucket_start), hour_of_time(finding.bucket_end)
    return any(
        each.verdict is Verdict.EXPECTED
        and within(finding.key.dimensions, each.key.dimensions)
        and each.start < last
        and first < each.end
        for each in lessons
    )


def _is_known(lesson: Lesson, finding: Finding) -> bool:
    if lesson.verdict is Verdict.EXPECTED:
        return lesson.start <= hour_of_time(finding.bucket_start) < lesson.end
    return lesson.verdict is Verdict.NEW_NORMAL and _no_further(finding, lesson.ratio)


def _no_further(finding: Finding, ratio: float) -> bool:
    """Whether it is off in the same direction and hardly more than what is normal now."""
    if ratio <= 0 or finding.observed <= 0 or finding.expected <= 0:
        return False
    off, normal = np.log(finding.observed / finding.expected), np.log(ratio)
    return bool(off * normal > 0 and abs(off) <= abs(normal) + _LEEWAY)
