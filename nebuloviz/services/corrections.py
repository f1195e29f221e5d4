"""Sales that arrive late change what an alert saw: what its time counts by now, and alerts that are over because of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.detection.alerts import DAYS, HOURS
from nebuloviz.metrics.calendar import day_of
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import Alert, DayVersion
from nebuloviz.services import lease
from nebuloviz.services.alert_rows import view_of
from nebuloviz.services.alert_store import resolve
from nebuloviz.services.frames import build_frame
from nebuloviz.services.interfaces import AlertView, Frame
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK
from nebuloviz.services.watching import expectation_of

_OF_SERIES = (HOURS, DAYS)
_MOMENT = timedelta(microseconds=1)


def query_of(alert: AlertView, start: datetime, end: datetime) -> Query | None:
    """What asks how much an alert's series came to in [`start`, `end`); None where it is about single sale lines."""
    if alert.detector not in _OF_SERIES:
        return None
    filters = tuple(Filter(name, "in", (value,)) for name, value in alert.dimensions.items())
    return Query(metrics=(alert.metric,), start=start, end=end, filters=filters)


def sum_of(frame: Frame) -> float | None:
    """The one figure of such a question's answer; None where there is none."""
    found = float(frame.data[frame.query.metrics[0]].iloc[0])
    return found if math.isfinite(found) else None


class Corrections:
    """Resolves alerts that nobody has judged once late sales bring them back into what was expected.

    `step` is for the process that is elected to watch series. It measures an alert again when sales of its days have changed.
    """

    def __init__(self, database: Database, zone: ZoneInfo, *, holder: str) -> None:
        self._database = database
        self._zone = zone
        self._holder = holder
        self._seen: Mapping[int, int] = {}  # alert -> the versions of its days when it was measured last

    def step(self, now: datetime) -> None:
        """All alerts that go on, as far as sales of their days have changed since the last step."""
        with self._database.session() as session:
            going_on = (Alert.state != "resolved") & (Alert.verdict == "") & Alert.detector.in_(_OF_SERIES)
            alerts = [view_of(row) for row in session.scalars(select(Alert).where(going_on))]
            seen = {alert.id: self._version(session, alert) for alert in alerts}
            changed = [alert for alert in alerts if self._seen.get(alert.id) != seen[alert.id]]
            back = [alert.id for alert in changed if self._is_back(session, alert, now)]
        if back:
            with self._database.transaction() as session:
                if not lease.hold(session, SERIES_TASK, self._holder, now, LEASE_LIFE):
                    return
                for alert_id in back:
                    resolve(session, alert_id, now, "corrected")
        self._seen = seen

    def _version(self, session: Session, alert: AlertView) -> int:
        """Counts up when sales of the alert's days arrive."""
        first, last = self._day(alert.bucket_start), self._day(alert.bucket_end - _MOMENT)
        versions = select(func.sum(DayVersion.version)).where(DayVersion.day.between(first, last))
        return alert.version + int(session.scalar(versions) or 0)

    def _day(self, moment: datetime) -> date:
        return day_of(moment, self._zone)

    def _is_back(self, session: Session, alert: AlertView, now: datetime) -> bool:
        """Whether the window that was judged is in its range by now, and all of the alert's time as near to what was expected."""
        if not alert.expected or alert.expected_low is None or alert.expected_high is None:
            return False
        counted = self._counted(session, alert, *alert.judged, now)
        if counted is None or not alert.expected_low <= counted <= alert.expected_high:
            return False
        least, most = alert.expected_low / alert.expected, alert.expected_high / alert.expected
        for start, end, expected in self._expected(session, alert):
            counted = self._counted(session, alert, start, end, now)
            if counted is None or (expected and not least <= counted / expected <= most):
                return False
        return True

    def _counted(
        self, session: Session, alert: AlertView, start: datetime, end: datetime, now: datetime
    ) -> float | None:
        query = query_of(alert, start, end)
        return None if query is None else sum_of(build_frame(session, query, now, self._zone)[0])

    def _expected(self, session: Session, alert: AlertView) -> list[tuple[datetime, datetime, float]]:
        """What was expected of all of the alert's time where it is longer than what was judged: of hours together, of each day."""
        if (alert.bucket_start, alert.bucket_end) == alert.judged:
            return []
        table = expectation_of(alert.grain)
        inside = table.bucket.between(alert.bucket_start, alert.bucket_end - _MOMENT)
        known = select(table.bucket, table.expected).where(table.series == alert.series, inside)
        rows = session.execute(known.order_by(table.bucket)).all()
        if alert.detector == HOURS:
            return [(alert.bucket_start, alert.bucket_end, sum(row.expected for row in rows))]
        spans = pairwise([*(row.bucket for row in rows), alert.bucket_end])
        return [(start, end, row.expected) for (start, end), row in zip(spans, rows, strict=True)]
