"""Who is reading: language, zone, currency and week of the current request, task or thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """How one reader wants text, numbers and times.

    `language` is a key of `settings.SUPPORTED_LANGUAGES`; `time_zone` an IANA name; `currency` an ISO 4217 code, or empty
    where amounts carry none; `week_start` 0 = Monday ... 6 = Sunday; `year_start` the month from
    which quarters and years are counted. `number_locale` (such as `de-CH` or `ar-EG`) formats numbers and dates in the manner
    of another place than the language's own.
    """

    language: str = "en"
    time_zone: str = "UTC"
    currency: str = ""
    week_start: int = 0
    number_locale: str | None = None
    year_start: int = 1


_current: ContextVar[Preferences] = ContextVar("nebuloviz_preferences", default=Preferences())  # noqa: B039 - it is frozen


def current() -> Preferences:
    """The preferences in force here; English, UTC and no currency where nobody has set any."""
    return _current.get()


def set_current(preferences: Preferences) -> None:
    """Put `preferences` in force for the rest of this request. For hooks; elsewhere `use` also puts the old ones back."""
    _current.set(preferences)


@contextmanager
def use(preferences: Preferences) -> Iterator[Preferences]:
    """Put `preferences` in force inside the `with` block."""
    token = _current.set(preferences)
    try:
        yield preferences
    finally:
        _current.reset(token)
