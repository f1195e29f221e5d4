"""Named ranges of time, as data: each gives whole days of the viewer's zone from the present moment.

Today and what runs up to it are whole too, and end when the day, week, month or year does: a chart then has room for what is still to
come, and a comparison sets like against like (see `nebuloviz.metrics.comparison`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import LazyText, lazy
from nebuloviz.metrics.calendar import add_months, day_of, midnight, month_floor, week_floor

_Days = tuple[date, date]  # the first, and the one after the last


@dataclass(frozen=True)
class Preset:
    """`days` gives the range from today and the first day of the week (0 = Monday)."""

    slug: str
    label: LazyText
    days: Callable[[date, int], _Days]


def _last(count: int) -> Callable[[date, int], _Days]:
    return lambda today, _week_start: (today - timedelta(days=count - 1), today + timedelta(days=1))


def _months(count: int) -> Callable[[date, int], _Days]:
    def days(today: date, _week_start: int) -> _Days:
        first = month_floor(today, count)
        return first, add_months(first, count)

    return days


def _yesterday(today: date, _week_start: int) -> _Days:
    return today - timedelta(days=1), today


def _week(today: date, week_start: int) -> _Days:
    first = week_floor(today, week_start)
    return first, first + timedelta(days=7)


def _last_month(today: date, _week_start: int) -> _Days:
    first = month_floor(today)
    return add_months(first, -1), first


PRESETS: tuple[Preset, ...] = (
    Preset("today", lazy("Today"), _last(1)),
    Preset("yesterday", lazy("Yesterday"), _yesterday),
    Preset("7d", lazy("Last 7 days"), _last(7)),
    Preset("28d", lazy("Last 28 days"), _last(28)),
    Preset("90d", lazy("Last 90 days"), _last(90)),
    Preset("365d", lazy("Last 365 days"), _last(365)),
    Preset("week", lazy("This week"), _week),
    Preset("month", lazy("This month"), _months(1)),
    Preset("last_month", lazy("Last month"), _last_month),
    Preset("quarter", lazy("This quarter"), _months(3)),
    Preset("year", lazy("Year to date"), _months(12)),
)


def preset_range(slug: str, now: datetime, zone: ZoneInfo, week_start: int = 0) -> tuple[datetime, datetime]:
    """[start, end) of a preset, in UTC.

    Raises:
        InvalidQuery: there is no such preset; it names the known ones.
    """
    for preset in PRESETS:
        if preset.slug == slug:
            first, after = preset.days(day_of(now, zone), week_start)
            return midnight(first, zone), midnight(after, zone)
    raise InvalidQuery(f"There is no preset {slug!r}; known are {', '.join(preset.slug for preset in PRESETS)}.")
