"""The interface of a detector that judges one series along its course: what a rule watches with.

One class of one's own stands beside those built in (`registry.SERIES_DETECTORS`); `series_contract.check_series_detector` checks
any against the promises made here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nebuloviz.detection.series import BoolArray, FloatArray, IntArray

_MAX_SCORE = 100.0


@dataclass(frozen=True)
class Course:
    """One series in consecutive closed buckets.

    `first` is the number of the first bucket (hours or days since 1970), `season` how many make a week (168 or 7), `slots` the
    place of each in its week on the wall clock, `values` what each came to: NaN where a ratio had nothing to divide by, and where
    the calendar has the shop `closed` (where that is known). Buckets before `asked` are there to learn from; what is said of them
    is not looked at.
    """

    first: int
    season: int
    slots: IntArray
    values: FloatArray
    asked: int = 0
    closed: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> Course:
        """The buckets of `part`, which has no step."""
        start, _stop, _step = part.indices(len(self))
        closed = None if self.closed is None else self.closed[part]
        asked = max(0, self.asked - start)
        return Course(self.first + start, self.season, self.slots[part], self.values[part], asked, closed)

    def same_slot_before(self, count: int) -> FloatArray:
        """Shaped (buckets, count): the last `count` values at the same place of earlier weeks, the latest first; NaN where none is."""
        found = np.full((len(self), count), np.nan)
        for slot in np.unique(self.slots):
            places = np.flatnonzero(self.slots == slot)
            for back in range(1, min(count, len(places) - 1) + 1):
                found[places[back:], back - 1] = self.values[places[:-back]]
        return found

    def usual(self, weeks: int, at_least: int = 2) -> FloatArray:
        """The median at the same place of the last `weeks` weeks; NaN where fewer than `at_least` are known."""
        before = self.same_slot_before(weeks)
        enough = np.isfinite(before).sum(axis=1) >= at_least
        found = np.full(len(self), np.nan)
        found[enough] = np.nanmedian(before[enough], axis=1)
        return found


@dataclass(frozen=True)
class Judgement:
    """Of each bucket: what was expected, the range that is normal, and a score. NaN or infinite where there is no such thing.

    Score: 0 where nothing is wrong or nothing can be said, above 0 for a finding; from 0.4 it is `medium`, from 1 `high`, from 2
    `critical` (`alerts.severity_of`).
    """

    expected: FloatArray
    low: FloatArray
    high: FloatArray
    score: FloatArray

    @classmethod
    def of_range(cls, values: FloatArray, expected: FloatArray, low: FloatArray, high: FloatArray) -> Judgement:
        """Findings are the values outside the range; the score says how far, in distances of that bound from what was expected."""
        with np.errstate(invalid="ignore", divide="ignore"):
            above = values > high
            excess = np.where(above, values - high, low - values)
            bound = np.where(above, high, low)
            reach = np.abs(bound - expected)
            reach = np.where(np.isfinite(reach) & (reach > 0), reach, np.maximum(np.abs(bound), 1.0))
            score = np.where(excess > 0, np.minimum(excess / reach, _MAX_SCORE), 0.0)
        return cls(expected, low, high, np.nan_to_num(score))


@dataclass(frozen=True)
class Parameter:
    """A number that whoever makes a rule chooses, from `least` to `most`. Without a default it may be left out.

    `of_metric`: it is in the unit of the rule's metric.
    """

    name: str
    label: str
    default: float | None = None
    least: float = 0.0
    most: float = 1e12
    whole: bool = False
    of_metric: bool = False


class SeriesDetector(ABC):
    """Judges each bucket of a course by itself and what came before it.

    `label` and `about` say in English what it is called and what it does; where there is a translation of them, readers see that.

    Causal: what it says of a bucket depends on that bucket and on the `memory_weeks` weeks before it, and on nothing else: the
    same bucket gets the same judgement when it closes, in a backtest, and whatever else is asked for at the same time. It learns
    inside `judge`; where that is costly, learn once a week, at whole multiples of `season`, so that where a course begins does
    not matter.

    The expectation and the range of a bucket do not depend on its own value. A value that is NaN is no finding. Gaps, constants and
    courses too short to say anything of occur. Instances are pickled, equal seeds give equal judgements, and the arrays stay as
    they are.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    memory_weeks: ClassVar[int] = 8

    def __init__(self, *, seed: int = 0, parameters: Mapping[str, float | None] | None = None) -> None:
        """Parameters that are not given are as by default. Raises ValueError for one that there is not."""
        given = dict(parameters or {})
        known = {each.name: each.default for each in self.parameters}
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(f"{self.name} has no parameter {unknown[0]!r}")
        self.seed = seed
        self.of: dict[str, float | None] = known | given

    def number(self, name: str) -> float:
        """A parameter that has a default."""
        value = self.of[name]
        return 0.0 if value is None else float(value)

    @abstractmethod
    def judge(self, course: Course) -> Judgement:
        """Each bucket of the course, in order."""
