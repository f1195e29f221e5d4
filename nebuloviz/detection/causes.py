"""Which segments carry a deviation: few, apart from each other, and at the right depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nebuloviz.detection.series import FloatArray, Segment

WORTH = 3.0  # the surprise from which a segment is named: chance brings it once in twenty times
MOST, ENOUGH = 0.3, 0.05  # the share of an alert's deviation from which a first and a further segment is named
_DAMPING = 0.5  # of one sale's worth, so that a segment that never sold before is far from usual, not infinitely
_MIN_GRAIN = 1e-3


@dataclass(frozen=True)
class Level:
    """What the segments of one combination of dimensions came to in some hours, and in the same hours of the weeks before."""

    segments: tuple[Segment, ...]
    observed: FloatArray  # (segments,), in the metric's unit
    before: FloatArray  # (weeks, segments), at least two weeks

    @property
    def expected(self) -> FloatArray:
        mean: FloatArray = self.before.mean(axis=0)
        return mean


@dataclass(frozen=True)
class Cause:
    """A segment that went from `expected` to `observed`, which explains `share` of an alert's deviation; the empty one is all sales.

    `surprise` is the natural logarithm of how much likelier what was observed is if this segment alone changed than if nothing
    did, less that of how many segments there were to choose from.
    """

    segment: Segment
    observed: float
    expected: float
    share: float
    surprise: float


@dataclass(frozen=True)
class _Candidate:
    segment: Segment
    observed: float
    expected: float
    grain: float
    choice: float  # the logarithm of how many there are with the same dimensions

    @property
    def deviation(self) -> float:
        return self.observed - self.expected

    @property
    def surprise(self) -> float:
        return likelihood_ratio(self.observed, self.expected, self.grain) - self.choice

    def without(self, part: _Candidate) -> _Candidate:
        observed, expected = self.observed - part.observed, self.expected - part.expected
        return _Candidate(self.segment, observed, expected, self.grain, self.choice)


def likelihood_ratio(observed: float, expected: float, grain: float) -> float:
    """The log likelihood ratio of the expectation-based scan statistic, for sums that vary as counts of `grain` each do.

    Kulldorff, A spatial scan statistic (1997); Neill, Expectation-based scan statistics for monitoring spatial time series (2009).
    """
    c, b = max(observed, 0.0) + _DAMPING * grain, max(expected, 0.0) + _DAMPING * grain
    return float((c * np.log(c / b) - c + b) / grain)


def grain_of(levels: Sequence[Level]) -> float:
    """What one sale comes to as far as chance is concerned: variance over mean in the weeks before, where half of the sales are.

    At least a thousandth of all there is, where it was always the same; 0 where nothing was sold.
    """
    mean = np.concatenate([level.expected for level in levels])
    variance = np.concatenate([level.before.var(axis=0, ddof=1) for level in levels])
    sold = mean > 0
    if not sold.any():
        return 0.0
    ratio, weight = variance[sold] / mean[sold], mean[sold]
    order = np.argsort(ratio, kind="stable")
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(max(ratio[order[middle]], _MIN_GRAIN * mean.max()))


def causes(own: Segment, levels: Sequence[Level], *, rising: bool, counted: bool, limit: int = 3) -> list[Cause]:
    """What explains the rise or fall of the series of `own`, the most surprising segment first: its parts, or what it is a part of.

    `levels` hold all sales and `own`, single dimensions, and pairs of dimensions: of those that `own` has values of, its values alone.
    `counted`: the metric counts things, so that one is its grain. A part of the segment that changed carries less of the change than
    it does, and whatever it is a part of carries more noise: the most surprising segment is the one at the right depth. Those
    after the first are judged by what of them lies outside of it. Like Adtributor (Bhagwan et al., 2014) this wants both
    surprise and a share of the deviation, but it needs no choice of one dimension beforehand.
    """
    grain = 1.0 if counted else grain_of(levels)
    known = {candidate.segment: candidate for level in levels for candidate in _candidates(level, grain)}
    if grain <= 0 or not known[own].deviation:
        return []
    sign, found = (1 if rising else -1), list[Cause]()
    candidates = [each for each in known.values() if _joined(each.segment, own) in known]
    while len(found) < limit:
        moved = [each for each in candidates if sign * each.deviation > 0 and each.surprise >= WORTH]
        least = ENOUGH if found else MOST
        worth = [each for each in moved if _share(each, own, known) >= least]
        if not worth:
            break
        best = max(worth, key=lambda each: each.surprise)
        found.append(Cause(best.segment, best.observed, best.expected, _share(best, own, known), best.surprise))
        candidates = list(_outside(best.segment, candidates, known))
    return found


def _joined(one: Segment, other: Segment) -> Segment:
    """What lies in both, where no dimension has two values."""
    return tuple(sorted({**dict(one), **dict(other)}.items()))


def _share(candidate: _Candidate, own: Segment, known: Mapping[Segment, _Candidate]) -> float:
    """What of the deviation of `own` there would be if `candidate`, all of it alike, were all that has changed."""
    both = known[_joined(candidate.segment, own)]
    if candidate.expected <= 0 or both.segment == candidate.segment:
        return candidate.deviation / known[own].deviation
    return candidate.deviation / candidate.expected * both.expected / known[own].deviation


def _candidates(level: Level, grain: float) -> Iterable[_Candidate]:
    choice = float(np.log(max(1, len(level.segments))))
    for segment, observed, expected in zip(level.segments, level.observed, level.expected, strict=True):
        yield _Candidate(segment, float(observed), float(expected), grain, choice)


def _outside(
    taken: Segment, candidates: Iterable[_Candidate], known: Mapping[Segment, _Candidate]
) -> Iterable[_Candidate]:
    """What of each candidate lies outside of `taken`, where that is known."""
    for each in candidates:
        both = _joined(each.segment, taken)
        if any(dict(each.segment).get(name, value) != value for name, value in taken):
            yield each
        elif both not in {each.segment, taken} and both in known:
            yield each.without(known[both])
