"""Of which version a server is, and what to do about one that is too old."""

from __future__ import annotations

import re

from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import isolated

#: The oldest of each that NebuloViz is made for. Kafka's is what a broker says that it speaks, which may be newer by some.
OLDEST = {"Kafka": "3.9", "PostgreSQL": "15", "Redis": "7.0", "SQLite": "3.35"}


def advice(server: str, version: str) -> str:
    """What to do about `server` at `version`, in the reader's language; '' where it is new enough, or does not say.

    >>> advice("Redis", "7.0.15"), advice("PostgreSQL", "17.2 (Debian 17.2-1)"), advice("Kafka", "unknown")
    ('', '', '')
    >>> "7.0" in advice("Redis", "6.2.14")
    True
    """
    numbers = _numbers(version)
    if not numbers or numbers >= _numbers(OLDEST[server]):
        return ""
    return _(
        "It is older than {oldest}, the oldest that NebuloViz is made for: upgrade it.",
        oldest=isolated(f"{server} {OLDEST[server]}"),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
