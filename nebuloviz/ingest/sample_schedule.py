"""When each line of the sample arrives, so that something is seen arriving within a minute even when the shops are shut.

Some tills are offline for a while: they keep the smaller lines of a basket, at most half of them, and deliver them in the quiet times
that follow. No line is changed, added or lost, only late, and no more lines are kept back than the next silence needs.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import numpy.typing as npt

MAX_SILENCE_SECONDS = 50
_SHORT_SILENCE = 8  # deliveries
_SHARE = 2  # one line in so many of a basket may be kept back

_Integers = npt.NDArray[np.int64]


def arrivals(seconds: _Integers, baskets: _Integers, cents: _Integers) -> _Integers:
    """Moment of arrival of each line, in seconds as `seconds` has them: never before the sale, never after the last sale.

    Lines come in order of time, those of a basket together.
    """
    if not len(seconds):
        return seconds.copy()
    starts = np.flatnonzero(np.r_[True, (np.diff(seconds) != 0) | (np.diff(baskets) != 0)])
    ends = np.r_[starts[1:], len(seconds)]
    silences = _silences(seconds[starts])
    keep = _needed(silences, (ends - starts) // _SHARE)
    arrival = seconds.copy()
    kept: deque[int] = deque()
    for start, end, n_keep, n_silent in zip(starts.tolist(), ends.tolist(), keep, silences, strict=True):
        if n_keep:
            smallest = np.argsort(cents[start:end], kind="stable")[:n_keep] + start
            kept.extend(sorted(smallest.tolist()))
        # By day the newest goes first, so that most are late by minutes only; what stays longest goes out at night
        take = kept.popleft if n_silent > _SHORT_SILENCE else kept.pop
        for step in range(1, n_silent + 1):
            if not kept:
                break
            arrival[take()] = seconds[start] + step * MAX_SILENCE_SECONDS
    arrival[list(kept)] = seconds[-1]
    return arrival


def _silences(moments: _Integers) -> list[int]:
    """After each basket: how many lines it takes to break the silence until the next one."""
    return [*((after - before - 1) // MAX_SILENCE_SECONDS for before, after in pairwise(moments.tolist())), 0]


def _needed(silences: list[int], can_keep: _Integers) -> list[int]:
    """How many lines each basket keeps back, as late as possible: found from the end, where nothing is needed any more."""
    needed = 0
    keep = [0] * len(silences)
    for at in range(len(silences) - 1, -1, -1):
        needed += silences[at]
        keep[at] = min(needed, int(can_keep[at]))
        needed -= keep[at]
    return keep
