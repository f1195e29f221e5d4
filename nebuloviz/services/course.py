"""The course of an alert's series as a small picture, for messages."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, moment_range
from nebuloviz.metrics.line_figures import metric_behind
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import metric
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import AlertView, Services
from nebuloviz.services.line_picture import Course, png

BEFORE, AFTER = timedelta(days=3), timedelta(hours=6)


def course_of(session: Session, actor: Actor, services: Services, alert: AlertView, now: datetime) -> tuple[bytes, str]:
    """The picture, and a line that says what it shows; both empty where the figures are not to be had."""
    slug = metric_behind(alert.metric)
    try:
        query = Query(
            metrics=(slug,),
            start=alert.bucket_start - BEFORE,
            end=max(min(alert.bucket_end + AFTER, now), alert.bucket_end),
            grain="hour",
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
    words = _("{metric} by hour, {when}; the band is what was expected.", metric=metric(slug).label, when=when)
    return picture, words if expected is not None else _(
        "{metric} by hour, {when}.", metric=metric(slug).label, when=when
    )
