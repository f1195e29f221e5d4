"""Alerts as their readers see them: list, life, expected range and the segments that carry a deviation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

import pandas as pd
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.detection.series import SeriesKey
from nebuloviz.errors import NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.query import Query
from nebuloviz.models import MAX_ID, Alert, AlertEvent
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services import detectors, incidents
from nebuloviz.services.alert_life import (
    AlertLife,
    Step,
    acknowledged,
    assignable,
    assigned,
    reopened,
    resolved,
    snoozed,
)
from nebuloviz.services.alert_rows import STATES, passes, view_of
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.corrections import query_of, sum_of
from nebuloviz.services.expected import ExpectedRanges
from nebuloviz.services.explaining import explain
from nebuloviz.services.feedback import Feedback, taught
from nebuloviz.services.interfaces import (
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertService,
    AlertVerdict,
    AlertView,
    AuditService,
    DataService,
    DetectorView,
    Explanation,
    IncidentPage,
    IncidentView,
    RevenueSplit,
    TaughtView,
    WatchedView,
)
from nebuloviz.services.paging import last_id, page_size
from nebuloviz.services.revenue_split import split_of
from nebuloviz.services.scope import scope_filters


class DatabaseAlerts(AlertService):
    """Alerts from the `alert` table. A reader with a row scope sees only alerts of series inside it."""

    def __init__(
        self, data: DataService, now: Callable[[], datetime] = utc_now, audit: AuditService | None = None
    ) -> None:
        self._data = data
        self._ranges = ExpectedRanges(data)
        self._now = now
        self._life = AlertLife(now, audit or DatabaseAudit(now))
        self._feedback = Feedback(self._life, now)

    @require(Permission.ALERTS_READ)
    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        limit = page_size(limit)
        which = which or AlertFilter()
        statement = select(Alert).where(*_conditions(which))
        before = None if cursor is None else last_id(cursor)
        alerts = _newest_first(session, statement, before, batch=limit + 1)
        wanted = (alert for alert in alerts if passes(alert.dimensions, (*which.filters, *scope_filters(actor))))
        found = [view_of(alert) for alert in islice(wanted, limit + 1)]
        return AlertPage(tuple(found[:limit]), str(found[limit - 1].id) if len(found) > limit else None)

    @require(Permission.ALERTS_READ)
    def incidents(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> IncidentPage:
        limit = page_size(limit)
        which, scope = which or AlertFilter(), scope_filters(actor)
        before = None if cursor is None else last_id(cursor)
        found = incidents.newest(session, select(Alert).where(*_conditions(which)), (*which.filters, *scope), before)
        ids = list(islice(found, limit + 1))
        items = incidents.views(session, ids[:limit], scope)
        return IncidentPage(tuple(items), str(ids[limit - 1]) if len(ids) > limit else None)

    @require(Permission.ALERTS_READ)
    def incident(self, session: Session, actor: Actor, incident_id: int) -> IncidentView:
        inside = 0 < incident_id <= MAX_ID
        found = incidents.views(session, [incident_id], scope_filters(actor)) if inside else []
        if not found:
            raise NotFound(_("There is no incident {number}.", number=incident_id))
        return found[0]

    @require(Permission.ALERTS_READ)
    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        return view_of(self._visible(session, actor, alert_id))

    @require(Permission.ALERTS_READ)
    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        self._visible(session, actor, alert_id)
        events = session.scalars(select(AlertEvent).where(AlertEvent.alert_id == alert_id).order_by(AlertEvent.id))
        return [AlertHistoryEntry(event.at, event.kind, event.username, event.note, event.until) for event in events]

    @require(Permission.ALERTS_MANAGE)
    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        return self._take(session, actor, alert, acknowledged(alert, actor, note), version)

    @require(Permission.ALERTS_MANAGE)
    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._take(session, actor, self._visible(session, actor, alert_id), resolved(note), version)

    @require(Permission.ALERTS_MANAGE)
    def reopen(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._take(session, actor, self._visible(session, actor, alert_id), reopened(note), version)

    @require(Permission.ALERTS_MANAGE)
    def snooze(
        self, session: Session, actor: Actor, alert_id: int, until: datetime, reason: str, version: int | None = None
    ) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        return self._take(session, actor, alert, snoozed(until, reason, self._now()), version)

    @require(Permission.ALERTS_MANAGE)
    def assign(
        self, session: Session, actor: Actor, alert_id: int, owner: str, version: int | None = None
    ) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        return self._take(session, actor, alert, assigned(session, alert, owner), version)

    @require(Permission.ALERTS_MANAGE)
    def comment(self, session: Session, actor: Actor, alert_id: int, text: str) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        self._life.comment(session, actor, alert, text)
        return view_of(alert)

    @require(Permission.ALERTS_MANAGE)
    def judge(
        self,
        session: Session,
        actor: Actor,
        alert_id: int,
        said: AlertVerdict,
        note: str = "",
        version: int | None = None,
    ) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        self._feedback.judge(session, actor, alert, said, note, version)
        return view_of(alert)

    @require(Permission.ALERTS_MANAGE)
    def unjudge(self, session: Session, actor: Actor, alert_id: int, version: int | None = None) -> AlertView:
        alert = self._visible(session, actor, alert_id)
        self._feedback.unjudge(session, actor, alert, version)
        return view_of(alert)

    @require(Permission.ALERTS_READ)
    def taught(self, session: Session, actor: Actor) -> Sequence[TaughtView]:
        return taught(session, scope_filters(actor))

    @require(Permission.ALERTS_MANAGE)
    def assignable(self, session: Session, actor: Actor, alert_id: int) -> Sequence[str]:
        return assignable(session, self._visible(session, actor, alert_id))

    @require(Permission.ALERTS_READ)
    def explanation(self, session: Session, actor: Actor, alert_id: int, limit: int = 3) -> Explanation:
        return explain(session, actor, self._data, view_of(self._visible(session, actor, alert_id)), limit)

    @require(Permission.ALERTS_READ)
    def split(self, session: Session, actor: Actor, alert_id: int) -> RevenueSplit | None:
        return split_of(session, actor, self._data, view_of(self._visible(session, actor, alert_id)))

    @require(Permission.ALERTS_READ)
    def counted(self, session: Session, actor: Actor, alert_id: int) -> float | None:
        alert = view_of(self._visible(session, actor, alert_id))
        query = query_of(alert, *alert.judged)
        return None if query is None else sum_of(self._data.frame(session, actor, query))

    @require(Permission.ALERTS_READ)
    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        if actor.scope:  # a scoped reader sees other sums than those that were watched
            return None
        return self._ranges.of(session, actor, query)

    @require(Permission.ALERTS_READ)
    def counts(self, session: Session, actor: Actor, which: AlertFilter | None = None) -> dict[str, int]:
        which = which or AlertFilter()
        filters = (*which.filters, *scope_filters(actor))
        if not filters:
            rows = session.execute(
                select(Alert.state, func.count()).where(*_conditions(which)).group_by(Alert.state)
            ).all()
            return dict.fromkeys(STATES, 0) | {state: int(n) for state, n in rows}
        found = dict.fromkeys(STATES, 0)
        kinds = (Alert.state, Alert.dimensions)  # of which there are few, however many alerts there have been
        for state, dimensions, n in session.execute(
            select(*kinds, func.count()).where(*_conditions(which)).group_by(*kinds)
        ):
            if passes(dimensions, filters):
                found[state] += int(n)
        return found

    @require(Permission.ALERTS_READ)
    def detectors(self, session: Session, actor: Actor) -> Sequence[DetectorView]:
        scope = scope_filters(actor)

        def visible(watched: WatchedView) -> bool:
            return passes(json.dumps(dict(SeriesKey.parse(watched.series).dimensions)), scope)

        return [
            replace(view, watched=tuple(filter(visible, view.watched)) if scope else view.watched)
            for view in detectors.views(session)
        ]

    def _visible(self, session: Session, actor: Actor, alert_id: int) -> Alert:
        alert = session.get(Alert, alert_id) if 0 < alert_id <= MAX_ID else None
        if alert is None or not passes(alert.dimensions, scope_filters(actor)):
            raise NotFound(_("There is no alert {number}.", number=alert_id))
        return alert

    def _take(self, session: Session, actor: Actor, alert: Alert, step: Step, version: int | None) -> AlertView:
        self._life.take(session, actor, alert, step, version)
        return view_of(alert)


def _conditions(which: AlertFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, wanted in (
        (Alert.state, which.states),
        (Alert.severity, which.severities),
        (Alert.metric, which.metrics),
    ):
        if wanted:
            conditions.append(column.in_(wanted))
    if which.series:
        conditions.append(Alert.series.icontains(which.series, autoescape=True))
    if which.start:
        conditions.append(Alert.bucket_end > which.start)
    if which.end:
        conditions.append(Alert.bucket_start < which.end)
    return conditions


def _newest_first(session: Session, statement: Select[Alert], before: int | None, batch: int) -> Iterator[Alert]:
    while True:
        page = statement if before is None else statement.where(Alert.id < before)
        rows = session.scalars(page.order_by(Alert.id.desc()).limit(batch)).all()
        yield from rows
        if len(rows) < batch:
            return
        before = rows[-1].id
