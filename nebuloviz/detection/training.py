"""When the watches are trained: the one rule, which production and a backtest go by."""

from __future__ import annotations

_MONDAY = 3  # 1970-01-01, day 0, was a Thursday


def training_due(until: int, first_day: int, trained_until: int | None, warmup_weeks: int) -> bool:
    """Whether a watch that knows the local days [`first_day`, `until`), since 1970, is to be trained before it judges day `until`.

    First once it knows its warm-up, then each time a Monday begins: a fixed day of the week, so that what judges a day does not
    depend on when somebody began to watch. `trained_until` is the day that the present model judged first, None without one.

    >>> monday = 4
    >>> [training_due(day, 0, None, 4) for day in (27, 28)]
    [False, True]
    >>> [training_due(day, 0, monday + 2, 4) for day in (monday + 3, monday + 6, monday + 7)]
    [False, False, True]
    """
    if trained_until is None:
        return until - first_day >= warmup_weeks * 7
    return _week(until) > _week(trained_until)


def is_replaced(until: int, first_judged: int) -> bool:
    """Whether a model trained before day `until` is replaced before day `first_judged` begins, so that nobody needs it."""
    return _week(until) < _week(first_judged)


def _week(day: int) -> int:
    """Which week from Monday to Sunday a day lies in."""
    return (day + _MONDAY) // 7
