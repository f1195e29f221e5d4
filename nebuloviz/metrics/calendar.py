"""Days, weeks, months and years of a time zone: where they begin in UTC, and how to go back in them.

A day is what the zone's clocks call one, so it has 23 or 25 hours where they change. It begins at its first midnight; where
that is skipped by the clocks, at the moment of the change.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

ONE_DAY = timedelta(days=1)
ONE_HOUR = timedelta(hours=1)


@lru_cache(maxsize=4096)
def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of `day` in `zone`, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """The day of `zone` that `moment` falls on."""
    return moment.astimezone(zone).date()


def day_floor(moment: datetime, zone: tzinfo) -> datetime:
    """The beginning of the day of `zone` that `moment` falls on."""
    return midnight(day_of(moment, zone), zone)


def day_ceiling(moment: datetime, zone: tzinfo) -> datetime:
    """The first beginning of a day of `zone` that is not before `moment`."""
    start = day_floor(moment, zone)
    return start if start >= moment else midnight(day_of(moment, zone) + ONE_DAY, zone)


def monday_floor(moment: datetime, zone: tzinfo) -> datetime:
    """The beginning of the last Monday of `zone` that is not after `moment`."""
    return midnight(week_floor(day_of(moment, zone), 0), zone)


def monday_ceiling(moment: datetime, zone: tzinfo) -> datetime:
    """The first beginning of a Monday of `zone` that is not before `moment`."""
    start = monday_floor(moment, zone)
    return start if start >= moment else midnight(week_floor(day_of(moment, zone), 0) + 7 * ONE_DAY, zone)


def hour_floor(moment: datetime) -> datetime:
    """The beginning of the whole UTC hour that `moment` falls in."""
    whole = not (moment.minute or moment.second or moment.microsecond)
    return moment if whole else moment.replace(minute=0, second=0, microsecond=0)


def hour_ceiling(moment: datetime) -> datetime:
    """The first whole UTC hour that is not before `moment`."""
    start = hour_floor(moment)
    return start if start is moment else start + ONE_HOUR


def bucket_of(grain: str, moment: datetime, zone: tzinfo) -> datetime:
    """The beginning of the 'hour', 'day' or 'week' that `moment` falls in, as rollups have them."""
    if grain == "hour":
        return hour_floor(moment)
    return day_floor(moment, zone) if grain == "day" else monday_floor(moment, zone)


def week_floor(day: date, week_start: int) -> date:
    """The first day of the week of `day`; weeks begin on `week_start` (0 = Monday)."""
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def month_floor(day: date, months: int = 1, year_start: int = 1) -> date:
    """The first day of the month of `day`, or of its group of `months` months: 3 for quarters, 12 for years.

    Groups are counted from the month `year_start`.

    >>> month_floor(date(2026, 2, 15), 12, 4), month_floor(date(2026, 6, 30), 3, 2)
    (datetime.date(2025, 4, 1), datetime.date(2026, 5, 1))
    """
    return add_months(day.replace(day=1), -((day.month - year_start) % months))


def add_months(day: date, months: int) -> date:
    """The same day of the month, `months` later (or earlier). A day that this month lacks is the first of the one after.

    >>> add_months(date(2026, 3, 15), -1), add_months(date(2026, 3, 31), -1)
    (datetime.date(2026, 2, 15), datetime.date(2026, 3, 1))
    """
    number = day.year * 12 + day.month - 1 + months
    try:
        return date(number // 12, number % 12 + 1, day.day)
    except ValueError:
        if not 1 <= number // 12 <= 9999:
            raise OverflowError("the range leaves the years 1 to 9999") from None
        return add_months(day.replace(day=1), months + 1)


def moved(moment: datetime, zone: tzinfo, *, days: int = 0, months: int = 0) -> datetime:
    """The moment that the clocks of `zone` show as the same time so many days and months later (negative: earlier), in UTC.

    A day that the other month lacks gives the end of that month.
    """
    local = moment.astimezone(zone)
    day = add_months(local.date(), months) + timedelta(days=days)
    clock = time() if months and day.day != local.day else local.time()
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
