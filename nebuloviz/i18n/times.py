"""Dates, times and spans in the reader's own form and zone, from CLDR through Babel.

Moments must carry a zone and are shown on the reader's clock; plain dates are shown as they are. `None` and NaT become an en
dash.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Literal

from babel import dates

from nebuloviz.i18n.context import current
from nebuloviz.i18n.formats import NOTHING, Number, finish, locale, words
from nebuloviz.i18n.text import gettext as _
from nebuloviz.i18n.text import lazy
from nebuloviz.i18n.zones import local

Style = Literal["short", "medium", "long", "full"]

_UNITS = ((lazy("{n} d"), 86_400), (lazy("{n} h"), 3600), (lazy("{n} min"), 60), (lazy("{n} s"), 1))
# CLDR skeletons: which fields a label shows; the locale decides their order and spelling.
_MONTHS = {"quarter": 3, "year": 12}
_BUCKETS = {"day": "yMMMEd", "month": "yMMM", "quarter": "yQQQ", "year": "y"}


def format_date(day: date | None, style: Style = "medium") -> str:
    """`day` (a moment is taken on the reader's clock): Nov 22, 2026."""
    shown = _day(day)
    return NOTHING if shown is None else finish(dates.format_date(shown, style, locale=locale()))


def format_time(moment: datetime | None, style: Style = "short") -> str:
    """The time of day of `moment` on the reader's clock: 2:05 PM."""
    return NOTHING if _missing(moment) else finish(_time(moment, style))


def format_datetime(moment: datetime | None, style: Style = "medium") -> str:
    """`moment` on the reader's clock, to the minute: Nov 22, 2026, 2:05 PM."""
    day = _day(moment)
    return NOTHING if day is None else finish(_joined(dates.format_date(day, style, locale=locale()), moment))


def date_range(first: date | None, last: date | None) -> str:
    """The days `first` to `last`, both included, with what they share said once: Nov 22 – Dec 12, 2026."""
    start, end = _day(first), _day(last)
    if start is None or end is None:
        return NOTHING
    return format_date(start) if start == end else finish(dates.format_interval(start, end, "yMMMd", locale=locale()))


def moment_range(start: datetime, end: datetime) -> str:
    """From `start` until just before `end`, on the reader's clock, with what they share said once: Nov 22, 2026, 2:00 PM – 3:00 PM."""
    first, last = local(start), local(end - timedelta(microseconds=1))
    if first.time() == local(end).time() == time():
        return date_range(first.date(), last.date())
    if first.date() != last.date():
        return f"{format_datetime(start)} – {format_datetime(end)}"
    day = dates.format_date(first.date(), "medium", locale=locale())
    pattern = str(locale().datetime_formats["medium"])
    return finish(pattern.replace("{1}", day).replace("{0}", f"{_time(start)} – {_time(end)}"))


def relative(seconds: Number | None) -> str:
    """How long ago something was that lies `seconds` back (ahead, if negative): 2 minutes ago."""
    span = _span(seconds)
    if span is None:
        return NOTHING
    if abs(span) < timedelta(seconds=1):
        return _("just now")
    return finish(dates.format_timedelta(-span, threshold=0.95, add_direction=True, locale=words()))


def duration(seconds: Number | None) -> str:
    """A length of time in its two largest units: 1 h 5 min, 40 s."""
    span = _span(seconds)
    if span is None:
        return NOTHING
    rest = round(abs(span).total_seconds())
    counts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        counts.append((unit, count))
    first = next((i for i, (_unit, count) in enumerate(counts) if count), len(counts) - 1)
    shown = [(unit, count) for unit, count in counts[first : first + 2] if count] or counts[-1:]
    return finish(" ".join(_(unit.message, n=count) for unit, count in shown))


def bucket_label(bucket: date | None, grain: str) -> str:
    """The name of the bucket of `grain` (minute, quarter_hour, hour, day, week, month, quarter or year) that starts at `bucket`.

    Raises:
        ValueError: no such grain.
    """
    day = _day(bucket)
    if day is None:
        return NOTHING
    if grain in {"minute", "quarter_hour", "hour"}:
        return finish(_joined(dates.format_skeleton("MMMd", day, locale=locale()), bucket))
    if grain == "week":
        return _("Week of {date}", date=format_date(day))
    if grain not in _BUCKETS:
        raise ValueError(f"There is no grain {grain!r}.")
    if grain in _MONTHS and current().year_start != 1:  # "Q2" would be read as that of the calendar
        last = day.year * 12 + day.month - 1 + _MONTHS[grain] - 1
        return finish(dates.format_interval(day, date(last // 12, last % 12 + 1, 1), "yMMM", locale=locale()))
    return finish(dates.format_skeleton(_BUCKETS[grain], day, locale=locale()))


def hour_label(hour: int) -> str:
    """An hour of the day (24 is that of 0) as the locale writes it alone: 2 PM, 14."""
    return finish(dates.format_skeleton(hour_cycle(), time(hour % 24), locale=locale()))


def hour_cycle() -> Literal["H", "h"]:
    """The CLDR field of the hours that the locale counts: H to 24, h to 12."""
    return "H" if "H" in str(locale().time_formats["short"].pattern) else "h"


def weekday_name(day: int, width: Literal["abbreviated", "wide"] = "abbreviated") -> str:
    """The name of a day of the week, 0 being Monday: Mon."""
    return str(locale().days["stand-alone"][width][day])


def month_name(month: int) -> str:
    """The name of a month by itself, 1 being January."""
    return str(locale().months["stand-alone"]["wide"][month])


def _missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 - pandas' NaT is a datetime that differs from itself


def _day(value: date | None) -> date | None:
    if value is None or _missing(value):
        return None
    return local(value).date() if isinstance(value, datetime) else value


def _span(seconds: Number | None) -> timedelta | None:
    if seconds is None:
        return None
    try:
        return timedelta(seconds=float(seconds))
    except (ValueError, OverflowError):  # NaN, infinity
        return None


def _time(moment: date | None, style: Style = "short") -> str:
    if not isinstance(moment, datetime):
        raise TypeError("A day has no time of day.")
    return dates.format_time(local(moment), style, locale=locale())


def _joined(day: str, moment: date | None) -> str:
    pattern = str(locale().datetime_formats["medium"])
    return pattern.replace("{1}", day).replace("{0}", _time(moment))
