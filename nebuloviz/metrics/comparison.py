"""What a query's range is compared with.

- `previous`: the same hours of the days just before, as few whole days back as clear the range (28 days: 28). Whole calendar
  months compare with as many whole months before.
- `weekdays`: the same weekdays of earlier weeks: as few whole weeks back as clear the range (a day: 1, 28 days: 4, a month: 5).
- `year`: last year, 52 weeks back so that weekdays match. Whole calendar months compare with the same months of last year.

Going back keeps the time that the viewer's clocks show. Every bucket is compared with the bucket that lies as far back, row by
row; of the bucket that is not over yet only the part up to now (in a frame: up to the minute), so that like is compared with like,
while buckets still to come are shown beside the whole of theirs. Where months differ in length, days that the other month lacks
have no counterpart, and days that only the other month has are in the total alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import ONE_DAY, add_months, moved
from nebuloviz.metrics.query import Query

_WEEKS_OF_A_YEAR = 52


@dataclass(frozen=True, slots=True)
class Shift:
    """How far back, in days or in calendar months of the viewer's zone."""

    days: int = 0
    months: int = 0


def shift_of(query: Query) -> Shift:
    """How far back the query's comparison lies. The query has one."""
    months = whole_months(query)
    if query.comparison == "year":
        return Shift(months=12) if months else Shift(days=7 * _WEEKS_OF_A_YEAR)
    if query.comparison == "previous" and months:
        return Shift(months=months)
    days = _days_touched(query)
    return Shift(days=days if query.comparison == "previous" else -(-days // 7) * 7)


def compared(query: Query, spans: Sequence[Bucket], now: datetime) -> tuple[Bucket, ...]:
    """For each of `spans` (the parts of the query's range, in UTC) the one it is compared with; an empty one has start = end.

    Raises:
        InvalidQuery: the comparison begins before the year 1.
    """
    shift = shift_of(query)
    keep_length = bool(shift.months) and query.grain not in {None, "month", "quarter", "year"}

    @cache  # one span ends where the next begins
    def back(moment: datetime) -> datetime:
        return moved(moment, query.zone, days=-shift.days, months=-shift.months)

    try:
        return tuple(_counterpart(query, span, shift, now, back, keep_length=keep_length) for span in spans)
    except (OverflowError, ValueError):
        raise InvalidQuery(_("The range or its comparison leaves the years 1 to 9999.")) from None


def comparison_range(query: Query) -> tuple[datetime, datetime]:
    """[start, end) that the whole range is compared with, in UTC, as if it were over."""
    whole = compared(query.with_(grain=None), (Bucket(query.start, query.end),), datetime.max.replace(tzinfo=UTC))
    return whole[0]


def reaches_back(query: Query, first_sale: datetime | None) -> bool:
    """Whether sales are known from the first day on that the range is compared with; a part says nothing about the whole."""
    if first_sale is None:
        return False
    start, _end = comparison_range(query)
    return first_sale.astimezone(query.zone).date() <= start.astimezone(query.zone).date()


def whole_months(query: Query) -> int:
    """How many calendar months of the viewer's zone the range is, exactly; 0 if it is not made of whole months."""
    start, end = (moment.astimezone(query.zone) for moment in (query.start, query.end))
    if (start.day, end.day) != (1, 1) or start.time() != time() or end.time() != time():
        return 0
    return (end.year - start.year) * 12 + end.month - start.month


def _days_touched(query: Query) -> int:
    """How many days back the range no longer overlaps itself."""
    start, end = (moment.astimezone(query.zone).replace(tzinfo=None) for moment in (query.start, query.end))
    return max(1, -(-(end - start) // ONE_DAY))


def _counterpart(
    query: Query, span: Bucket, shift: Shift, now: datetime, back: Callable[[datetime], datetime], *, keep_length: bool
) -> Bucket:
    if shift.months and _lacking(span.start.astimezone(query.zone).date(), shift.months):
        return Bucket(back(span.start), back(span.start))
    start, end = back(span.start), back(span.end)
    if keep_length:
        length = _clock_length(span, query)
        end = min(end, moved(start, query.zone, days=length.days) + timedelta(seconds=length.seconds))
    if span.start < now < span.end:
        end = min(end, back(now))
    return Bucket(start, max(start, end))


def _lacking(day: date, months: int) -> bool:
    return add_months(day, -months).day != day.day


def _clock_length(span: Bucket, query: Query) -> timedelta:
    start, end = (moment.astimezone(query.zone).replace(tzinfo=None) for moment in span)
    return end - start
