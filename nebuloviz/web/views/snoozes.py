"""For how long an alert can be put away, as it is chosen."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy, local
from nebuloviz.web.components import list_field

_MORNING = time(9)
#: Choice -> its words, and for how long it is; the mornings are on the reader's clock.
_SNOOZES = {
    "hour": (lazy("For an hour"), timedelta(hours=1)),
    "hours": (lazy("For four hours"), timedelta(hours=4)),
    "tomorrow": (lazy("Until tomorrow morning"), None),
    "monday": (lazy("Until Monday morning"), None),
    "week": (lazy("For a week"), timedelta(weeks=1)),
}


def snooze_end(choice: object, now: datetime) -> datetime:
    """When a snooze of that choice ends; what is no choice ends now, which the service refuses."""
    length = _SNOOZES[choice][1] if isinstance(choice, str) and choice in _SNOOZES else timedelta()
    if length is not None:
        return now + length
    today = local(now)
    days = 1 if choice == "tomorrow" else 7 - today.weekday()
    return datetime.combine(today.date() + timedelta(days=days), _MORNING, tzinfo=today.tzinfo)


def snooze_list(id: str) -> Component:
    """The choices, as a list."""
    options = [{"label": str(words), "value": choice} for choice, (words, _length) in _SNOOZES.items()]
    return list_field(id, _("Snooze"), options, "tomorrow", clearable=False, searchable=False)
