"""The business calendar: what people enter, who sees it, and what it says of some days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nebuloviz.detection.opening import OpeningHours
from nebuloviz.errors import Conflict, InvalidInput, NotFound, PermissionDenied, StaleVersion
from nebuloviz.i18n import current, format_date, number
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n.formats import words
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import dimension
from nebuloviz.models import MAX_ID, ROLLED_DIMENSIONS, CalendarEntry, OpeningDay
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.alert_rows import passes
from nebuloviz.services.calendar_rows import dimensions_of, planned, week_hours
from nebuloviz.services.interfaces import AuditAction, AuditService
from nebuloviz.services.interfaces.calendar import (
    ENTRY_KINDS,
    CalendarDraft,
    CalendarEntryView,
    CalendarService,
    PlannedDays,
    PlannedTime,
)
from nebuloviz.services.notification_rules import clock_of
from nebuloviz.services.scope import scope_filters

#: What an entry can be about a value of: what the detectors watch by.
SEGMENT_DIMENSIONS = ROLLED_DIMENSIONS
MAX_ENTRIES = 500
MAX_NAME_LENGTH, _MAX_VALUE_LENGTH = 80, 256
MAX_DAYS = 366
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 1, 1)
_WEEK, _DAY_MINUTES = 7, 24 * 60


class DatabaseCalendar(CalendarService):
    """The `CalendarService` over our own tables. `zone` is that of the business, whose days are meant."""

    def __init__(self, audit: AuditService, zone: ZoneInfo) -> None:
        self._audit = audit
        self._zone = zone

    @require(Permission.ALERTS_READ)
    def entries(self, session: Session, actor: Actor) -> Sequence[CalendarEntryView]:
        last = func.coalesce(CalendarEntry.last, LAST_DAY)
        rows = session.scalars(select(CalendarEntry).order_by(last.desc(), CalendarEntry.id))
        return [_view(row) for row in rows if _is_seen(actor, row)]

    @require(Permission.ALERTS_READ)
    def entry(self, session: Session, actor: Actor, entry_id: int) -> CalendarEntryView:
        return _view(_row(session, actor, entry_id))

    @require(Permission.ALERTS_MANAGE)
    def add(self, session: Session, actor: Actor, draft: CalendarDraft) -> CalendarEntryView:
        values = _checked(draft)
        if (session.scalar(select(func.count()).select_from(CalendarEntry)) or 0) >= MAX_ENTRIES:
            raise Conflict(_("There are {limit} entries already; remove old ones first.", limit=number(MAX_ENTRIES)))
        row = CalendarEntry(**values, created_by=actor.username)
        _demand_own(actor, row)
        session.add(row)
        session.flush()
        self._audit.record(session, actor, AuditAction.CALENDAR_ENTERED, _subject(row), after=_told(row))
        return _view(row)

    @require(Permission.ALERTS_MANAGE)
    def change(
        self, session: Session, actor: Actor, entry_id: int, version: int, draft: CalendarDraft
    ) -> CalendarEntryView:
        values = _checked(draft)
        row = _for_change(session, actor, entry_id, version)
        before = _told(row)
        for name, value in values.items():
            setattr(row, name, value)
        _demand_own(actor, row)
        if _told(row) != before:
            row.version += 1
            session.flush()
            self._audit.record(
                session, actor, AuditAction.CALENDAR_CHANGED, _subject(row), before=before, after=_told(row)
            )
        return _view(row)

    @require(Permission.ALERTS_MANAGE)
    def remove(self, session: Session, actor: Actor, entry_id: int, version: int) -> None:
        row = _for_change(session, actor, entry_id, version)
        self._audit.record(session, actor, AuditAction.CALENDAR_REMOVED, _subject(row), before=_told(row))
        session.execute(delete(CalendarEntry).where(CalendarEntry.id == entry_id))

    @require(Permission.ALERTS_READ)
    def agenda(self, session: Session, actor: Actor, first: date, last: date) -> Sequence[PlannedDays]:
        if not FIRST_DAY <= first <= last <= LAST_DAY:
            ends = {"first": format_date(FIRST_DAY), "last": format_date(LAST_DAY)}
            raise InvalidInput(_("Choose days from {first} to {last}.", **ends))
        found = planned(session, first, last, current().language)
        return [item for item in found if _is_seen(actor, item)]

    @require(Permission.ALERTS_READ)
    def planned(self, session: Session, actor: Actor, query: Query) -> Sequence[PlannedTime]:
        ends = (query.start, query.end - timedelta(microseconds=1))
        first, last = (min(max(day_of(end, self._zone), FIRST_DAY), LAST_DAY) for end in ends)
        return [
            PlannedTime(midnight(item.first, self._zone), midnight(item.last + ONE_DAY, self._zone), item)
            for item in planned(session, first, last, current().language)
            if item.kind != "open" and _is_seen(actor, item) and _is_asked_for(item, query)
        ]

    @require(Permission.ALERTS_READ)
    def hours(self, session: Session, actor: Actor) -> OpeningHours:  # noqa: ARG002 - `require` looks at the actor
        return week_hours(session)

    @require(Permission.ALERTS_MANAGE)
    def set_hours(self, session: Session, actor: Actor, hours: OpeningHours) -> None:
        if actor.scope:
            raise PermissionDenied(_("Opening hours are those of all sales, of which you see a part."))
        right = all(0 <= begin < _DAY_MINUTES and 0 <= end <= _DAY_MINUTES for begin, end in hours)
        if len(hours) not in {0, _WEEK} or not right:
            raise InvalidInput(_("Opening hours are a beginning and an end for each of the seven weekdays, or none."))
        if hours and all(begin == end for begin, end in hours):
            raise InvalidInput(_("Open on no weekday at all? Then nothing would ever be expected."))
        before = week_hours(session)
        if before == hours:
            return
        session.execute(delete(OpeningDay))
        session.add_all(OpeningDay(weekday=day, begin=begin, end=end) for day, (begin, end) in enumerate(hours))
        sides = ({"hours": _hours_told(each)} for each in (before, hours))
        told = dict(zip(("before", "after"), sides, strict=True))
        self._audit.record(session, actor, AuditAction.OPENING_HOURS_CHANGED, "calendar", **told)

    def countries(self) -> Mapping[str, str]:
        names = words().territories
        known = {code: str(names.get(code, code)) for code in known_countries()}
        return dict(sorted(known.items(), key=lambda item: item[1].casefold()))


@lru_cache(maxsize=1)
def known_countries() -> frozenset[str]:
    return frozenset(holidays.list_supported_countries(include_aliases=False))


def _is_seen(actor: Actor, item: CalendarEntry | PlannedDays) -> bool:
    return not item.dimension or passes(dimensions_of(item), scope_filters(actor))


def _is_asked_for(item: PlannedDays, query: Query) -> bool:
    """Whether the filters leave any of what it is about."""
    own = [each for each in query.filters if each.dimension == item.dimension]
    return all((item.value in each.values) == (each.op == "in") for each in own)


def _row(session: Session, actor: Actor, entry_id: int) -> CalendarEntry:
    row = session.get(CalendarEntry, entry_id) if 0 < entry_id <= MAX_ID else None
    if row is None or not _is_seen(actor, row):
        raise NotFound(_("There is no such entry in the calendar any more."))
    return row


def _for_change(session: Session, actor: Actor, entry_id: int, version: int) -> CalendarEntry:
    row = _row(session, actor, entry_id)
    session.refresh(row, with_for_update=True)
    _demand_own(actor, row)
    if row.version != version:
        raise StaleVersion(
            _(
                "{name} was changed by somebody else in the meantime. Look at it as it is now, then decide.",
                name=row.name,
            )
        )
    return row


def _demand_own(actor: Actor, row: CalendarEntry) -> None:
    """Raise PermissionDenied unless all that it is about are rows that the actor sees."""
    if not passes(dimensions_of(row), scope_filters(actor)):
        raise PermissionDenied(_("Choose one of the segments that you see: this is about more than that."))


def _checked(draft: CalendarDraft) -> dict[str, Any]:
    """What is stored of it. Raises InvalidInput."""
    if draft.kind not in ENTRY_KINDS:
        raise InvalidInput(_("An entry is one of {known}.", known=", ".join(ENTRY_KINDS)))
    return {"kind": draft.kind, **_segment(draft), **(_country(draft) if draft.kind == "holidays" else _dated(draft))}


def _country(draft: CalendarDraft) -> dict[str, Any]:
    if draft.country not in known_countries():
        raise InvalidInput(_("Choose a country whose public holidays are known."), field="country")
    return {"name": "", "first": None, "last": None, "country": draft.country}


def _dated(draft: CalendarDraft) -> dict[str, Any]:
    name = draft.name.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(
            _("Give it a name of at most {limit} characters.", limit=number(MAX_NAME_LENGTH)), field="name"
        )
    first, last = draft.first, draft.last or draft.first
    if first is None or last is None or not FIRST_DAY <= first <= last <= LAST_DAY:
        raise InvalidInput(_("Choose the first day and the last one, in this order."), field="first")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput(_("That is longer than a year, so it would be the normal state."), field="last")
    return {"name": name, "first": first, "last": last, "country": ""}


def _segment(draft: CalendarDraft) -> dict[str, str]:
    if not draft.dimension:
        return {"dimension": "", "value": ""}
    slug = dimension(draft.dimension).slug
    fits = 0 < len(draft.value) <= _MAX_VALUE_LENGTH and draft.value.isprintable()
    if slug not in SEGMENT_DIMENSIONS or not fits:
        known = ", ".join(SEGMENT_DIMENSIONS)
        raise InvalidInput(_("A segment is a value of one of {known}.", known=known), field="segment")
    return {"dimension": slug, "value": draft.value}


def _view(row: CalendarEntry) -> CalendarEntryView:
    kind: Any = row.kind
    draft = CalendarDraft(kind, row.name, row.first, row.last, row.country, row.dimension, row.value)
    return CalendarEntryView(row.id, draft, row.created_by, row.version)


def _subject(row: CalendarEntry) -> str:
    return f"calendar {row.name or row.country}"


def _told(row: CalendarEntry) -> dict[str, Any]:
    """What the audit log tells of an entry."""
    days = {"first": str(row.first), "last": str(row.last)} if row.first else {"country": row.country}
    segment = {"scope": {row.dimension: [row.value]}} if row.dimension else {}
    return {"kind": row.kind, "name": row.name, **days, **segment}


def _hours_told(hours: OpeningHours) -> list[str]:
    return [f"{clock_of(begin)}-{clock_of(end)}" for begin, end in hours]
