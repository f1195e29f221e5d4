"""Whose manner numbers, dates and clocks may follow: the regions for which CLDR knows a form of a language."""

from __future__ import annotations

from functools import lru_cache

from babel import Locale, localedata

_MAX_CODE_LENGTH = 3  # two letters of ISO 3166-1, or three digits of UN M49


@lru_cache(maxsize=16)
def format_regions(language: str) -> dict[str, str]:
    """Code -> name in `language`, by name: {"AT": "Österreich", ...}."""
    shown = Locale.parse(language, sep="-")
    parts = [name.split("_") for name in localedata.locale_identifiers()]
    codes = [part[1] for part in parts if part[0] == language and len(part) == 2 and len(part[1]) <= _MAX_CODE_LENGTH]
    names = {code: str(shown.territories.get(code, code)) for code in codes}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def format_locale(language: str, region: str) -> str | None:
    """`language` in the manner of `region`, as `Preferences.number_locale` takes it; None where that is the language's own.

    >>> format_locale("en", "DE"), format_locale("de", "GB"), format_locale("de", "")
    ('en-DE', None, None)
    """
    return f"{language}-{region}" if region in format_regions(language) else None
