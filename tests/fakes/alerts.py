"""Alerts in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, InvalidInput, NebuloVizError, NotFound
from nebuloviz.metrics.buckets import buckets
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import (
    EXPECTED_REASONS,
    OTHER,
    VERDICTS,
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertService,
    AlertVerdict,
    AlertView,
    Contribution,
    DetectorView,
    Explanation,
    IncidentPage,
    IncidentView,
    RevenueSplit,
    SegmentPart,
    TaughtView,
    WatchedView,
)
from tests.fakes.sales import NOW


def alert(number: int = 1, **changes: object) -> AlertView:
    """An open alert about an hour's revenue of Dairy, two hours before `NOW`."""
    start = NOW.replace(minute=0) - timedelta(hours=2)
    usual = AlertView(
        id=number,
        detector="forest",
        series="revenue|category=Dairy",
        metric="revenue",
        dimensions={"category": "Dairy"},
        bucket_start=start,
        bucket_end=start + timedelta(hours=1),
        observed=12.5,
        expected=40.0,
        expected_low=25.0,
        expected_high=60.0,
        score=0.81,
        severity="high",
        state="open",
        created_at=start + timedelta(hours=1, minutes=1),
        updated_at=start + timedelta(hours=1, minutes=1),
        version=1,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the fields' own types hold


@dataclass
class FakeAlertService(AlertService):
    """Keeps `alerts` in memory; every change adds to the alert's history."""

    alerts: dict[int, AlertView] = field(default_factory=lambda: {1: alert()})
    events: dict[int, list[AlertHistoryEntry]] = field(default_factory=dict)
    failure: NebuloVizError | None = None
    people: tuple[str, ...] = ("ann", "bob")
    lessons: dict[int, TaughtView] = field(default_factory=dict)
    late: dict[int, float | None] = field(default_factory=dict)  # what an alert's time counts by now
    watches: Sequence[DetectorView] = (
        DetectorView("series", "forest-1", NOW, NOW, (WatchedView("revenue", "hour", NOW),)),
        DetectorView("lines", "", None, None),
    )
    now: datetime = NOW

    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        if self.failure:
            raise self.failure
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise InvalidInput("This is not a cursor.")
        found = sorted(self._visible(actor), key=lambda item: -item.id)
        found = [item for item in found if _wanted(item, which or AlertFilter())]
        first = int(cursor or 0)
        following = str(first + limit) if first + limit < len(found) else None
        return AlertPage(tuple(found[first : first + limit]), following)

    def _visible(self, actor: Actor) -> Sequence[AlertView]:
        scope = [Filter(dimension, "in", values or (OTHER,)) for dimension, values in actor.scope]
        return [item for item in self.alerts.values() if all(_passes(item, one) for one in scope)]

    def incidents(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> IncidentPage:
        matching = self.list(session, actor, which, None, 10**6).items
        wanted = sorted({item.incident_id or item.id for item in matching}, reverse=True)
        if cursor is not None:
            wanted = [number for number in wanted if number < int(cursor)]
        items = tuple(self.incident(session, actor, number) for number in wanted[:limit])
        return IncidentPage(items, str(wanted[limit - 1]) if len(wanted) > limit else None)

    def incident(self, session: Session, actor: Actor, incident_id: int) -> IncidentView:
        if self.failure:
            raise self.failure
        members = [item for item in self._visible(actor) if (item.incident_id or item.id) == incident_id]
        if not members:
            raise NotFound(f"There is no incident {incident_id}.")
        return IncidentView(incident_id, tuple(sorted(members, key=lambda item: item.id)))

    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        if self.failure:
            raise self.failure
        if self.alerts.get(alert_id) not in self._visible(actor):
            raise NotFound(f"There is no alert {alert_id}.")
        return self.alerts[alert_id]

    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        raised = AlertHistoryEntry(self.get(session, actor, alert_id).created_at, "raised", "", "")
        return [raised, *self.events.get(alert_id, [])]

    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        return self._moved(item, actor, "acknowledged", note, version, owner=item.owner or actor.username)

    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._moved(self.get(session, actor, alert_id), actor, "resolved", note, version)

    def reopen(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if item.state != "resolved":
            raise Conflict("It goes on.")
        return self._moved(item, actor, "reopened", note, version, always=True, state="open")

    def counted(self, session: Session, actor: Actor, alert_id: int) -> float | None:
        return self.late.get(alert_id, self.get(session, actor, alert_id).observed)

    def snooze(
        self, session: Session, actor: Actor, alert_id: int, until: datetime, reason: str, version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if not reason.strip() or not self.now < until <= self.now + timedelta(days=90):
            raise InvalidInput("Say why, and for how long.")
        return self._moved(item, actor, "snoozed", reason, version, until=until, snoozed_until=until)

    def assign(
        self, session: Session, actor: Actor, alert_id: int, owner: str, version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if owner and owner not in self.people:
            raise InvalidInput("There is nobody of that name.")
        return self._moved(
            item, actor, "assigned" if owner else "released", owner, version, state=item.state, owner=owner
        )

    def comment(self, session: Session, actor: Actor, alert_id: int, text: str) -> AlertView:
        item = self.get(session, actor, alert_id)
        self._note(item, actor, "commented", text, needed=True)
        return item

    def judge(
        self,
        session: Session,
        actor: Actor,
        alert_id: int,
        said: AlertVerdict,
        note: str = "",
        version: int | None = None,
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        expected, until = said.verdict == "expected", said.until
        if (
            said.verdict not in VERDICTS
            or said.reason not in (EXPECTED_REASONS if expected else ("",))
            or (until is not None and not (expected and self.now < until <= self.now + timedelta(days=90)))
        ):
            raise InvalidInput("This is not a verdict.")
        over: dict[str, Any] = {"state": item.state, "snoozed_until": item.snoozed_until}
        if said.verdict != "real":
            over = {"state": "resolved"}
        kind = said.reason or said.verdict
        judged = self._moved(item, actor, kind, note, version, until=until, always=True, verdict=said.verdict, **over)
        self.lessons[alert_id] = TaughtView(judged, said, NOW, actor.username, 100.0 if kind == "false_alarm" else 1.0)
        return judged

    def unjudge(self, session: Session, actor: Actor, alert_id: int, version: int | None = None) -> AlertView:
        item = self.get(session, actor, alert_id)
        if not item.verdict:
            raise Conflict("Nobody has judged it.")
        kept: dict[str, Any] = {"state": item.state, "snoozed_until": item.snoozed_until}
        back = self._moved(item, actor, "unjudged", "", version, always=True, verdict="", **kept)
        del self.lessons[alert_id]
        return back

    def taught(self, session: Session, actor: Actor) -> Sequence[TaughtView]:
        seen = {item.id for item in self._visible(actor)}
        return [lesson for lesson in reversed(self.lessons.values()) if lesson.alert.id in seen]

    def assignable(self, session: Session, actor: Actor, alert_id: int) -> Sequence[str]:
        self.get(session, actor, alert_id)
        return self.people

    def _moved(
        self,
        item: AlertView,
        actor: Actor,
        kind: str,
        note: str,
        version: int | None,
        *,
        until: datetime | None = None,
        always: bool = False,
        **changes: object,
    ) -> AlertView:
        if (item.state == "resolved" and not always) or (version is not None and version != item.version):
            raise Conflict("Somebody has changed this alert meanwhile.")
        self._note(item, actor, kind, note, until)
        usual: dict[str, object] = {"state": kind, "version": item.version + 1, "snoozed_until": None}
        moved = replace(item, **(usual | changes))  # type: ignore[arg-type]  # the fields' own types hold
        self.alerts[item.id] = moved
        return moved

    def _note(
        self,
        item: AlertView,
        actor: Actor,
        kind: str,
        note: str,
        until: datetime | None = None,
        *,
        needed: bool = False,
    ) -> None:
        if len(note) > 2000 or "\x00" in note or (needed and not note.strip()):
            raise InvalidInput("This is not a note.")
        self.events.setdefault(item.id, []).append(AlertHistoryEntry(NOW, kind, actor.username, note, until))

    def explanation(self, session: Session, actor: Actor, alert_id: int, limit: int = 3) -> Explanation:
        self.get(session, actor, alert_id)
        web = (SegmentPart("channel", "web"), SegmentPart("store", "305"))
        found = (
            Contribution(web, 2.0, 20.0, 0.65, 9.5),
            Contribution((SegmentPart("channel", "shop"),), 8.0, 15.0, 0.25, 3.2),
        )
        return Explanation(found[:limit])

    def split(self, session: Session, actor: Actor, alert_id: int) -> RevenueSplit | None:
        self.get(session, actor, alert_id)
        return RevenueSplit(12.5, 40.0, 5.0, 20.0, -30.0, 4.0, -1.5)

    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        plain = len(query.metrics) == 1 and not query.dimensions and not query.filters and not actor.scope
        if query.grain not in {"hour", "day"} or query.metrics[0] not in {"revenue", "orders", "units"} or not plain:
            return None
        starts = [bucket.start.astimezone(query.zone) for bucket in buckets(query)]
        return pd.DataFrame({"bucket": starts, "expected": 250.0, "expected_low": 180.0, "expected_high": 320.0})

    def detectors(self, session: Session, actor: Actor) -> Sequence[DetectorView]:
        if self.failure:
            raise self.failure
        return self.watches

    def counts(self, session: Session, actor: Actor, which: AlertFilter | None = None) -> Mapping[str, int]:
        if self.failure:
            raise self.failure
        found = Counter(item.state for item in self._visible(actor) if _wanted(item, which or AlertFilter()))
        return {state: found[state] for state in ("open", "acknowledged", "snoozed", "resolved")}


def _wanted(item: AlertView, which: AlertFilter) -> bool:
    return (
        (not which.states or item.state in which.states)
        and (not which.severities or item.severity in which.severities)
        and (not which.metrics or item.metric in which.metrics)
        and which.series.casefold() in item.series.casefold()
        and (which.start is None or item.bucket_end > which.start)
        and (which.end is None or item.bucket_start < which.end)
        and all(_passes(item, one) for one in which.filters)
    )


def _passes(item: AlertView, one: Filter) -> bool:
    return (item.dimensions.get(one.dimension) in one.values) == (one.op == "in")
