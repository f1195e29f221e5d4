"""Axes: ticks that fall on days, weeks and months of the viewer's clock, and on round values, in the reader's own form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any

import pandas as pd
from babel import dates

from nebuloviz.i18n import _, current, hour_cycle, hour_label
from nebuloviz.i18n.browser import d3_date_format
from nebuloviz.i18n.formats import finish, locale
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.wording import value_text

MAX_TIME_TICKS = 7
MAX_VALUE_STEPS = 4
_MINUTE_STEPS = (1, 5, 15, 30)
_HOUR_STEPS = (1, 2, 3, 6, 12)
_DAY_STEPS = (1, 2, 7, 14)
_WEEK_STEPS = (1, 2, 4)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_WITHIN_DAY = {"minute", "quarter_hour", "hour"}
_HOVER_SKELETONS = {"day": "yMMMEd", "week": "yMMMd", "month": "yMMMM", "quarter": "yMMM", "year": "y"}

_Test = Callable[[datetime], bool]


def wall(buckets: pd.Series[Any]) -> list[datetime]:
    """The buckets' starts as Plotly takes them: the viewer's clock without a zone, for it knows none."""
    return [bucket.to_pydatetime().replace(tzinfo=None) for bucket in buckets]


def time_axis(
    buckets: Sequence[datetime], grain: str, *, bars: bool = False, room: timedelta | None = None
) -> dict[str, Any]:
    """An x axis over `buckets` (wall clock, ascending, at least one) with at most seven labelled ticks.

    It ends at the first and the last bucket, but for `bars`, which are as wide as a bucket; with `room` behind the last one.
    """
    ticks, slack = _ticks(list(dict.fromkeys(buckets)), grain), (buckets[-1] - buckets[0]) / 80
    end = buckets[-1] + max(slack, room or slack)
    return {
        "type": "date",
        # By itself Plotly gives points a margin that parts the first one from the axis.
        "ticklabelstandoff": 8,
        "range": [buckets[0] - slack, end] if slack and not bars else None,
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": _labels(ticks, grain),
        "tickangle": 0,
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "hovered data",
        "spikethickness": 1,
        "spikedash": "solid",
        "unifiedhovertitle": {"text": f"<b>{_hover_title(grain)}</b>"},
    }


def _ticks(starts: list[datetime], grain: str) -> list[datetime]:
    for test in _tests(starts, grain):
        ticks = [start for start in starts if test(start)]
        if len(ticks) <= MAX_TIME_TICKS:
            return ticks or starts[:1]
    return starts[:: math.ceil(len(starts) / MAX_TIME_TICKS)] if starts else []


def _tests(starts: list[datetime], grain: str) -> list[_Test]:
    """What a bucket must be to carry a tick, from the finest choice to the coarsest."""
    if not starts:
        return []
    tests: list[_Test] = [lambda _at: True]
    if grain in _WITHIN_DAY:
        tests += [_minutes(step) for step in _MINUTE_STEPS] + [_hours(step) for step in _HOUR_STEPS]
    if grain in _WITHIN_DAY or grain == "day":
        tests += [_days(step, _week_start(starts[0])) for step in _DAY_STEPS]
    if grain == "week":
        tests += [_days(7 * step, starts[0]) for step in _WEEK_STEPS]
    return tests if grain in {"week", "year"} else tests + [_months(step) for step in _MONTH_STEPS]


def _minutes(step: int) -> _Test:
    return lambda at: at.minute % step == 0


def _hours(step: int) -> _Test:
    return lambda at: at.minute == 0 and at.hour % step == 0


def _days(step: int, anchor: datetime) -> _Test:
    return lambda at: at.time() == time() and (at.date() - anchor.date()).days % step == 0


def _months(step: int) -> _Test:
    return lambda at: at.day == 1 and at.time() == time() and (at.year * 12 + at.month - 1) % step == 0


def _week_start(at: datetime) -> datetime:
    """The first day of the reader's week that holds `at`."""
    return at - timedelta(days=(at.weekday() - current().week_start) % 7)


def _labels(ticks: Sequence[datetime], grain: str) -> list[str]:
    """A label per tick; what changes seldom (the day of hours, the year of days) stands below it, once.

    The space before the break keeps the two apart where the label is read aloud.
    """
    labels, last = [], ""
    by_day = len(ticks) > 1 and all(tick.time() == time() for tick in ticks)
    for tick in ticks:
        upper, lower = _midnight_label(tick) if by_day and grain in _WITHIN_DAY else _label(tick, grain)
        labels.append(f"{upper} <br>{lower}" if lower != last else upper)
        last = lower
    return labels


def _label(at: datetime, grain: str) -> tuple[str, str]:
    if grain in _WITHIN_DAY:
        upper = (
            finish(dates.format_time(at, "short", locale=locale()))
            if at.minute or hour_cycle() == "H"
            else hour_label(at.hour)
        )
        return upper, _spelt("MMMd", at)
    if grain in {"day", "week"}:
        return _spelt("MMMd", at), _spelt("y", at)
    if grain == "month":
        return _spelt("MMM", at), _spelt("y", at)
    if grain == "quarter":
        return finish(dates.format_date(at, "QQQ", locale=locale())), _spelt("y", at)
    return _spelt("y", at), ""


def _midnight_label(at: datetime) -> tuple[str, str]:
    """Of hours whose ticks are days: midnight said seven times would say nothing, and leave no room on a phone."""
    return _spelt("d", at), _spelt("yMMM", at)


def _spelt(skeleton: str, at: datetime) -> str:
    return finish(dates.format_skeleton(skeleton, at, locale=locale()))


def hour_step() -> int:
    """Every how many hours a tick fits on a phone: "12 AM" and "21 Uhr" need twice the room of "14"."""
    return 3 if hour_label(21).isdecimal() else 6


def _hover_title(grain: str) -> str:
    """The template of the bucket's name above the hover texts; Plotly fills in the date in the registered locale."""
    if grain in _WITHIN_DAY:
        return f"%{{x|{d3_date_format('MMMEd')}}}, %{{x|{d3_date_format(hour_cycle() + 'm')}}}"
    shown = f"%{{x|{d3_date_format(_HOVER_SKELETONS[grain])}}}"
    if grain == "quarter":
        return _("Quarter from {date}", date=shown)
    return _("Week of {date}", date=shown) if grain == "week" else shown


def value_axis(metric: Metric, values: Sequence[float], *, zero: bool = True, headroom: float = 0.04) -> dict[str, Any]:
    """An axis with at most five round ticks that covers `values` (missing ones ignored).

    `zero`: from a zero baseline. `headroom` is what is left free above, as a share of the whole.
    """
    low, high = _span(values, zero=zero)
    ticks = round_ticks(low, high)
    top = max(high, ticks[-1]) if ticks else high
    return {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [value_text(metric, tick, short=True) for tick in ticks],
        "range": [low - (0 if low == 0 else (top - low) * 0.06), top + (top - low) * headroom],
        "fixedrange": True,
        "zeroline": low < 0,
    }


def _span(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    known = [float(value) for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def round_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten within [low, high], at most five."""
    raw = (high - low) / MAX_VALUE_STEPS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(count * step, 12) for count in range(first, last + 1)]
