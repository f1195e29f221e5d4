"""The buckets of time that a query's answer is told apart by, in the viewer's own zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.metrics.calendar import ONE_DAY, add_months, day_of, midnight, month_floor, week_floor
from nebuloviz.metrics.query import GRAINS, Grain, Query

MAX_BUCKETS = 5_000

_CLOCK_MINUTES: dict[Grain, int] = {"minute": 1, "quarter_hour": 15, "hour": 60}
_MONTHS: dict[Grain, int] = {"month": 1, "quarter": 3, "year": 12}
#: How long a bucket of each grain is at least, where no clock changes; finest first.
SHORTEST: dict[Grain, timedelta] = {
    "minute": timedelta(minutes=1),
    "quarter_hour": timedelta(minutes=15),
    "hour": timedelta(hours=1),
    "day": ONE_DAY,
    "week": timedelta(days=7),
    "month": timedelta(days=28),
    "quarter": timedelta(days=90),
    "year": timedelta(days=365),
}
#: The longest range that each grain is chosen for by itself: some 30 to 150 points, which a chart can show and a reader read.
_AUTOMATIC: tuple[tuple[timedelta, Grain], ...] = (
    (timedelta(hours=2), "minute"),
    (timedelta(hours=12), "quarter_hour"),
    (timedelta(days=4), "hour"),
    (timedelta(days=120), "day"),
    (timedelta(days=740), "week"),
    (timedelta(days=12 * 366), "month"),
    (timedelta(days=36 * 366), "quarter"),
)


class Bucket(NamedTuple):
    """[`start`, `end`) in UTC; whole, even where the query's range begins or ends inside it."""

    start: datetime
    end: datetime


def buckets(query: Query) -> tuple[Bucket, ...]:
    """All buckets that the query's range touches, in order, without gaps.

    Where the clocks of the zone change by less than a bucket, the bucket in which it happens is that much longer.

    Raises:
        InvalidQuery: there are more than `MAX_BUCKETS`; it names the grain that would do. Or the query has no grain.
    """
    if query.grain is None:
        raise InvalidQuery("A query without a grain has no buckets.")
    _check_number(query, query.grain)
    try:
        return _buckets(query.start, query.end, query.grain, query.zone, (query.week_start, query.year_start))
    except OverflowError:
        raise InvalidQuery(_("The range or its comparison leaves the years 1 to 9999.")) from None


def automatic_grain(start: datetime, end: datetime) -> Grain:
    """The grain that shows [`start`, `end`) as a readable number of points.

    >>> from datetime import UTC, datetime
    >>> automatic_grain(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC))
    'day'
    """
    return next((grain for longest, grain in _AUTOMATIC if end - start <= longest), "year")


def _check_number(query: Query, grain: Grain) -> None:
    length = query.end - query.start
    if length / SHORTEST[grain] <= MAX_BUCKETS:
        return
    fitting = next(coarser for coarser in GRAINS if length / SHORTEST[coarser] <= MAX_BUCKETS or coarser == GRAINS[-1])
    words = _(
        "This range has more than {limit} buckets of one {grain}; choose the grain {fitting}.",
        limit=number(MAX_BUCKETS),
        grain=grain.replace("_", " "),
        fitting=fitting,
    )
    raise InvalidQuery(words)


@lru_cache(maxsize=256)
def _buckets(
    start: datetime, end: datetime, grain: Grain, zone: ZoneInfo, starts: tuple[int, int]
) -> tuple[Bucket, ...]:
    edges = (
        _clock_edges(start, end, grain, zone)
        if grain in _CLOCK_MINUTES
        else _day_edges(start, end, grain, zone, starts)
    )
    found = list(edges)
    return tuple(Bucket(a, b) for a, b in pairwise(found) if a < b)


def _clock_edges(start: datetime, end: datetime, grain: Grain, zone: ZoneInfo) -> Iterator[datetime]:
    """Moments at which the zone's clocks show a whole minute, quarter or hour, from the last one not after `start`."""
    step = timedelta(minutes=_CLOCK_MINUTES[grain])
    edge = start
    while past := _past_whole(edge, step, zone):  # twice where the clocks changed in between
        edge -= past
    yield edge
    while edge < end:
        edge += step
        while past := _past_whole(edge, step, zone):
            edge += step - past
        yield edge


def _past_whole(moment: datetime, step: timedelta, zone: ZoneInfo) -> timedelta:
    local = moment.astimezone(zone)
    return (
        timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond) % step
    )


def _day_edges(
    start: datetime, end: datetime, grain: Grain, zone: ZoneInfo, starts: tuple[int, int]
) -> Iterator[datetime]:
    day = _floor(day_of(start, zone), grain, *starts)
    while True:
        edge = midnight(day, zone)
        yield edge
        if edge >= end:
            return
        day = _following(day, grain)


def _floor(day: date, grain: Grain, week_start: int, year_start: int) -> date:
    if grain == "day":
        return day
    return week_floor(day, week_start) if grain == "week" else month_floor(day, _MONTHS[grain], year_start)


def _following(day: date, grain: Grain) -> date:
    if grain in _MONTHS:
        return add_months(day, _MONTHS[grain])
    return day + (ONE_DAY if grain == "day" else timedelta(days=7))
