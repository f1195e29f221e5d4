"""What the next days will bring, and how sure that is: a level with the week's shape, and ranges from the errors that it made before.

The day after tomorrow is expected to bring the level (a weighted mean of the last six weeks, the latest most) times its weekday's
share of a week (the mean of the last six, the highest and the lowest left out). How far that may be off is not assumed but
looked up: the same is done from every past day of which the outcome is known, and of what came true over what was expected the
median corrects the expectation and the quantiles give the range (split conformal prediction: Vovk et al., 2005; on series: Gibbs
and Candès, 2021, from whom the last step is: the range is widened or narrowed until ranges made in this way would have held as
often as they say).

A sum over several days has errors of its own, looked up in the same way; the errors of its days neither add up nor cancel out.
Of long sums few independent ones are known, so how far the rarest can be off is hardly among them: ranges are stretched by what
Student's t distribution of so many has over the normal one. A day of which hardly anything is expected, though something may be
sold, has no ratio worth the name; what such days brought over the level says what it may bring.

Days that were planned to be closed or to sell more are no example: what is usual of their weekday stands in their place. Nothing is
expected of closed days ahead. What promotions brought over the usual is what one ahead is taken to bring, its range as much wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nebuloviz.detection.series import BoolArray, FloatArray, IntArray

#: How often each range is to hold what comes.
LEVELS = (0.8, 0.95)
WEEKS = 6
#: Fewer days say nothing of how sure it is.
MIN_DAYS = 84
_WEEK = 7
_MEMORY = 0.6  # what a week counts for beside the one after it
_ORIGINS = 182  # past days that it is tried from
_MIN_ORIGINS = 21
_CLOSED = 0.01  # of an ordinary day: what is expected of less is a day on which nothing is sold
_MIN_QUIET = 5  # past days of which hardly anything was expected, to say what another one may bring
#: So many past days of promotions it takes to say what one ahead brings; the ends of the range of what they brought.
_MIN_PROMOTED, _PROMOTED_ENDS = 5, (0.1, 0.9)
_NEAR_WEEKS = 4  # that a day which is no example is filled up from
_WIDTHS = np.linspace(0.6, 2.0, 29)
#: Of each of `LEVELS`: how many standard deviations a normal range would reach, and how much of the stretch it needs. The inner
#: one misses often enough for `_width` to see by how much; the misses of the outer one are too few for that.
_REACHES = {0.8: (1.2816, 0.5), 0.95: (1.96, 1.0)}


@dataclass(frozen=True)
class Outlook:
    """What some days ahead are expected to come to, and a range for each of `LEVELS`, the narrower first."""

    expected: float
    ranges: tuple[tuple[float, float], ...]

    def times(self, lift: tuple[float, float, float], part: float) -> Outlook:
        """Where a `part` of it comes to `lift` times as much: at least, most likely, at most."""
        low, middle, high = (1 + part * (each - 1) for each in lift)
        return Outlook(self.expected * middle, tuple((least * low, most * high) for least, most in self.ranges))


@dataclass(frozen=True)
class Planned:
    """Which days are planned to be `closed`, and which `promoted`: those that are known, and those ahead as far as is asked."""

    closed: BoolArray
    promoted: BoolArray

    @classmethod
    def nothing(cls, count: int) -> Planned:
        return cls(np.zeros(count, bool), np.zeros(count, bool))


def outlooks(
    days: FloatArray, spans: Sequence[tuple[int, int]], planned: Planned | None = None
) -> list[Outlook | None]:
    """For each of `spans` what its days will come to in all: [`first`, `end`) days after the last of `days`, 0 being the next one.

    `days` are consecutive whole days. None where they are too few for a span that lies so far ahead, or nothing is sold.
    """
    known = len(days)
    if known < MIN_DAYS:
        return [None for _span in spans]
    planned = planned or Planned.nothing(known + max((end for _first, end in spans), default=0))
    lift, days = lift_of(days, planned), usual(days, planned)
    level, shape = _levels_and_shapes(days)
    found = []
    for first, end in spans:
        ahead = np.arange(first, end)
        ahead = ahead[~planned.closed[known + ahead]]
        look = _outlook(days, level, shape, ahead, end)
        part = _share(shape[-1:], ahead[planned.promoted[known + ahead]]) / np.maximum(_share(shape[-1:], ahead), 1e-12)
        found.append(look.times(lift, float(part[0])) if look and lift else look)
    return found


def usual(days: FloatArray, planned: Planned) -> FloatArray:
    """`days`, but for those of which something was planned the mean of the nearest ones of their weekday, one before and one after."""
    special = (planned.closed | planned.promoted)[: len(days)]
    found = days.copy()
    for day in np.flatnonzero(special).tolist():
        near = []
        for direction in (-_WEEK, _WEEK):
            others = (day + direction * week for week in range(1, _NEAR_WEEKS + 1))
            near += [days[each] for each in others if 0 <= each < len(days) and not special[each]][:1]
        if near:
            found[day] = np.mean(near)
    return found


def lift_of(days: FloatArray, planned: Planned) -> tuple[float, float, float] | None:
    """How many times the usual days of promotions brought: the lower end, the median, the upper end. None of too few of them."""
    instead = usual(days, planned)
    promoted = planned.promoted[: len(days)] & ~planned.closed[: len(days)] & (instead > 0)
    if promoted.sum() < _MIN_PROMOTED:
        return None
    ratios = days[promoted] / instead[promoted]
    least, most = np.quantile(ratios, _PROMOTED_ENDS)
    return float(least), float(np.median(ratios)), float(most)


def _levels_and_shapes(days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The level of a day, shaped (origins,), and what each of the next seven days brings over that, shaped (origins, 7).

    As they were known on each day from the first that has six weeks behind it up to the one after the last.
    """
    weeks = sliding_window_view(days, WEEKS * _WEEK).reshape(-1, WEEKS, _WEEK)
    weights = _MEMORY ** np.arange(WEEKS)[::-1]
    level = weeks.mean(axis=2) @ (weights / weights.sum())
    usual = np.sort(weeks, axis=1)[:, 1:-1].mean(axis=1)
    mean = usual.mean(axis=1, keepdims=True)
    shape = np.divide(usual, mean, out=np.zeros_like(usual), where=mean > 0)
    return level, shape


def _outlook(days: FloatArray, level: FloatArray, shape: FloatArray, ahead: IntArray, end: int) -> Outlook | None:
    """What the days that lie so far `ahead`, before `end`, come to in all."""
    if not len(ahead):
        return Outlook(0.0, tuple((0.0, 0.0) for _level in LEVELS))
    expected, count = level * _share(shape, ahead), len(ahead)
    origins = np.arange(WEEKS * _WEEK, len(days) + 1)  # the last one is now
    known = origins[origins + end <= len(days)]
    came = np.sum([days[known + each] for each in ahead], axis=0)
    made = expected[: len(known)]
    worth = (made > _CLOSED * level[: len(known)] * count) & (made > 0)
    now = float(expected[-1])
    if level[-1] > 0 and now <= _CLOSED * level[-1] * count:
        quiet = ~worth & (level[: len(known)] > 0)
        return _quiet_outlook((came[quiet] / level[: len(known)][quiet])[-_ORIGINS:], float(level[-1]))
    ratios = (came[worth] / made[worth])[-_ORIGINS:]
    if level[-1] <= 0 or len(ratios) < max(_MIN_ORIGINS, 2 * count):
        return None
    inner, outer = (_range(ratios, now, share, count, end) for share in LEVELS)
    return Outlook(now * float(np.median(ratios)), (inner, (min(inner[0], outer[0]), max(inner[1], outer[1]))))


def _quiet_outlook(brought: FloatArray, level: float) -> Outlook:
    """Of days of which hardly anything is expected: what such days have `brought`, over the level. Nothing, where that are too few."""
    if len(brought) < _MIN_QUIET:
        return Outlook(0.0, tuple((0.0, 0.0) for _level in LEVELS))
    least = min(0.0, float(brought.min()) * level)
    return Outlook(
        float(np.median(brought)) * level,
        tuple((least, float(np.quantile(brought, share)) * level) for share in LEVELS),
    )


def _share(shape: FloatArray, ahead: IntArray) -> FloatArray:
    """What the days so far `ahead` bring over the level, for each origin."""
    counts = np.bincount(ahead % _WEEK, minlength=_WEEK)
    total: FloatArray = shape @ counts
    return total


def _range(ratios: FloatArray, expected: float, share: float, count: int, end: int) -> tuple[float, float]:
    """`expected`, of `count` days, times the quantiles of `ratios` that hold `share` of them between them.

    As wide as would have been right before.
    """
    tails = np.array([(1 - share) / 2, (1 + share) / 2])
    low, high = np.quantile(ratios, tails, method="weibull")
    width = _width(ratios, tails, share, end) * _stretch(share, len(ratios) / count)
    middle = float(np.median(ratios))
    ends = sorted(expected * (middle + width * (edge - middle)) for edge in (low, high))
    return float(ends[0]), float(ends[1])


def _stretch(share: float, independent: float) -> float:
    """By how much a range is wider for coming from few errors: Student's t over the normal one (Cornish and Fisher's expansion).

    >>> round(_stretch(0.95, 7), 2), round(_stretch(0.95, 182), 2)
    (1.24, 1.01)
    """
    reach, part = _REACHES[share]
    freedom, square = max(independent - 1, 2.0), reach**2
    ratio = 1 + (square + 1) / (4 * freedom) + (5 * square**2 + 16 * square + 3) / (96 * freedom**2)
    return float(ratio**part)


def _width(ratios: FloatArray, tails: FloatArray, share: float, gap: int) -> float:
    """By how much ranges have to be widened so that, made from what was known at the time, they hold as often as they say."""
    window = len(ratios) // 2
    tried = len(ratios) - window - gap  # outcomes with a window behind them that was known before it
    if tried < _MIN_ORIGINS:
        return 1.0
    windows = sliding_window_view(ratios, window)[:tried]
    low, high = np.quantile(windows, tails, axis=1)
    middle = np.median(windows, axis=1)
    came = ratios[window + gap :]
    widths = _WIDTHS[:, None]
    held = (came >= middle + widths * (low - middle)) & (came <= middle + widths * (high - middle))
    enough = np.flatnonzero(held.mean(axis=1) >= share)
    return float(_WIDTHS[enough[0]] if len(enough) else _WIDTHS[-1])
