"""The business calendar as the detectors know it."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from nebuloviz.detection.calendar import Calendar, Plan
from nebuloviz.services.calendar_rows import ONE_DAY, is_closed, planned, week_hours

_FROM_YEAR, _YEARS_AHEAD = 2000, 2


def watched_calendar(session: Session, zone: str, closed_days: frozenset[date], this_year: int) -> Calendar:
    """All that was entered, and `closed_days` besides."""
    found = planned(session, date(_FROM_YEAR, 1, 1), date(this_year + _YEARS_AHEAD, 12, 31))
    whole = [each for each in found if is_closed(each) and not each.dimension]
    closed = {each.first + step * ONE_DAY for each in whole for step in range((each.last - each.first).days + 1)}
    plans = tuple(
        Plan(each.first, each.last, ((each.dimension, each.value),) if each.dimension else (), each.kind == "promotion")
        for each in found
        if each.kind == "promotion" or (is_closed(each) and each.dimension)
    )
    return Calendar(zone, closed_days | closed, plans, week_hours(session))
