"""The course of an alert's series as a small picture, for messages."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import LazyText, _, current, moment_range
from nebuloviz.metrics.line_figures import metric_behind
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import metric
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import AlertView, Services
from nebuloviz.services.line_picture import Course, png

#: Before and after an alert, by the grain of its buckets.
_AROUND = {
    "quarter_hour": (timedelta(days=1), timedelta(hours=2)),
    "hour": (timedelta(days=3), timedelta(hours=6)),
    "day": (timedelta(days=28), timedelta(days=1)),
}


def alert_picture(
    session: Session, actor: Actor, services: Services, alert: AlertView, now: datetime
) -> tuple[bytes, str]:
    """The picture, and a line that says what it shows; both empty where the figures are not to be had."""
    slug, grain = metric_behind(alert.metric), alert.grain
    before, after = _AROUND[grain]
    try:
        query = Query(
            metrics=(slug,),
            start=alert.bucket_start - before,
            end=max(min(alert.bucket_end + after, now), alert.bucket_end),
            grain=grain,
            time_zone=current().time_zone,
            filters=tuple(Filter(name, "in", (value,)) for name, value in alert.dimensions.items()),
        )
        frame = services.data.frame(session, actor, query).data
        expected = services.alerts.expected(session, actor, query)
    except NebuloVizError:  # a message is worth sending without a picture
        return b"", ""
    frame = frame[~frame["unfinished"].astype(bool)]
    if expected is not None:
        frame = frame.merge(expected, on="bucket", how="left")
    nothing = np.full(len(frame), np.nan)
    low, high = (
        frame[name].to_numpy(dtype=float) if name in frame else nothing for name in ("expected_low", "expected_high")
    )
    inside = (frame["bucket"] >= alert.bucket_start) & (frame["bucket"] < alert.bucket_end)
    picture = png(Course(frame[slug].to_numpy(dtype=float), low, high, np.flatnonzero(inside).tolist()))
    when = moment_range(query.start, query.end)
    return picture, _words(metric(slug).label, grain, when, banded=expected is not None)


def _words(name: LazyText, grain: Grain, when: str, *, banded: bool) -> str:
    if grain == "day":
        banded_words, words = (
            _("{metric} by day, {when}; the band is what was expected."),
            _("{metric} by day, {when}."),
        )
    elif grain == "quarter_hour":
        banded_words, words = (
            _("{metric} by quarter hour, {when}; the band is what was expected."),
            _("{metric} by quarter hour, {when}."),
        )
    else:
        banded_words, words = (
            _("{metric} by hour, {when}; the band is what was expected."),
            _("{metric} by hour, {when}."),
        )
    return (banded_words if banded else words).format(metric=name, when=when)
