"""The rules at work: once a bucket has closed, each rule that is on judges it, and its alerts are written.

In the process that is elected to watch series. What a rule found and how far it has judged are stored in one transaction, so no
bucket is judged twice and no alert raised twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS, Finding
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.lessons import Lesson, is_expected, lets_pass
from nebuloviz.detection.registry import series_detector
from nebuloviz.models import AlertRule
from nebuloviz.observability import DETECTOR_SECONDS, timed
from nebuloviz.services import lease
from nebuloviz.services.alert_store import apply, open_alerts
from nebuloviz.services.feedback import labels, lessons
from nebuloviz.services.interfaces import RuleDraft
from nebuloviz.services.rule_series import WatchedCourse, bucket_before, closed_until, detector_of, watched_courses
from nebuloviz.services.rules import draft_of
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK
from nebuloviz.services.watching import LOOK_BACK

_log = logging.getLogger(__name__)


class RuleWatcher:
    """`step` is for the process that is elected to watch series, when all sales of closed hours should be there."""

    def __init__(self, database: Database, calendar: Calendar, holder: str) -> None:
        self._database = database
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.zone)
        self._holder = holder

    def step(self, now: datetime) -> None:
        """Judge what has closed since, of each rule by itself: one that fails says so, and holds no other up."""
        for rule_id in self._due(now):
            try:
                self._judge(rule_id, now)
            except DBAPIError:
                raise
            except Exception as error:  # noqa: BLE001 - a detector of somebody's own may fail in any way
                _log.exception("rule %d cannot judge", rule_id)
                self._note(rule_id, f"{type(error).__name__}: {error}", now)

    def _due(self, now: datetime) -> list[int]:
        with self._database.session() as session:
            rows = session.execute(
                select(AlertRule.id, AlertRule.grain, AlertRule.judged_until).where(AlertRule.enabled)
            ).all()
        closed = {grain: closed_until(grain, now, self._zone) for grain in {row.grain for row in rows}}
        return [row.id for row in rows if row.judged_until is None or row.judged_until < closed[row.grain]]

    def _judge(self, rule_id: int, now: datetime) -> None:
        with self._database.session() as session:
            row = session.get(AlertRule, rule_id)
            if row is None:
                return
            draft, version = draft_of(row), row.version
            end = closed_until(draft.grain, now, self._zone)
            start = self._start(draft, row.judged_until, end)
            detector = series_detector(draft.detector)(parameters=dict(draft.parameters))
            courses = watched_courses(session, draft, start, end, self._calendar, detector.memory_weeks)
            own, others = lessons(session, detector_of(draft, rule_id), now), lessons(session, HOURS, now)
            others = (*others, *labels(session, now))
        found: list[tuple[WatchedCourse, list[Finding | None]]] = []
        for each in (course.taught((*own, *others)) for course in courses):
            with timed(DETECTOR_SECONDS, detector="rules", step="score"):
                judged = each.judged_by(detector)
            found.append((each, each.findings(judged, detector_of(draft, rule_id))))
        with self._database.transaction() as session:
            if not lease.hold(session, SERIES_TASK, self._holder, now, LEASE_LIFE):
                return
            locked = session.get(AlertRule, rule_id, with_for_update=True)
            if locked is None or locked.version != version or not locked.enabled:
                return  # it was changed meanwhile, and is due again as it is now
            _write(session, detector_of(draft, rule_id), found, own, (*own, *others))
            locked.judged_until, locked.problem = end, ""

    def _start(self, draft: RuleDraft, judged_until: datetime | None, end: datetime) -> datetime:
        """Where to go on: after a long rest not at the very beginning of it."""
        if judged_until is None:
            return bucket_before(draft.grain, end, self._zone)
        return max(judged_until, closed_until(draft.grain, end - LOOK_BACK, self._zone))

    def _note(self, rule_id: int, problem: str, now: datetime) -> None:
        with self._database.transaction() as session:
            row = session.get(AlertRule, rule_id)
            if row is not None:
                row.problem = problem[:500]
                row.judged_until = closed_until(row.grain, now, self._zone)


def _write(
    session: Session,
    detector: str,
    found: Sequence[tuple[WatchedCourse, list[Finding | None]]],
    own: Sequence[Lesson],
    everything: Sequence[Lesson],
) -> None:
    """Take the alerts of all series one bucket further at a time."""
    if not found:
        return
    first = found[0][0]
    edges = first.edges[first.course.asked :]
    going_on = open_alerts(session, detector, edges[0])
    for place, end in enumerate(edges[1:]):
        findings = [each[place] for _course, each in found]
        told = {
            each.key: each
            for each in findings
            if each is not None and lets_pass(own, each, 0.0) and not is_expected(everything, each)
        }
        apply(session, going_on, told, end)
