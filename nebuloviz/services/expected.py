"""The range that is normal for a watched series: of single hours as the watch knows it, of longer buckets as days have kept to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.detection.series import FloatArray, SeriesKey
from nebuloviz.metrics.buckets import buckets
from nebuloviz.metrics.query import Grain, Query
from nebuloviz.models import Expectation
from nebuloviz.permissions import Actor
from nebuloviz.services import detectors
from nebuloviz.services.interfaces import DataService
from nebuloviz.services.watching import expectation_of

RANGE_SPREADS = 3.0  # the range reaches so many robust standard deviations either way, as that of hours does
MIN_DAYS = 14  # that have ended; of fewer nobody can say how far days are from what is expected of them
LATELY = timedelta(days=91)  # how far they are is learned from so many of the newest days
_HOUR = timedelta(hours=1)
_OWN_RANGES = ("quarter_hour", "hour")
_MAX_KEPT = 2000
#: What was expected changes by the hour, while pages ask with every sale: so long it is not read again.
_KEPT_SECONDS, _MAX_HOURS = 20.0, 200


@dataclass(frozen=True, slots=True)
class _Hours:
    """What was expected of a series' hours, or days: when each began (seconds since 1970), and its range. In the order of time."""

    starts: FloatArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


class ExpectedRanges:
    """What `AlertService.expected` promises. Keeps how far a series' days normally are from what is expected, until an hour closes.

    What the watch has written is known `_KEPT_SECONDS` later at most; `clock` gives seconds that never go back.
    """

    def __init__(self, data: DataService, clock: Callable[[], float] = time.monotonic) -> None:
        self._data = data
        self._clock = clock
        self._hours: dict[tuple[object, ...], tuple[float, _Hours | None]] = {}
        self._reaches: dict[tuple[str, str], tuple[datetime, float | None]] = {}

    def of(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        """The range that is normal for `query`.

        What was watched as it is asked for, by quarter hours, hours or days, has a range of its own, skewed as single hours are.
        What adds up from many hours is not: its range is that of the root of the sum (whose spread hardly depends on how much
        is summed), as far as whole days of this very series were lately from their expectation. None where fewer than a fortnight
        of days have been expected and ended.
        """
        series = series_of(query)
        hours = None if series is None else self._of_series(session, series, query)
        if series is None or hours is None:
            return None
        found = _by_bucket(hours, query)
        if query.grain not in _OWN_RANGES and query.metrics[0] in detectors.METRICS_BY_HOUR:
            reach = self._reach(session, actor, query, series)
            if reach is None:
                return None
            root = np.sqrt(found["expected"])
            found["expected_low"] = np.maximum(root - reach, 0.0) ** 2
            found["expected_high"] = (root + reach) ** 2
        return found

    def _of_series(self, session: Session, series: str, query: Query) -> _Hours | None:
        asked, now = (series, query.grain, query.start, query.end), self._clock()
        known = self._hours.get(asked)
        if known is None or now - known[0] > _KEPT_SECONDS:
            if len(self._hours) >= _MAX_HOURS:
                self._hours.clear()
            known = now, _stored(session, series, query.grain, query.start, query.end)
            self._hours[asked] = known
        return known[1]

    def _reach(self, session: Session, actor: Actor, query: Query, series: str) -> float | None:
        newest = session.scalar(select(func.max(Expectation.bucket)).where(Expectation.series == series))
        if newest is None:
            return None
        known = self._reaches.get((series, query.time_zone))
        if known is None or known[0] != newest:
            if len(self._reaches) >= _MAX_KEPT:
                self._reaches.clear()
            known = newest, self._learned(session, actor, query, series, newest)
            self._reaches[series, query.time_zone] = known
        return known[1]

    def _learned(self, session: Session, actor: Actor, query: Query, series: str, newest: datetime) -> float | None:
        """How far the root of a sum normally is from that of its expectation, at most; None where too little is known."""
        hours = _stored(session, series, "hour", newest - LATELY, newest + _HOUR)
        if hours is None:
            return None
        first = datetime.fromtimestamp(hours.starts[0], UTC)
        by_day = query.with_(start=first, end=newest + _HOUR, grain="day", comparison=None)
        sold = self._data.frame(session, actor, by_day).data
        both = _by_bucket(hours, by_day).merge(sold[~sold["unfinished"].astype(bool)], on="bucket")
        both = both[both["expected"] > 0]  # a closed day says nothing
        if len(both) < MIN_DAYS:
            return None
        observed = both[query.metrics[0]].astype(float).clip(lower=0.0)
        return float(RANGE_SPREADS * 1.4826 * (np.sqrt(observed) - np.sqrt(both["expected"])).abs().median())


def series_of(query: Query) -> str | None:
    """The watched series that `query` asks for: one metric, in total or for one value of one dimension."""
    if len(query.metrics) != 1 or query.dimensions or query.grain in {None, "minute"}:
        return None
    if query.metrics[0] not in detectors.METRICS_BY_HOUR and query.grain != "day":  # ratios do not add up
        return None
    if not query.filters:
        return query.metrics[0]
    only = query.filters[0]
    if len(query.filters) > 1 or only.op != "in" or len(only.values) > 1:
        return None
    return str(SeriesKey.of(query.metrics[0], **{only.dimension: only.values[0]}))


def _stored(session: Session, series: str, grain: Grain | None, start: datetime, end: datetime) -> _Hours | None:
    table = expectation_of(grain or "")
    columns = (table.bucket, table.expected, table.low, table.high)
    inside = (table.series == series, table.bucket >= start, table.bucket < end)
    rows = session.execute(select(*columns).where(*inside).order_by(table.bucket)).all()
    if not rows:
        return None
    return _Hours(*np.array([(at.timestamp(), *sums) for at, *sums in rows], dtype=float).T)


def _by_bucket(hours: _Hours, query: Query) -> pd.DataFrame:
    """Hours added up to the query's buckets; an hour's range stays as it is.

    A first bucket of which only the end was watched is left out: the rest of it would be missing from its sum.
    """
    spans = buckets(query)
    starts = np.array([span.start.timestamp() for span in spans])
    place = np.searchsorted(starts, hours.starts, side="right") - 1
    there = np.unique(place)
    if hours.starts[0] >= max(starts[place[0]], query.start.timestamp()) + _HOUR.total_seconds():
        there = there[1:]
    sums = {
        name: np.bincount(place, weights=values)[there]
        for name, values in (("expected", hours.expected), ("expected_low", hours.low), ("expected_high", hours.high))
    }
    at = pd.DatetimeIndex([spans[number].start for number in there], tz="UTC").tz_convert(query.zone)
    return pd.DataFrame({"bucket": at, **sums})
