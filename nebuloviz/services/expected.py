"""The range that is normal for a watched series: of single hours as the watch knows it, of longer buckets as days have kept to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.detection.series import SeriesKey
from nebuloviz.metrics.buckets import buckets
from nebuloviz.metrics.query import Query
from nebuloviz.models import Expectation
from nebuloviz.permissions import Actor
from nebuloviz.services import detectors
from nebuloviz.services.interfaces import DataService

RANGE_SPREADS = 3.0  # the range reaches so many robust standard deviations either way, as that of hours does
FEWEST_DAYS = 14  # that have ended; of fewer nobody can say how far days are from what is expected of them
LATELY = timedelta(days=91)  # how far they are is learned from so many of the newest days
_HOUR = timedelta(hours=1)
_EVER, _NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_HOURS = ["at", "expected", "low", "high"]


def expected_range(session: Session, actor: Actor, data: DataService, query: Query) -> pd.DataFrame | None:
    """What `AlertService.expected` promises.

    What was watched as it is asked for, hours or days, has a range of its own, skewed as single hours are. What adds up from many
    hours is not: its range is that of the root of the sum (whose spread hardly depends on how much is summed), as far as whole
    days of this very series were lately from their expectation. None where fewer than a fortnight of days have been expected and ended.
    """
    series = series_of(query)
    hours = None if series is None else _stored(session, series, query.start, query.end)
    if series is None or hours is None:
        return None
    found = _by_bucket(hours, query)
    if query.grain != "hour" and query.metrics[0] in detectors.METRICS_BY_HOUR:
        reach = _reach(session, actor, data, query, series)
        if reach is None:
            return None
        root = np.sqrt(found["expected"])
        found["expected_low"] = np.maximum(root - reach, 0.0) ** 2
        found["expected_high"] = (root + reach) ** 2
    found["bucket"] = found["bucket"].dt.tz_convert(query.zone)
    return found[["bucket", "expected", "expected_low", "expected_high"]]


def series_of(query: Query) -> str | None:
    """The watched series that `query` asks for: one metric, in total or for one value of one dimension."""
    if len(query.metrics) != 1 or query.dimensions or query.grain in {None, "minute", "quarter_hour"}:
        return None
    if query.metrics[0] not in detectors.METRICS_BY_HOUR and query.grain != "day":  # ratios do not add up
        return None
    if not query.filters:
        return query.metrics[0]
    only = query.filters[0]
    if len(query.filters) > 1 or only.op != "in" or len(only.values) > 1:
        return None
    return str(SeriesKey.of(query.metrics[0], **{only.dimension: only.values[0]}))


def _stored(session: Session, series: str, start: datetime = _EVER, end: datetime = _NEVER) -> pd.DataFrame | None:
    columns = (Expectation.bucket, Expectation.expected, Expectation.low, Expectation.high)
    inside = (Expectation.series == series, Expectation.bucket >= start, Expectation.bucket < end)
    rows = session.execute(select(*columns).where(*inside).order_by(Expectation.bucket)).all()
    return pd.DataFrame(rows, columns=_HOURS) if rows else None


def _by_bucket(hours: pd.DataFrame, query: Query) -> pd.DataFrame:
    """Hours added up to the query's buckets; an hour's range stays as it is.

    A first bucket of which only the end was watched is left out: the rest of it would be missing from its sum.
    """
    starts = pd.DatetimeIndex([bucket.start for bucket in buckets(query)])
    place = starts.searchsorted(pd.DatetimeIndex(hours["at"]), side="right") - 1
    hours = hours.assign(bucket=starts[place])
    if hours["at"].iloc[0] >= max(starts[place[0]], pd.Timestamp(query.start)) + _HOUR:
        hours = hours[hours["bucket"] > starts[place[0]]]
    folded = hours.groupby("bucket")[["expected", "low", "high"]].sum().reset_index()
    return folded.rename(columns={"low": "expected_low", "high": "expected_high"})


def _reach(session: Session, actor: Actor, data: DataService, query: Query, series: str) -> float | None:
    """How far the root of a sum normally is from that of its expectation, at most; None where too little is known."""
    newest = session.scalar(select(func.max(Expectation.bucket)).where(Expectation.series == series))
    hours = None if newest is None else _stored(session, series, start=newest - LATELY)
    if hours is None:
        return None
    span = {"start": hours["at"].iloc[0].to_pydatetime(), "end": hours["at"].iloc[-1].to_pydatetime() + _HOUR}
    by_day = query.with_(**span, grain="day", comparison=None)
    days = _by_bucket(hours, by_day)
    days["bucket"] = days["bucket"].dt.tz_convert(query.zone)
    sold = data.frame(session, actor, by_day).data
    both = days.merge(sold[~sold["unfinished"].astype(bool)], on="bucket")
    both = both[both["expected"] > 0]  # a closed day says nothing
    if len(both) < FEWEST_DAYS:
        return None
    observed = both[query.metrics[0]].astype(float).clip(lower=0.0)
    return float(RANGE_SPREADS * 1.4826 * (np.sqrt(observed) - np.sqrt(both["expected"])).abs().median())
