"""What watches sales, as its readers see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from nebuloviz.models import DetectorState, Expectation
from nebuloviz.services.interfaces import DetectorView

SERIES, LINES = "series", "lines"
_LEARNING = "learning"  # the version that the watch over series stores before it has trained


def views(session: Session) -> Iterator[DetectorView]:
    """Both watches, whatever series are watched. Before the first hour has been judged, the watch over series knows nothing."""
    state = DetectorState
    about = select(state.version, state.trained_at, state.scored_until).where(state.detector == SERIES)
    found = session.execute(about).one_or_none()
    if found is None:
        yield DetectorView(SERIES, "", None, None)
    else:
        version = "" if found.version == _LEARNING else found.version
        watched = _watched(session, found.scored_until)
        yield DetectorView(SERIES, version, found.trained_at, found.scored_until, watched)
    yield DetectorView(LINES, None, None, None)


def _watched(session: Session, since: datetime) -> tuple[str, ...]:
    """Series of which something is expected since then, by name. Each is found by the index: of each there are thousands of hours."""
    first = select(func.min(Expectation.series).label("series")).cte("watched", recursive=True)
    following = select(func.min(Expectation.series)).where(Expectation.series > first.c.series).scalar_subquery()
    names = first.union_all(select(following).where(first.c.series.is_not(None)))
    lately = exists().where(Expectation.series == names.c.series, Expectation.bucket >= since)
    return tuple(session.scalars(select(names.c.series).where(lately).order_by(names.c.series)))
