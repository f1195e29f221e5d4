"""Time zones to choose from, by the names that readers search them by."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

_AREAS = frozenset({"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"})


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
