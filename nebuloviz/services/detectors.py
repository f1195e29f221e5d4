"""What watches sales, as its readers see it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import DAYS, HOURS, LINES
from nebuloviz.models import DetectorState, WatchedSeries
from nebuloviz.services.interfaces import DetectorView, WatchedView

LEARNING = "learning"  # the version that a watch stores before it has trained
METRICS_BY_HOUR = frozenset({"revenue", "orders", "units", "lines"})


def views(session: Session) -> Iterator[DetectorView]:
    """All watches, whatever series are watched. Before its first hour or day has been judged, a watch knows nothing.

    Sale lines are judged one by one, as they come, so nothing is known of up to when they are.
    """
    for name in (HOURS, DAYS, LINES):
        about = select(DetectorState.version, DetectorState.trained_at, DetectorState.scored_until)
        found = session.execute(about.where(DetectorState.detector == name)).one_or_none()
        if found is None:
            yield DetectorView(name, "", None, None)
        else:
            version = "" if found.version == LEARNING else found.version
            judged_until = None if name == LINES else found.scored_until
            yield DetectorView(name, version, found.trained_at, judged_until, _watched(session, name))


def _watched(session: Session, detector: str) -> tuple[WatchedView, ...]:
    own = select(WatchedSeries).where(WatchedSeries.detector == detector).order_by(WatchedSeries.series)
    return tuple(WatchedView(row.series, row.grain, row.since) for row in session.scalars(own))
