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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nebuloviz.detection.series import FloatArray

#: How often each range is to hold what comes.
LEVELS = (0.8, 0.95)
WEEKS = 6
#: Fewer days say nothing of how sure it is.
LEAST_DAYS = 84
_WEEK = 7
_MEMORY = 0.6  # what a week counts for beside the one after it
_ORIGINS = 182  # past days that it is tried from
_LEAST_ORIGINS = 21
_CLOSED = 0.01  # of an ordinary day: what is expected of less is a day on which nothing is sold
_LEAST_QUIET = 5  # past days of which hardly anything was expected, to say what another one may bring
_WIDTHS = np.linspace(0.6, 2.0, 29)
#: Of each of `LEVELS`: how many standard deviations a normal range would reach, and how much of the stretch it needs. The inner
#: one misses often enough for `_width` to see by how much; the misses of the outer one are too few for that.
_REACHES = {0.8: (1.2816, 0.5), 0.95: (1.96, 1.0)}


@dataclass(frozen=True)
class Outlook:
    """What some days ahead are expected to come to, and a range for each of `LEVELS`, the narrower first."""

    expected: float
    ranges: tuple[tuple[float, float], ...]


def outlooks(days: FloatArray, spans: Sequence[tuple[int, int]]) -> list[Outlook | None]:
    """For each of `spans` what its days will come to in all: [`first`, `end`) days after the last of `days`, 0 being the next one.

    `days` are consecutive whole days. None where they are too few for a span that lies so far ahead, or nothing is sold.
    """
    if len(days) < LEAST_DAYS:
        return [None for _span in spans]
    level, shape = _levels_and_shapes(days)
    sums = np.concatenate([[0.0], np.cumsum(days)])
    return [_outlook(sums, level, shape, span) for span in spans]


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


def _outlook(sums: FloatArray, level: FloatArray, shape: FloatArray, span: tuple[int, int]) -> Outlook | None:
    first, end = span
    expected = level * _share(shape, first, end)
    origins = np.arange(WEEKS * _WEEK, len(sums))  # the last one is now
    known = origins[origins + end < len(sums)]
    came = sums[known + end] - sums[known + first]
    made = expected[: len(known)]
    worth = (made > _CLOSED * level[: len(known)] * (end - first)) & (made > 0)
    now = float(expected[-1])
    if level[-1] > 0 and now <= _CLOSED * level[-1] * (end - first):
        quiet = ~worth & (level[: len(known)] > 0)
        return _quiet_outlook((came[quiet] / level[: len(known)][quiet])[-_ORIGINS:], float(level[-1]))
    ratios = (came[worth] / made[worth])[-_ORIGINS:]
    if level[-1] <= 0 or len(ratios) < max(_LEAST_ORIGINS, 2 * (end - first)):
        return None
    inner, outer = (_range(ratios, now, share, span) for share in LEVELS)
    return Outlook(now * float(np.median(ratios)), (inner, (min(inner[0], outer[0]), max(inner[1], outer[1]))))


def _quiet_outlook(brought: FloatArray, level: float) -> Outlook:
    """Of days of which hardly anything is expected: what such days have `brought`, over the level. Nothing, where that are too few."""
    if len(brought) < _LEAST_QUIET:
        return Outlook(0.0, tuple((0.0, 0.0) for _level in LEVELS))
    least = min(0.0, float(brought.min()) * level)
    return Outlook(
        float(np.median(brought)) * level,
        tuple((least, float(np.quantile(brought, share)) * level) for share in LEVELS),
    )


def _share(shape: FloatArray, first: int, end: int) -> FloatArray:
    """What the days [`first`, `end`) ahead bring over the level, for each origin."""
    counts = np.bincount(np.arange(first, end) % _WEEK, minlength=_WEEK)
    total: FloatArray = shape @ counts
    return total


def _range(ratios: FloatArray, expected: float, share: float, span: tuple[int, int]) -> tuple[float, float]:
    """`expected` times the quantiles of `ratios` that hold `share` of them between them, as wide as would have been right before."""
    first, end = span
    tails = np.array([(1 - share) / 2, (1 + share) / 2])
    low, high = np.quantile(ratios, tails, method="weibull")
    width = _width(ratios, tails, share, end) * _stretch(share, len(ratios) / (end - first))
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
    if tried < _LEAST_ORIGINS:
        return 1.0
    windows = sliding_window_view(ratios, window)[:tried]
    low, high = np.quantile(windows, tails, axis=1)
    middle = np.median(windows, axis=1)
    came = ratios[window + gap :]
    widths = _WIDTHS[:, None]
    held = (came >= middle + widths * (low - middle)) & (came <= middle + widths * (high - middle))
    enough = np.flatnonzero(held.mean(axis=1) >= share)
    return float(_WIDTHS[enough[0]] if len(enough) else _WIDTHS[-1])
