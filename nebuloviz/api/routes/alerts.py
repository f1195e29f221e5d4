"""Alerts, read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas import AlertItem, AlertList, Moment, Slug
from nebuloviz.errors import InvalidInput
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter

router = APIRouter(prefix="/alerts", tags=["alerts"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]


@router.get("", summary="Alerts, newest first")
async def alerts(  # noqa: PLR0913, PLR0917 - each is a parameter of the URL
    asker: Reader,
    state: Annotated[list[Literal["open", "acknowledged", "resolved"]], Parameter(default_factory=list)],
    severity: Annotated[list[Literal["low", "medium", "high", "critical"]], Parameter(default_factory=list)],
    metric: Annotated[list[Slug], Parameter(default_factory=list, max_length=20)],
    series: Annotated[str, Parameter(max_length=500, description="Any part of the series' text.")] = "",
    start: Annotated[
        Moment | None, Parameter(description="Alerts that end after this; without an offset it is in UTC.")
    ] = None,
    end: Annotated[
        Moment | None, Parameter(description="Alerts that begin before this; without an offset it is in UTC.")
    ] = None,
    cursor: Annotated[str | None, Parameter(max_length=200, description="`next` of the page before.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=500)] = 50,
) -> AlertList:
    which = AlertFilter(
        states=tuple(state),
        severities=tuple(severity),
        metrics=tuple(metric),
        series=series,
        start=_moment("start", start),
        end=_moment("end", end),
    )
    page = await asker.ask(asker.parts.services.alerts.list, which, cursor, limit)
    return AlertList(items=[AlertItem.model_validate(item) for item in page.items], next=page.next_cursor)


@router.get("/{alert_id}", summary="One alert")
async def alert(asker: Reader, alert_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> AlertItem:
    return AlertItem.model_validate(await asker.ask(asker.parts.services.alerts.get, alert_id))


def _moment(name: str, text: str | None) -> datetime | None:
    """Aware; without an offset it is taken as UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} is no ISO 8601 time; write it like 2026-11-22T15:00:00Z.") from None
