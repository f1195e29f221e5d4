"""What watches sales, as its readers see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import DAYS, HOURS
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import DetectorState, Expectation
from nebuloviz.services.interfaces import DetectorView

LINES = "lines"
LEARNING = "learning"  # the version that a watch stores before it has trained
METRICS_BY_HOUR = frozenset({"revenue", "orders", "units", "lines"})
_A_DAY = timedelta(hours=25)  # at the longest


def views(session: Session) -> Iterator[DetectorView]:
    """All watches, whatever series are watched. Before its first hour or day has been judged, a watch knows nothing."""
    yield _of_buckets(session, HOURS, by_day=False)
    yield _of_buckets(session, DAYS, by_day=True)
    yield DetectorView(LINES, None, None, None)


def _of_buckets(session: Session, name: str, *, by_day: bool) -> DetectorView:
    state = DetectorState
    about = select(state.version, state.trained_at, state.scored_until).where(state.detector == name)
    found = session.execute(about).one_or_none()
    if found is None:
        return DetectorView(name, "", None, None)
    version = "" if found.version == LEARNING else found.version
    # Of a day something is known to have been expected once it is over
    watched = _watched(session, found.scored_until - (_A_DAY if by_day else timedelta()))
    own = tuple(series for series in watched if (SeriesKey.parse(series).metric in METRICS_BY_HOUR) != by_day)
    return DetectorView(name, version, found.trained_at, found.scored_until, own)


def _watched(session: Session, since: datetime) -> tuple[str, ...]:
    """Series of which something is expected since then, by name. Each is found by the index: of each there are thousands of hours."""
    first = select(func.min(Expectation.series).label("series")).cte("watched", recursive=True)
    following = select(func.min(Expectation.series)).where(Expectation.series > first.c.series).scalar_subquery()
    names = first.union_all(select(following).where(first.c.series.is_not(None)))
    lately = exists().where(Expectation.series == names.c.series, Expectation.bucket >= since)
    return tuple(session.scalars(select(names.c.series).where(lately).order_by(names.c.series)))
