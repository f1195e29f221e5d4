"""For the command line: a rule tried on the stored sales, here and now, and made a live one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError

from nebuloviz import extensions
from nebuloviz.bootstrap.storage import database
from nebuloviz.bootstrap.watches import closed_days
from nebuloviz.clock import utc_now
from nebuloviz.errors import InvalidInput
from nebuloviz.metrics.calendar import ONE_DAY, day_of, midnight
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import BacktestSide, RuleDraft
from nebuloviz.services.rule_backtest import sides_of_past
from nebuloviz.services.rule_series import closed_until
from nebuloviz.services.rules import DatabaseRules, checked
from nebuloviz.services.watched_calendar import watched_calendar
from nebuloviz.settings import Settings

_USUAL_RANGE = timedelta(weeks=8)


def tried(
    settings: Settings, draft: RuleDraft, days: tuple[date, date] | None, on_progress: Callable[[int, int], None]
) -> tuple[BacktestSide, tuple[datetime, datetime]]:
    """What the setting would have alerted on in the stored sales of these days, both included, and the time that was looked at.

    Without `days` of the last eight weeks.

    Raises:
        InvalidInput: the setting does not fit, or there is nothing to look at.
    """
    extensions.load(settings.extensions_dir)
    draft, zone = checked(SYSTEM, draft), ZoneInfo(settings.time_zone)
    end = closed_until(draft.grain, utc_now(), zone)
    first = day_of(end, zone) - _USUAL_RANGE
    if days is not None:
        first, end = days[0], min(end, midnight(days[1] + ONE_DAY, zone))
    start = midnight(first, zone)
    if start >= end:
        raise InvalidInput("Choose days that are over, the first before the last.")
    where = database(settings)
    try:
        with where.session() as session:
            calendar = watched_calendar(session, settings.time_zone, closed_days(settings), utc_now().year)
        (side,) = sides_of_past(where, calendar, [draft], (start, end), on_progress)
    except DBAPIError as error:
        raise InvalidInput(f"The database cannot be read: {error.orig}") from error
    finally:
        where.dispose()
    return side, (start, end)


def saved(settings: Settings, draft: RuleDraft) -> int:
    """Make the setting a live rule, and say its number. Raises InvalidInput."""
    where = database(settings)
    try:
        with where.transaction() as session:
            return DatabaseRules(DatabaseAudit()).create(session, SYSTEM, draft).id
    finally:
        where.dispose()
