"""What watches sales, and what it watches."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Cursor, part_of
from nebuloviz.api.schemas.detectors import DetectorItem, DetectorList, WatchedItem, WatchedList
from nebuloviz.permissions import Permission

router = APIRouter(prefix="/detectors", tags=["alerts"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]


@router.get("", summary="What watches sales")
async def detectors(asker: Reader) -> DetectorList:
    """With which model, trained when, and up to when it has judged."""
    found = await asker.ask(asker.services.alerts.detectors)
    items = [DetectorItem.model_validate({**vars(view), "watched": len(view.watched)}) for view in found]
    return DetectorList(items=items)


@router.get("/{name}/series", summary="The series that a detector watches")
async def watched_series(
    asker: Reader,
    name: Annotated[Literal["series", "days", "lines"], Path()],
    cursor: Cursor = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
) -> WatchedList:
    """By name. Sale lines are watched one by one, so of `lines` there are none."""
    found = await asker.ask(asker.services.alerts.detectors)
    watched = next(view.watched for view in found if view.name == name)
    items, following = part_of(watched, cursor, limit)
    return WatchedList(items=[WatchedItem.model_validate(each) for each in items], next=following)
