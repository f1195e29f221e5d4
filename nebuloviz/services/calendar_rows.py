"""The business calendar as it is stored, with the public holidays of each year."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import holidays
from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.detection.opening import OpeningHours, is_open
from nebuloviz.models import CalendarEntry, OpeningDay
from nebuloviz.services.interfaces.calendar import EntryKind, PlannedDays

ONE_DAY = timedelta(days=1)
Rows = tuple[tuple[Any, ...], ...]


def stored(session: Session) -> Rows:
    """All that there is, to be compared with what there was before."""
    entry = CalendarEntry
    columns = (entry.id, entry.version, OpeningDay.weekday, OpeningDay.begin, OpeningDay.end)
    entries = session.execute(select(*columns[:2]).order_by(entry.id))
    hours = session.execute(select(*columns[2:]).order_by(OpeningDay.weekday))
    return tuple(tuple(row) for row in (*entries, *hours))


def week_hours(session: Session) -> OpeningHours:
    rows = session.scalars(select(OpeningDay).order_by(OpeningDay.weekday)).all()
    return tuple((row.begin, row.end) for row in rows) if len(rows) == 7 else ()


def planned(session: Session, first: date, last: date, language: str = "en") -> list[PlannedDays]:
    """All that is planned in these days, in their order; what is open in spite of a holiday is no holiday."""
    rows = session.scalars(select(CalendarEntry).order_by(CalendarEntry.id)).all()
    opened = [row for row in rows if row.kind == "open"]
    found = [item for row in rows if row.kind != "holidays" for item in _days(row, first, last)]
    for row in rows:
        if row.kind == "holidays":
            found += [item for item in _holidays(row, first, last, language) if not _is_opened(item, opened)]
    return sorted(found, key=lambda item: (item.first, item.last, item.entry_id, item.name))


def _days(row: CalendarEntry, first: date, last: date) -> Iterator[PlannedDays]:
    if row.first is not None and row.last is not None and row.first <= last and row.last >= first:
        yield _item(row, row.first, row.last, row.name)


def _holidays(row: CalendarEntry, first: date, last: date, language: str) -> Iterator[PlannedDays]:
    for day, name in public_holidays(row.country, first.year, last.year, language):
        if first <= day <= last:
            yield _item(row, day, day, name)


def _item(row: CalendarEntry, first: date, last: date, name: str) -> PlannedDays:
    kind: EntryKind = row.kind  # type: ignore[assignment]  # no other is stored
    return PlannedDays(first, last, kind, name, row.dimension, row.value, row.id)


def _is_opened(holiday: PlannedDays, opened: Sequence[CalendarEntry]) -> bool:
    return any(
        each.first is not None
        and each.last is not None
        and each.first <= holiday.first <= each.last
        and (not each.dimension or (each.dimension, each.value) == (holiday.dimension, holiday.value))
        for each in opened
    )


@lru_cache(maxsize=256)
def public_holidays(country: str, first_year: int, last_year: int, language: str) -> Sequence[tuple[date, str]]:
    """A country's public holidays, in `language` where their names are known in it, else in English, else in its own."""
    known = holidays.list_localized_countries().get(country, [])
    offered = {each.split("_")[0]: each for each in reversed(known)}
    spoken = offered.get(language) or offered.get("en")
    found = holidays.country_holidays(country, years=range(first_year, last_year + 1), language=spoken)
    return sorted(found.items())


def is_closed(item: PlannedDays) -> bool:
    return item.kind in {"closure", "holidays"}


def sales_may_come(session: Session, day: date, hour: int) -> bool:
    """Whether the calendar has the shop open on that day, in that hour of it."""
    if any(is_closed(each) and not each.dimension for each in planned(session, day, day)):
        return False
    return is_open(week_hours(session), day.weekday(), hour)


def dimensions_of(item: CalendarEntry | PlannedDays) -> str:
    """The segment, as alerts keep theirs."""
    return json.dumps({item.dimension: item.value} if item.dimension else {})
