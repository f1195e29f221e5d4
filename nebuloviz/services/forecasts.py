"""Forecasts from the days that a reader may see: sums by day, read as every chart reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.detection.forecast import MIN_DAYS, Outlook, Planned, lift_of, outlooks
from nebuloviz.detection.series import FloatArray
from nebuloviz.metrics.buckets import SHORTEST, Bucket, buckets
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import metric
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.calendar_rows import is_closed, planned
from nebuloviz.services.interfaces import DataService, Forecast, ForecastPoint, ForecastService, can_be_forecast
from nebuloviz.services.scope import within_scope

_HISTORY = timedelta(days=400)
_STALE = timedelta(days=7)  # without a sale for so long, nothing is said of what comes
_LONGER = 1.15  # than the shortest, a bucket of its grain is at most
MAX_AHEAD = 60
_FARTHEST = 185  # days


class DayForecasts(ForecastService):
    """Looks ahead from the whole days until now; `now` is the clock."""

    def __init__(self, data: DataService, now: Callable[[], datetime] = utc_now) -> None:
        self._data = data
        self._now = now

    @require(Permission.DATA_READ)
    def forecast(self, session: Session, actor: Actor, query: Query, ahead: int) -> Forecast | None:
        if query.dimensions or not can_be_forecast(metric(query.metrics[0]), query.grain):
            return None
        now = self._now()
        days = self._days(session, actor, query, day_of(now, query.zone))
        if len(days) <= MIN_DAYS:
            return None
        coming, today = _coming(query, now, min(ahead, MAX_AHEAD)), day_of(now, query.zone)
        asked = within_scope(query, actor).filters
        planned = _planned_days(session, asked, today - len(days[1:]) * ONE_DAY, len(days) + _FARTHEST)
        points = _points(days, coming, query, today, planned)
        if not points:
            return None
        reach = len(days) - 1 + (day_of(points[-1].end, query.zone) - today).days
        promoted = planned.promoted[len(days) - 1 : reach].any()
        return Forecast(query, points, len(days) - 1, bool(promoted and lift_of(days[:-1], planned) is None))

    def _days(self, session: Session, actor: Actor, query: Query, today: date) -> FloatArray:
        """What each day came to, up to today, which is not over; from the first one on that is known whole."""
        known = self._data.freshness(session, actor)
        if known.first_sale is None or known.last_sale is None or self._now() - known.last_sale > _STALE:
            return np.array([])
        first = max(day_of(known.first_sale, query.zone) + ONE_DAY, today - _HISTORY)
        if first >= today:
            return np.array([])
        start, end = midnight(first, query.zone), midnight(today + ONE_DAY, query.zone)
        asked = Query(query.metrics[:1], start, end, grain="day", filters=query.filters, time_zone=query.time_zone)
        found = self._data.frame(session, actor, asked).data[query.metrics[0]]
        days: FloatArray = np.nan_to_num(found.to_numpy(dtype=float))
        return days


def _coming(query: Query, now: datetime, count: int) -> tuple[Bucket, ...]:
    """The bucket under way and those after it, `count` in all."""
    length = SHORTEST[query.grain or "day"] * count * _LONGER
    return buckets(query.with_(start=now, end=now + length, comparison=None, order=None))[:count]


def _planned_days(session: Session, asked: Sequence[Filter], first: date, count: int) -> Planned:
    """What the calendar says of `count` days, of all that the filters leave; what is planned for a part of it is not counted."""
    found = Planned.nothing(count)
    for item in planned(session, first, first + (count - 1) * ONE_DAY):
        segment = Filter(item.dimension, "in", (item.value,)) if item.dimension else None
        if item.kind != "open" and (segment is None or segment in asked):
            days = found.closed if is_closed(item) else found.promoted
            days[max((item.first - first).days, 0) : (item.last - first).days + 1] = True
    return found


def _points(
    sold: FloatArray, coming: Sequence[Bucket], query: Query, today: date, planned: Planned
) -> tuple[ForecastPoint, ...]:
    """Of those of the `coming` buckets that can be told: what is over of it, and what is still to come."""
    days, running = sold[:-1], float(sold[-1])
    ends = [(day_of(bucket.start, query.zone) - today).days for bucket in coming]
    spans = [(max(0, a), (day_of(bucket.end, query.zone) - today).days) for a, bucket in zip(ends, coming, strict=True)]
    reached = [span for span in spans if span[1] <= _FARTHEST]
    over = float(days[ends[0] :].sum()) if ends[0] < 0 else 0.0
    looks = outlooks(days, reached, planned) if reached else []
    pasts = [(over, running), *[(0.0, 0.0)] * len(looks)]
    found = zip(coming, looks, pasts, strict=False)
    return tuple(_point(bucket, look, *past) for bucket, look, past in found if look is not None)


def _point(bucket: Bucket, look: Outlook, over: float, running: float) -> ForecastPoint:
    """What came in today already is the least that today can come to."""
    (low_80, high_80), (low_95, high_95) = look.ranges
    value, *ends = (over + max(each, running) for each in (look.expected, low_80, high_80, low_95, high_95))
    return ForecastPoint(bucket.start, bucket.end, value, *ends)
