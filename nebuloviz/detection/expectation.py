"""What each bucket of a day should bring, from days before it: the causal seasonal expectation of many series at once.

Everything about a day is known at its midnight. A series' own expectation is the trimmed mean of the same hours of the same
weekday in the last six weeks, each divided by the slow level of its day, times the slow level now (the median, over the last
ten open days, of what a day brought over what its profile said): growth that stays is absorbed in days, a short decay mostly
is not. A segment of few sales borrows strength: most of its expectation is its share of the company's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nebuloviz.detection.series import BoolArray, FloatArray, IntArray

WEEKS = 6
LEVEL_DAYS = 10
OWN_WEIGHT = 0.3  # of a segment's own expectation; the rest is its share of the company's
_TRIM_FROM = 4  # weeks; fewer are averaged whole
_LEVEL_REACH = 25  # days back that the ten open days are looked for in


@dataclass
class DayHistory:
    """Whole past days of one metric, oldest first; series 0 is the company, the others are its segments."""

    observed: FloatArray  # (days, buckets of a day, series); NaN where not known
    profile_total: FloatArray  # (days, series): what the day's profile came to before its level
    level: FloatArray  # (days, series): the slow level of the day
    usable: BoolArray  # (days, series): the shop was open, and the series existed
    whole: BoolArray | None = None  # (days, series): usable, and no hour of it set aside; None: as `usable`
    since: IntArray | None = None  # (series,): the day from which levels and shares are learned; None: the first

    @property
    def levelling(self) -> BoolArray:
        """The days that say how much a series sells now."""
        whole = self.usable if self.whole is None else self.whole
        return whole if self.since is None else whole & (np.arange(len(whole))[:, None] >= self.since)

    @property
    def rebased(self) -> BoolArray:
        """The series whose level is not to be learned from all days."""
        n_series = self.observed.shape[2]
        return np.zeros(n_series, bool) if self.since is None else self.since > 0


@dataclass(frozen=True)
class DayExpectation:
    expected: FloatArray  # (buckets of a day, series)
    profile_total: FloatArray  # (series,)
    level: FloatArray  # (series,)


def expect_day(history: DayHistory, *, closed: bool) -> DayExpectation:
    """The expectation of the day after the last one of `history`; zero on a closed day, NaN for a series with no such weekday yet."""
    _days, per_day, n_series = history.observed.shape
    if closed:
        nothing = np.zeros(n_series)
        return DayExpectation(np.zeros((per_day, n_series)), nothing, np.ones(n_series))
    profile = _profile(history)
    level = _level(history)
    own = profile * level
    share = _share(history)
    expected = OWN_WEIGHT * own + (1 - OWN_WEIGHT) * own[:, :1] * share
    alone = history.rebased & (share == 0)  # no day yet that would say which part of the company it is now
    expected[:, alone] = own[:, alone]
    expected[:, 0] = own[:, 0]
    # More returns than sales are never what is expected.
    return DayExpectation(np.maximum(expected, 0.0), profile.sum(axis=0), level)


def _profile(history: DayHistory) -> FloatArray:
    """The level-free mean of the same weekday in each of the last weeks, shaped (buckets of a day, series)."""
    days = len(history.observed)
    same = np.array([days - 7 * week for week in range(1, WEEKS + 1) if days >= 7 * week], dtype=int)
    levelled = history.observed[same] / history.level[same][:, None, :]
    levelled[~history.usable[same][:, None, :].repeat(levelled.shape[1], axis=1)] = np.nan
    return trimmed_mean(levelled)


def trimmed_mean(values: FloatArray) -> FloatArray:
    """The mean over the first axis without its lowest and highest, of four or more known values; NaN where none is known."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    total = filled.sum(axis=0)
    lowest = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    highest = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    trim = n >= _TRIM_FROM
    with np.errstate(invalid="ignore", divide="ignore"):  # where no value is known
        kept = np.where(trim, total - (lowest + highest), total)
        mean: FloatArray = kept / np.where(trim, n - 2, n)
    return mean


def _level(history: DayHistory) -> FloatArray:
    """The median of observed over profile on the last open days; until there is one, 1, or what a series was rebased to."""
    recent = slice(max(0, len(history.observed) - _LEVEL_REACH), None)
    profile = history.profile_total[recent]
    total = np.nansum(history.observed[recent], axis=1)
    due = history.levelling[recent] & (profile > 0)
    ratio = np.where(due, total / np.where(due, profile, 1.0), np.nan)
    recency = np.cumsum(due[::-1], axis=0)[::-1]
    ratio[recency > LEVEL_DAYS] = np.nan
    level = median(ratio)
    open_days = np.flatnonzero(history.usable.any(axis=1))
    usual = np.where(history.rebased, history.level[open_days[-1]], 1.0) if len(open_days) else 1.0
    return np.where(level > 0, level, usual)


def median(values: FloatArray) -> FloatArray:
    """Over the first axis, without NaN; NaN where all are."""
    ordered = np.sort(values, axis=0)  # NaN last
    n = np.isfinite(values).sum(axis=0)
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    columns = np.arange(values.shape[1])
    middle = ordered[np.maximum(n - 1, 0) // 2, columns] + ordered[np.minimum(n // 2, len(values) - 1), columns]
    return np.where(n > 0, middle / 2, np.nan)


def _share(history: DayHistory) -> FloatArray:
    """Each series' part of the company's total over the weeks in which both were there."""
    recent = slice(max(0, len(history.observed) - 7 * WEEKS), None)
    total = np.nansum(history.observed[recent], axis=1)
    levelling = history.levelling[recent]
    both = levelling & levelling[:, :1]
    own = np.where(both, total, 0.0).sum(axis=0)
    company = np.where(both, total[:, :1], 0.0).sum(axis=0)
    share: FloatArray = own / np.where(company > 0, company, np.inf)
    return share
