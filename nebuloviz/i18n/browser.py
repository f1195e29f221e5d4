"""What the components in the browser need to speak the reader's language: Plotly, AG Grid and the date pickers.

All of it is generated from CLDR and our own catalogs: no locale file is copied in, none is fetched.
"""

from __future__ import annotations

import re
from typing import Any

from babel import Locale, numbers

from nebuloviz.i18n.component_texts import ag_grid_texts, plotly_texts
from nebuloviz.i18n.context import Preferences, current, use
from nebuloviz.i18n.formats import locale
from nebuloviz.i18n.text import is_rtl

# CLDR's date fields as d3-time-format directives; a field's longest spelling comes first.
_D3_FIELDS = (
    ("EEEE", "%A"),
    ("E{1,3}", "%a"),
    ("[ML]{4}", "%B"),
    ("[ML]{3}", "%b"),
    ("[ML]{2}", "%m"),
    ("[ML]", "%-m"),
    ("dd", "%d"),
    ("d", "%-d"),
    ("y+", "%Y"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("m+", "%M"),
    ("s+", "%S"),
    ("[ab]", "%p"),
)
_D3_TOKEN = re.compile("'([^']*)'|" + "|".join(f"({field})" for field, _ in _D3_FIELDS))
_SUNDAY_FIRST = (6, 0, 1, 2, 3, 4, 5)
_MONTHS = range(1, 13)
_WIDTHS = ("narrow", "abbreviated", "wide")


def plotly_locale(language: str, currency: str = "", form: str = "") -> dict[str, Any]:
    """The module that `Plotly.register` takes for `config.locale = language`: texts, names, date and number formats.

    `currency` is the ISO 4217 code that d3's `$` stands for; `form`, such as en-GB, whose dates and numbers they are. Digits are
    Latin, as Plotly draws no others.
    """
    shown = Locale.parse(form or language, sep="-")
    with use(Preferences(language=language)):
        dictionary = plotly_texts()
    return {
        "moduleType": "locale",
        "name": language,
        "dictionary": dictionary,
        "format": {**_d3_names(shown), **_d3_dates(shown), **_d3_numbers(shown, currency)},
    }


def _d3_names(shown: Locale) -> dict[str, list[str]]:
    days, months = shown.days["format"], shown.months["format"]
    return {
        "days": [days["wide"][i] for i in _SUNDAY_FIRST],
        "shortDays": [days["abbreviated"][i] for i in _SUNDAY_FIRST],
        "months": [months["wide"][i] for i in _MONTHS],
        "shortMonths": [months["abbreviated"][i] for i in _MONTHS],
        "periods": [shown.day_periods["format"]["abbreviated"][half] for half in ("am", "pm")],
    }


def _d3_dates(shown: Locale) -> dict[str, str]:
    skeletons = shown.datetime_skeletons
    return {
        "dateTime": str(shown.datetime_formats["medium"]).replace("{1}", "%x").replace("{0}", "%X").replace("'", ""),
        "date": _d3_pattern(shown.date_formats["short"].pattern),
        "time": _d3_pattern(shown.time_formats["medium"].pattern),
        "year": "%Y",
        "month": _d3_pattern(skeletons["yMMM"].pattern),
        "dayMonth": _d3_pattern(skeletons["MMMd"].pattern),
        "dayMonthYear": _d3_pattern(skeletons["yMMMd"].pattern),
    }


def _d3_pattern(pattern: str) -> str:
    """The CLDR date `pattern` in d3-time-format's language: `d. MMM y` is `%-d. %b %Y`."""

    def directive(match: re.Match[str]) -> str:
        index = match.lastindex or 1
        return match[1] if index == 1 else _D3_FIELDS[index - 2][1]

    return _D3_TOKEN.sub(directive, pattern)


def _d3_numbers(shown: Locale, currency: str) -> dict[str, Any]:
    symbols = shown.number_symbols["latn"]
    return {
        "decimal": symbols["decimal"],
        "thousands": symbols["group"],
        "grouping": [3],
        "currency": _currency_affixes(shown, currency),
    }


def _currency_affixes(shown: Locale, currency: str) -> list[str]:
    """What stands before and after an amount: `["$", ""]` or `["", " €"]`."""
    if not currency:
        return ["", ""]
    before, after = re.split(r"[#0.,]+", shown.currency_formats["standard"].pattern.partition(";")[0], maxsplit=1)
    symbol = numbers.get_currency_symbol(currency, locale=shown)
    return [before.replace("¤", symbol), after.replace("¤", symbol)]


def ag_grid_locale(language: str, form: str = "") -> dict[str, str]:
    """AG Grid's `localeText` for every text of the community edition that our tables show; numbers as the locale `form` has them."""
    symbols = Locale.parse(form or language, sep="-").number_symbols["latn"]
    with use(Preferences(language=language)):
        texts = ag_grid_texts()
    return {**texts, "thousandSeparator": symbols["group"], "decimalSeparator": symbols["decimal"]}


def date_picker_locale(language: str, week_start: int | None = None, form: str = "") -> dict[str, Any]:
    """What the page needs to build the one date-fns locale that Dash's date pickers then use, whatever the browser prefers.

    Dates are as the locale `form` has them.

    `months` and `days` hold names by CLDR width (`narrow`, `abbreviated`, `wide`; days also `short`), days from Sunday.
    `weekStartsOn` counts from Sunday = 0, as JavaScript does; `week_start` counts from Monday = 0 and defaults to the reader's.
    `displayFormat` and `monthFormat` are for the pickers' own `display_format` and `month_format`.
    """
    shown = Locale.parse(form or language, sep="-")
    start = current().week_start if week_start is None else week_start
    months, days = shown.months["stand-alone"], shown.days["stand-alone"]
    periods = shown.day_periods["format"]["abbreviated"]
    return {
        "code": language,
        "rtl": is_rtl(language),
        "weekStartsOn": (start + 1) % 7,
        "months": {width: [months[width][i] for i in _MONTHS] for width in _WIDTHS},
        "formatMonths": {width: [shown.months["format"][width][i] for i in _MONTHS] for width in _WIDTHS},
        "days": {width: [days[width][i] for i in _SUNDAY_FIRST] for width in (*_WIDTHS, "short")},
        "dayPeriods": {"am": periods["am"], "pm": periods["pm"]},
        "displayFormat": _picker_pattern(shown.date_formats["short"].pattern),
        "monthFormat": "MMMM YYYY",
    }


def _picker_pattern(pattern: str) -> str:
    """The CLDR date `pattern` as Dash's pickers write it, with four-digit years and without direction marks."""
    bare = re.sub("[\u200e\u200f\u061c]", "", pattern)
    return re.sub("y+", "YYYY", bare).replace("d", "D")


def d3_date_format(skeleton: str) -> str:
    """The reader's spelling of a CLDR `skeleton` (`yMMMd`, `Hm`) as a d3-time-format pattern, for texts that Plotly formats."""
    return _d3_pattern(locale().datetime_skeletons[skeleton].pattern)
