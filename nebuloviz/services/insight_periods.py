"""What a range is held against, beside its comparison: the like periods before it, as far back as sales are known."""

from __future__ import annotations

from datetime import datetime

from nebuloviz.metrics.calendar import ONE_DAY, day_floor, day_of, moved
from nebuloviz.metrics.comparison import shift_of
from nebuloviz.metrics.query import Query


def whole_days(query: Query, now: datetime) -> Query | None:
    """`query` about those of its days that are over; None where none is."""
    end = min(query.end, day_floor(now, query.zone))
    return query.with_(end=end) if end > query.start else None


def periods_before(query: Query, weeks: int, most: int, first_sale: datetime | None) -> list[Query]:
    """The same question of up to `most` ranges as long, each `weeks` weeks before the next, the latest first.

    Only such as sales are known of: a part of a period says nothing about the whole.
    """
    found: list[Query] = []
    for number in range(1, most + 1):
        days = -7 * weeks * number
        try:
            start, end = (moved(moment, query.zone, days=days) for moment in (query.start, query.end))
        except OverflowError:
            break
        if first_sale is None or day_of(first_sale, query.zone) > day_of(start, query.zone):
            break
        found.append(query.with_(start=start, end=end))
    return found


def weeks_of(query: Query) -> int:
    """How many whole weeks earlier the like range lies that does not overlap the query's: one for a day, four for 28 days."""
    return shift_of(query.with_(comparison="weekdays")).days // 7


def lasts_a_day(query: Query) -> bool:
    return moved(query.start, query.zone, days=1) == query.end


def days_in(query: Query) -> float:
    return (query.end - query.start) / ONE_DAY
