"""What every `CalendarService` promises, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.db import Database
from nebuloviz.detection.calendar import Plan
from nebuloviz.errors import InvalidInput, NebuloVizError, NotFound, PermissionDenied, StaleVersion
from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import SYSTEM, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.business_calendar import DatabaseCalendar
from nebuloviz.services.calendar_rows import sales_may_come, stored
from nebuloviz.services.interfaces import AuditAction, CalendarDraft, CalendarService
from nebuloviz.services.watched_calendar import watched_calendar

READER = replace(SYSTEM, permissions=frozenset({Permission.ALERTS_READ}))
NORTH = replace(SYSTEM, username="nora", scope=(("region", ("north",)),))
SALE = CalendarDraft("promotion", "Spring sale", date(2026, 3, 2), date(2026, 3, 6))
IN_NORTH = replace(SALE, name="Northern sale", dimension="region", value="north")
IN_SOUTH = CalendarDraft("closure", "Rebuilding", date(2026, 3, 4), date(2026, 3, 5), dimension="region", value="south")
HOLIDAYS = CalendarDraft("holidays", country="DE")
WEEK = ((540, 1080),) * 5 + ((1080, 120), (0, 0))


@pytest.fixture(params=[DatabaseCalendar])
def service(request: pytest.FixtureRequest) -> CalendarService:
    made: CalendarService = request.param(DatabaseAudit(), ZoneInfo("Europe/Berlin"))
    return made


@pytest.fixture
def act(database: Database) -> Callable[..., Any]:
    """In a transaction of its own, as SYSTEM unless `as_` is somebody else."""

    def run(method: Callable[..., Any], *said: Any, as_: Any = SYSTEM) -> Any:
        with database.transaction() as session:
            return method(session, as_, *said)

    return run


def test_what_is_entered_is_kept_changed_and_taken_away(
    service: CalendarService, act: Callable[..., Any], database: Database
) -> None:
    with database.session() as session:
        before = stored(session)
    first = act(service.add, SALE)
    act(service.add, HOLIDAYS)
    assert [view.draft for view in act(service.entries)] == [HOLIDAYS, SALE]
    assert (act(service.entry, first.id), first.created_by, first.version) == (first, "system", 1)
    shorter = replace(SALE, last=None)
    changed = act(service.change, first.id, 1, shorter)
    assert (changed.draft, changed.version) == (replace(SALE, last=SALE.first), 2)
    for method, said in ((service.change, (SALE,)), (service.remove, ())):
        with pytest.raises(StaleVersion):
            act(method, first.id, 1, *said)
    act(service.remove, first.id, 2)
    with pytest.raises(NotFound):
        act(service.entry, first.id)
    act(service.set_hours, WEEK)
    act(service.set_hours, WEEK)
    assert act(service.hours) == WEEK
    told = act(DatabaseAudit().entries).items
    assert [entry.action for entry in reversed(told)] == [
        *(AuditAction.CALENDAR_ENTERED,) * 2, AuditAction.CALENDAR_CHANGED, AuditAction.CALENDAR_REMOVED,
        AuditAction.OPENING_HOURS_CHANGED,
    ]  # fmt: skip
    opened = [*["09:00-18:00"] * 5, "18:00-02:00", "00:00-00:00"]
    assert (told[0].after, told[1].subject) == (
        {"hours": opened},
        "calendar Spring sale",
    )
    with database.session() as session:
        assert stored(session) != before, "whoever watches notices"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "party"},
        *({"name": name} for name in ("", "two\nlines", "x" * 81)),
        {"first": None, "last": None},
        {"first": date(2026, 3, 7)},
        {"last": date(2027, 3, 6)},
        {"first": date(1999, 12, 31), "last": date(2000, 1, 1)},
        {"dimension": "product", "value": "x"},
        {"dimension": "region"},
        {"dimension": "no_such", "value": "x"},
        {"kind": "holidays", "country": "XX"},
        {"kind": "holidays"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(service: CalendarService, act: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        act(service.add, replace(SALE, **wrong))


def test_hours_that_cannot_be_are_refused(service: CalendarService, act: Callable[..., Any]) -> None:
    for week in (((0, 60),), ((-1, 60),) * 7, ((0, 1441),) * 7, ((0, 0),) * 7):
        with pytest.raises(InvalidInput):
            act(service.set_hours, week)


def test_the_agenda_names_public_holidays_but_those_one_is_open_on(
    service: CalendarService, act: Callable[..., Any], database: Database
) -> None:
    act(service.add, HOLIDAYS)
    act(service.add, CalendarDraft("open", "Open all the same", date(2026, 5, 14)))
    act(service.add, CalendarDraft("closure", "Stocktaking", date(2026, 4, 30), date(2026, 5, 2)))
    with use(Preferences("de")):
        found = act(service.agenda, date(2026, 5, 1), date(2026, 5, 31))
    assert [(item.first, item.kind, item.name) for item in found] == [
        (date(2026, 4, 30), "closure", "Stocktaking"),
        (date(2026, 5, 1), "holidays", "Erster Mai"),
        (date(2026, 5, 14), "open", "Open all the same"),
        (date(2026, 5, 25), "holidays", "Pfingstmontag"),
    ]
    with database.session() as session:
        watched = watched_calendar(session, "Europe/Berlin", frozenset({date(2026, 5, 20)}), 2026)
        assert {day.isoformat() for day in watched.closed_days if day.isoformat()[:7] == "2026-05"} == {
            *("2026-05-01", "2026-05-02", "2026-05-20", "2026-05-25")
        }
        assert not sales_may_come(session, date(2026, 5, 25), 12)
        assert sales_may_come(session, date(2026, 5, 14), 12)
    with pytest.raises(InvalidInput):
        act(service.agenda, date(2026, 5, 2), date(2026, 5, 1))


def test_the_detectors_are_told_of_segments_promotions_and_hours(
    service: CalendarService, act: Callable[..., Any], database: Database
) -> None:
    for draft in (SALE, IN_SOUTH):
        act(service.add, draft)
    act(service.set_hours, WEEK)
    with database.session() as session:
        watched = watched_calendar(session, "UTC", frozenset(), 2026)
        assert [sales_may_come(session, date(2026, 3, 7), hour) for hour in (1, 17, 18, 23)] == [
            False,
            False,
            True,
            True,
        ]
        assert [sales_may_come(session, date(2026, 3, 8), hour) for hour in (1, 2)] == [True, False]
    assert watched.plans == (
        Plan(date(2026, 3, 2), date(2026, 3, 6), promotion=True),
        Plan(date(2026, 3, 4), date(2026, 3, 5), (("region", "south"),)),
    )
    assert watched.hours == WEEK


def test_whoever_is_confined_to_rows_sees_and_enters_what_is_about_them(
    service: CalendarService, act: Callable[..., Any]
) -> None:
    everything = [act(service.add, draft) for draft in (SALE, IN_NORTH, IN_SOUTH)]
    assert {view.draft for view in act(service.entries, as_=NORTH)} == {SALE, IN_NORTH}
    assert len(act(service.agenda, date(2026, 3, 1), date(2026, 3, 31), as_=NORTH)) == 2
    act(service.change, everything[1].id, 1, replace(IN_NORTH, name="Longer"), as_=NORTH)
    refused: list[tuple[Callable[[], Any], type[NebuloVizError]]] = [
        (lambda: act(service.add, SALE, as_=NORTH), PermissionDenied),
        (lambda: act(service.add, IN_SOUTH, as_=NORTH), PermissionDenied),
        (lambda: act(service.change, everything[0].id, 1, IN_NORTH, as_=NORTH), PermissionDenied),
        (lambda: act(service.change, everything[1].id, 2, IN_SOUTH, as_=NORTH), PermissionDenied),
        (lambda: act(service.remove, everything[0].id, 1, as_=NORTH), PermissionDenied),
        (lambda: act(service.remove, everything[2].id, 1, as_=NORTH), NotFound),
        (lambda: act(service.set_hours, WEEK, as_=NORTH), PermissionDenied),
        (lambda: act(service.add, SALE, as_=READER), PermissionDenied),
        (lambda: act(service.set_hours, WEEK, as_=READER), PermissionDenied),
    ]
    for attempt, error in refused:
        with pytest.raises(error):
            attempt()


def test_a_chart_is_told_what_is_planned_for_what_it_shows(service: CalendarService, act: Callable[..., Any]) -> None:
    for draft in (SALE, IN_NORTH, IN_SOUTH, CalendarDraft("open", "Open", date(2026, 3, 3))):
        act(service.add, draft)
    whole = Query(("revenue",), datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC), grain="hour")
    north, rest = (replace(whole, filters=(Filter("region", op, ("north",)),)) for op in ("in", "not_in"))

    def told(query: Query, reader: Any = SYSTEM) -> list[str]:
        return [item.days.name for item in act(service.planned, query, as_=reader)]

    assert told(whole) == ["Spring sale", "Northern sale", "Rebuilding"]
    assert (told(north), told(rest)) == (["Spring sale", "Northern sale"], ["Spring sale", "Rebuilding"])
    assert told(whole, NORTH) == ["Spring sale", "Northern sale"]
    assert told(replace(whole, start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 3, 1, 23, tzinfo=UTC))) == []
    (first, *_rest) = act(service.planned, whole)
    assert (first.start, first.end) == (datetime(2026, 3, 1, 23, tzinfo=UTC), datetime(2026, 3, 6, 23, tzinfo=UTC))


def test_countries_go_by_the_readers_names(service: CalendarService) -> None:
    with use(Preferences("de")):
        assert service.countries()["DE"] == "Deutschland"
    assert {"DE", "GB", "US", "EG", "ES"} <= service.countries().keys()
