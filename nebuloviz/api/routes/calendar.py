"""The business calendar: closures, promotions, public holidays and opening hours."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.calendar import (
    Agenda,
    Country,
    CountryList,
    Day,
    EntryBody,
    EntryItem,
    EntryList,
    Opening,
    PlannedItem,
    WeekHours,
)
from nebuloviz.api.versions import IfMatch, show_version
from nebuloviz.detection.opening import OpeningHours
from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import CalendarDraft, CalendarEntryView
from nebuloviz.services.notification_rules import DAY_MINUTES, clock_of, minutes_of

router = APIRouter(prefix="/calendar", tags=["calendar"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.ALERTS_READ))]
Manager = Annotated[Asker, Depends(needs(Permission.ALERTS_MANAGE))]
EntryId = Annotated[int, Path(ge=1, le=MAX_ID)]
_MIDNIGHT = "24:00"


@router.get("/entries", summary="What was entered")
async def entries(asker: Reader) -> EntryList:
    return EntryList(items=[_item(view) for view in await asker.ask(asker.services.calendar.entries)])


@router.post("/entries", summary="Enter something", status_code=201)
async def add_entry(asker: Manager, body: EntryBody, response: Response) -> EntryItem:
    """It holds for the detectors within seconds, and for what they learn from."""
    return _versioned(response, await asker.act(asker.services.calendar.add, _draft(body)))


@router.get("/entries/{entry_id}", summary="One entry")
async def entry(asker: Reader, entry_id: EntryId, response: Response) -> EntryItem:
    return _versioned(response, await asker.ask(asker.services.calendar.entry, entry_id))


@router.put("/entries/{entry_id}", summary="Change an entry")
async def change_entry(
    asker: Manager, entry_id: EntryId, body: EntryBody, if_match: IfMatch, response: Response
) -> EntryItem:
    version = await _version(asker, entry_id, if_match)
    return _versioned(response, await asker.act(asker.services.calendar.change, entry_id, version, _draft(body)))


@router.delete("/entries/{entry_id}", summary="Take an entry away", status_code=204)
async def remove_entry(asker: Manager, entry_id: EntryId, if_match: IfMatch) -> None:
    await asker.act(asker.services.calendar.remove, entry_id, await _version(asker, entry_id, if_match))


@router.get("/agenda", summary="What is planned for some days")
async def agenda(asker: Reader, first: Annotated[Day, Parameter()], last: Annotated[Day, Parameter()]) -> Agenda:
    """Both included; public holidays one by one, by their names."""
    found = await asker.ask(asker.services.calendar.agenda, _day(first), _day(last))
    return Agenda(items=[PlannedItem.model_validate(item) for item in found])


@router.get("/countries", summary="Countries whose public holidays are known")
async def countries(asker: Reader) -> CountryList:
    """By name, in your language."""
    known = asker.services.calendar.countries().items()
    return CountryList(items=[Country(code=code, name=name) for code, name in known])


@router.get("/hours", summary="Opening hours")
async def hours(asker: Reader) -> WeekHours:
    return _week(await asker.ask(asker.services.calendar.hours))


@router.put("/hours", summary="Say the opening hours")
async def set_hours(asker: Manager, body: WeekHours) -> WeekHours:
    said = tuple((minutes_of(each.open), _closing(each.close)) for each in body.days)
    await asker.act(asker.services.calendar.set_hours, said)
    return _week(said)


def _closing(clock: str) -> int:
    return DAY_MINUTES if clock == _MIDNIGHT else minutes_of(clock)


def _week(said: OpeningHours) -> WeekHours:
    return WeekHours(days=[Opening(open=clock_of(begin), close=clock_of(end)) for begin, end in said])


async def _version(asker: Asker, entry_id: int, if_match: int | None) -> int:
    """The version that the client has seen, or the present one where it does not say."""
    return if_match if if_match is not None else (await asker.ask(asker.services.calendar.entry, entry_id)).version


def _draft(body: EntryBody) -> CalendarDraft:
    first, last = (None if text is None else _day(text) for text in (body.first, body.last))
    return CalendarDraft(body.kind, body.name, first, last, body.country, body.dimension, body.value)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(_("{text} is no day; write it like 2026-12-24.", text=text)) from None


def _versioned(response: Response, view: CalendarEntryView) -> EntryItem:
    show_version(response, view.version)
    return _item(view)


def _item(view: CalendarEntryView) -> EntryItem:
    return EntryItem.model_validate(
        {**vars(view.draft), "id": view.id, "created_by": view.created_by, "version": view.version}
    )
