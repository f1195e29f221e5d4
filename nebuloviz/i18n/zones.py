"""Time zones: moments on the reader's clock, and zones to choose from, by the names that readers search them by."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n.context import current
from nebuloviz.i18n.text import gettext as _

_AREAS = frozenset({"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"})


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone called `name`.

    Raises:
        InvalidInput: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of the zone tree raises OSError
        raise InvalidInput(
            _("There is no time zone called {name}. Try Europe/Berlin or UTC.", name=name[:64])
        ) from error


def local(moment: datetime) -> datetime:
    """`moment`, which must carry a zone, on the reader's clock."""
    if moment.tzinfo is None:
        raise ValueError("A time without a zone cannot be shown: nobody knows when it was.")
    return moment.astimezone(zone(current().time_zone))


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """The zones of places, by name; aliases such as Etc/GMT+3 and US/Eastern would only lengthen the list."""
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in _AREAS))


def zone_words(name: str) -> str:
    """A zone as a reader searches it.

    >>> zone_words("America/New_York")
    'America / New York'
    """
    return name.replace("_", " ").replace("/", " / ")
