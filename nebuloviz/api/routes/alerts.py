"""Alerts, and what may be done with them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.alerts import (
    AlertEntry,
    AlertHistory,
    AlertItem,
    AlertList,
    Assignable,
    Comment,
    Counted,
    Incident,
    IncidentList,
    Lesson,
    Lessons,
    Note,
    Owner,
    RevenueParts,
    SegmentShare,
    SegmentShares,
    Snooze,
    Split,
    Verdict,
)
from nebuloviz.api.schemas.base import Cursor, Moment, Slug, moment_from, moment_of
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter, AlertVerdict, AlertView, IncidentView, TaughtView

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]
Manager = Annotated[Asker, Depends(needs(Permission.ALERTS_MANAGE))]
AlertId = Annotated[int, Path(ge=1, le=MAX_ID)]


def which_alerts(
    state: Annotated[list[Literal["open", "acknowledged", "snoozed", "resolved"]], Parameter(default_factory=list)],
    severity: Annotated[list[Literal["low", "medium", "high", "critical"]], Parameter(default_factory=list)],
    metric: Annotated[list[Slug], Parameter(default_factory=list, max_length=20)],
    series: Annotated[str, Parameter(max_length=500, description="Any part of the series' text.")] = "",
    start: Annotated[
        Moment | None, Parameter(description="Alerts that end after this; without an offset it is in UTC.")
    ] = None,
    end: Annotated[
        Moment | None, Parameter(description="Alerts that begin before this; without an offset it is in UTC.")
    ] = None,
) -> AlertFilter:
    """The alerts that a list's parameters ask for."""
    return AlertFilter(
        states=tuple(state),
        severities=tuple(severity),
        metrics=tuple(metric),
        series=series,
        start=moment_of("start", start),
        end=moment_of("end", end),
    )


Which = Annotated[AlertFilter, Depends(which_alerts)]
Limit = Annotated[int, Parameter(ge=1, le=500)]


@router.get("", summary="Alerts, newest first")
async def alerts(asker: Reader, which: Which, cursor: Cursor = None, limit: Limit = 50) -> AlertList:
    page = await asker.ask(asker.services.alerts.list, which, cursor, limit)
    return AlertList(items=[AlertItem.model_validate(item) for item in page.items], next=page.next_cursor)


@router.get("/incidents", summary="Incidents, newest first")
async def incidents(asker: Reader, which: Which, cursor: Cursor = None, limit: Limit = 50) -> IncidentList:
    """Those of which an alert is asked for, each with all its alerts."""
    page = await asker.ask(asker.services.alerts.incidents, which, cursor, limit)
    return IncidentList(items=[_incident(item) for item in page.items], next=page.next_cursor)


@router.get("/incidents/{incident_id}", summary="One incident")
async def incident(asker: Reader, incident_id: AlertId) -> Incident:
    return _incident(await asker.ask(asker.services.alerts.incident, incident_id))


@router.get("/taught", summary="What the detectors were taught")
async def taught(asker: Reader) -> Lessons:
    """All verdicts on alerts that have not been taken back, newest first."""
    found = await asker.ask(asker.services.alerts.taught)
    return Lessons(items=[_lesson(item) for item in found])


@router.get("/{alert_id}", summary="One alert")
async def alert(asker: Reader, alert_id: AlertId, response: Response) -> AlertItem:
    return _versioned(response, await asker.ask(asker.services.alerts.get, alert_id))


@router.get("/{alert_id}/history", summary="What happened to an alert")
async def alert_history(asker: Reader, alert_id: AlertId) -> AlertHistory:
    entries = await asker.ask(asker.services.alerts.history, alert_id)
    return AlertHistory(items=[AlertEntry.model_validate(entry) for entry in entries])


@router.get("/{alert_id}/segments", summary="The segments that an alert comes from")
async def alert_segments(
    asker: Reader, alert_id: AlertId, limit: Annotated[int, Parameter(ge=1, le=10)] = 3
) -> SegmentShares:
    """Its parts, or what it is a part of: over every dimension in use and pairs of them, the most surprising first."""
    found = await asker.ask(asker.services.alerts.explanation, alert_id, limit)
    items = [SegmentShare.model_validate(cause) for cause in found.causes]
    return SegmentShares(items=items, unexplained=found.unexplained)


@router.get("/{alert_id}/split", summary="What moved revenue at an alert's time")
async def alert_split(asker: Reader, alert_id: AlertId) -> Split:
    """Volume, price and mix, which add up to the difference from the same hours before. `null` where nothing can be compared."""
    found = await asker.ask(asker.services.alerts.split, alert_id)
    return Split(split=found and RevenueParts.model_validate(found))


@router.get("/{alert_id}/counted", summary="What an alert's time counts by now")
async def alert_counted(asker: Reader, alert_id: AlertId) -> Counted:
    """The figure of the window that was judged: late sales may have changed it since. `null` for alerts on sale lines."""
    return Counted(counted=await asker.ask(asker.services.alerts.counted, alert_id))


@router.post("/{alert_id}/acknowledge", summary="Say that somebody looks after it")
async def acknowledge_alert(
    asker: Manager, alert_id: AlertId, body: Note, if_match: IfMatch, response: Response
) -> AlertItem:
    """Once more adds another note. 409 where it is resolved already."""
    return _versioned(response, await asker.act(asker.services.alerts.acknowledge, alert_id, body.note, if_match))


@router.post("/{alert_id}/resolve", summary="Close it")
async def resolve_alert(
    asker: Manager, alert_id: AlertId, body: Note, if_match: IfMatch, response: Response
) -> AlertItem:
    """409 where it is resolved already."""
    return _versioned(response, await asker.act(asker.services.alerts.resolve, alert_id, body.note, if_match))


@router.post("/{alert_id}/reopen", summary="Open it again")
async def reopen_alert(
    asker: Manager, alert_id: AlertId, body: Note, if_match: IfMatch, response: Response
) -> AlertItem:
    """From then on it is resolved by hand alone. 409 where it is not resolved."""
    return _versioned(response, await asker.act(asker.services.alerts.reopen, alert_id, body.note, if_match))


@router.post("/{alert_id}/snooze", summary="Put it away for a while")
async def snooze_alert(
    asker: Manager, alert_id: AlertId, body: Snooze, if_match: IfMatch, response: Response
) -> AlertItem:
    """It is open again at `until`, within the next 90 days. 409 where it is resolved already."""
    until = moment_from("until", body.until)
    return _versioned(response, await asker.act(asker.services.alerts.snooze, alert_id, until, body.reason, if_match))


@router.get("/{alert_id}/assignable", summary="Who may look after it")
async def assignable_users(asker: Manager, alert_id: AlertId) -> Assignable:
    return Assignable(items=list(await asker.ask(asker.services.alerts.assignable, alert_id)))


@router.post("/{alert_id}/assign", summary="Give it to somebody")
async def assign_alert(
    asker: Manager, alert_id: AlertId, body: Owner, if_match: IfMatch, response: Response
) -> AlertItem:
    """409 where it is resolved already."""
    return _versioned(response, await asker.act(asker.services.alerts.assign, alert_id, body.owner, if_match))


@router.post("/{alert_id}/comment", summary="Add to its history")
async def comment_on_alert(asker: Manager, alert_id: AlertId, body: Comment, response: Response) -> AlertItem:
    return _versioned(response, await asker.act(asker.services.alerts.comment, alert_id, body.text))


@router.put("/{alert_id}/verdict", summary="Say what it was")
async def judge_alert(
    asker: Manager, alert_id: AlertId, body: Verdict, if_match: IfMatch, response: Response
) -> AlertItem:
    """It takes the place of what was said before. All but a real one resolve the alert; the detectors go by it from this hour on."""
    said = AlertVerdict(body.verdict, body.reason, moment_of("until", body.until))
    done = await asker.act(asker.services.alerts.judge, alert_id, said, body.note, if_match)
    return _versioned(response, done)


@router.delete("/{alert_id}/verdict", summary="Take back what was said")
async def unjudge_alert(asker: Manager, alert_id: AlertId, if_match: IfMatch, response: Response) -> AlertItem:
    """409 where nothing was said."""
    return _versioned(response, await asker.act(asker.services.alerts.unjudge, alert_id, if_match))


def _incident(of: IncidentView) -> Incident:
    items = [AlertItem.model_validate(item) for item in of.alerts]
    lead, start, end = of.lead.id, of.start, of.end
    return Incident(id=of.id, state=of.state, severity=of.severity, start=start, end=end, lead=lead, alerts=items)


def _lesson(of: TaughtView) -> Lesson:
    said = of.verdict
    return Lesson(
        alert=AlertItem.model_validate(of.alert),
        verdict=said.verdict,
        reason=said.reason,
        until=said.until,
        at=of.at,
        username=of.username,
        bar=of.bar,
    )


def _versioned(response: Response, of: AlertView) -> AlertItem:
    show_version(response, of.version)
    return AlertItem.model_validate(of)
