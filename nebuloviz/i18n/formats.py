"""Numbers, amounts and shares in the reader's own form, from CLDR through Babel.

Every function uses the current `Preferences`. `None` and what cannot be shown (NaN, infinity, 300 digits) become an en dash.
Text for a right-to-left page is wrapped in Unicode isolates where a sign, a currency or letters could otherwise jump to the
wrong side.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError, numbers

from nebuloviz.i18n.context import Preferences, current
from nebuloviz.i18n.text import gettext as _

Number = int | float | Decimal

NOTHING = "–"
MINUS = "−"
UP, DOWN, FLAT = "▲", "▼", "■"
_ISOLATE, _END_ISOLATE, _LEFT_TO_RIGHT = "\u2068", "\u2069", "\u200e"
# Babel puts another numbering system's separators, but leaves the digits Latin; these it is told to use in full.
_ZERO_DIGITS = {"arab": "٠", "arabext": "۰", "beng": "০", "deva": "०"}
# A compact form that is not compact
_LONG = re.compile(r"\d{4}")
_MAX_DIGITS = 300
_WIDE = decimal.Context(prec=2 * _MAX_DIGITS, rounding=decimal.ROUND_HALF_UP)


def number(value: Number | None, digits: int = 0) -> str:
    """`value` with exactly `digits` decimals: 1,234.5."""
    rounded = _rounded(value, digits)
    return NOTHING if rounded is None else _signed(_cldr(numbers.format_decimal, rounded, "#,##0" + _zeros(digits)))


def quantity(value: Number | None, digits: int = 3) -> str:
    """`value` with at most `digits` decimals, none where it is whole: 12, 0.375."""
    rounded = _rounded(value, digits)
    return NOTHING if rounded is None else _signed(_cldr(numbers.format_decimal, rounded, "#,##0." + "#" * digits))


def compact(value: Number | None, digits: int = 1) -> str:
    """`value` shortened as the language does it, to at most `digits` decimals: 12.3K, 1,2 Mio."""
    exact = _exact(value)
    if exact is None:
        return NOTHING
    shown = _shortened(exact, lambda short: _cldr(numbers.format_compact_decimal, short, fraction_digits=digits))
    return number(exact) if shown is None else _signed(shown)


def money(
    value: Number | None, currency: str | None = None, *, compact: bool = False, digits: int | None = None
) -> str:
    """`value` currency units: €1,234.50; `compact`: €1.2K. Decimals are the currency's own unless `digits` says otherwise.

    `currency` is an ISO 4217 code; without one the reader's, and without that either the bare number with two decimals.
    """
    exact, code = _exact(value), currency or current().currency
    if exact is None:
        return NOTHING
    if compact:
        shown = _compact_money(exact, code, 1 if digits is None else digits)
        return money(exact, code, digits=0) if shown is None else _signed(_spaced(shown))
    places = digits if digits is not None else numbers.get_currency_precision(code) if code else 2
    if not code:
        return number(exact, places)
    pattern = _with_digits(locale().currency_formats["standard"].pattern, places)
    rounded = _quantized(exact, places)
    return _signed(_spaced(_cldr(numbers.format_currency, rounded, code, pattern, currency_digits=False)))


def _compact_money(exact: Decimal, code: str, digits: int) -> str | None:
    if code:
        return _shortened(
            exact, lambda short: _cldr(numbers.format_compact_currency, short, code, fraction_digits=digits)
        )
    return _shortened(exact, lambda short: _cldr(numbers.format_compact_decimal, short, fraction_digits=digits))


def _shortened(exact: Decimal, shorten: Callable[[Decimal], str]) -> str | None:
    """What `shorten` makes of `exact`, or None if the language has no short form of that size (German has none of thousands)."""
    shown = shorten(exact)
    if _LONG.search(shown):
        # 999,999 would be 1000K; rounded first, it is 1M.
        shown = shorten(Decimal(f"{exact:.2E}"))
    return None if _LONG.search(shown) else shown


def _spaced(amount: str) -> str:
    """`amount` with a space between a currency written in letters and its number, which CLDR asks for and Babel leaves out."""
    return re.sub(r"(?<=[^\W\d_])(?=[-\d])", "\xa0", amount)


def percent(value: Number | None, digits: int = 1, *, signed: bool = False) -> str:
    """The fraction `value` as a percentage: 0.123 is 12.3%; `signed` puts a plus before an increase."""
    rounded = _rounded(value, digits + 2)
    if rounded is None:
        return NOTHING
    pattern = _with_digits(locale().percent_formats[None].pattern, digits)
    text = _cldr(numbers.format_percent, rounded, pattern)
    return _signed("+" + text if signed and rounded > 0 else text)


def change(value: Number | None, digits: int = 1) -> str:
    """The relative change `value` (0.123 = 12.3 % up) with arrow and sign, so that it needs no colour: ▲ +12.3%."""
    rounded = _rounded(value, digits + 2)
    if rounded is None:
        return NOTHING
    arrow = UP if rounded > 0 else DOWN if rounded < 0 else FLAT
    return f"{arrow} {percent(rounded, digits, signed=True)}"


def change_words(value: Number | None, digits: int = 1) -> str:
    """The relative change `value` as words, for a screen reader or a sentence: up 12.3%."""
    rounded = _rounded(value, digits + 2)
    if rounded is None:
        return _("no comparison")
    if rounded == 0:
        return _("unchanged")
    amount = percent(abs(rounded), digits)
    return _("up {percent}", percent=amount) if rounded > 0 else _("down {percent}", percent=amount)


def locale() -> Locale:
    """The Babel locale that numbers and dates are formatted by: the reader's number locale if known, else the language's."""
    return _locale(current())


@lru_cache(maxsize=256)
def _locale(preferences: Preferences) -> Locale:
    if preferences.number_locale:
        try:
            return Locale.parse(preferences.number_locale.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            pass  # a stored preference of an older version must not break a page
    return Locale.parse(preferences.language, sep="-")


def words() -> Locale:
    """The locale for phrases such as "2 minutes ago": never of another language than the text around them."""
    shown = locale()
    return shown if shown.language == current().language else Locale.parse(current().language, sep="-")


def finish(text: str) -> str:
    """`text`, formatted by Babel, with the locale's own digits and safe to stand inside a right-to-left sentence."""
    zero = _ZERO_DIGITS.get(_system())
    if zero:
        text = text.translate(_digits(zero))
    return text if text.isdecimal() else isolated(text)


def isolated(text: str) -> str:
    """A name, an address or a command, safe to stand inside a right-to-left sentence."""
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if locale().character_order == "right-to-left" else text


def _signed(text: str) -> str:
    """`finish` for a number, whose hyphen becomes a true minus sign."""
    text = text.replace("-", MINUS)
    if locale().character_order == "right-to-left":
        # The mark ties the sign to the left of its number, as CLDR's own Arabic symbols do.
        text = re.sub(f"[+{MINUS}]", lambda sign: _LEFT_TO_RIGHT + sign[0], text)
        # And another ties a sign to the letters before it: US$, which would read $US
        text = re.sub(r"(?<=[A-Z])[$£¥]", lambda sign: sign[0] + _LEFT_TO_RIGHT, text)
    return finish(text)


@lru_cache(maxsize=8)
def _digits(zero: str) -> dict[int, str]:
    return {ord("0") + i: chr(ord(zero) + i) for i in range(10)}


def _system() -> str:
    system = locale().default_numbering_system
    return system if system in _ZERO_DIGITS else "latn"


def _exact(value: Number | None) -> Decimal | None:
    if value is None:
        return None
    exact = value if isinstance(value, Decimal) else Decimal(value if isinstance(value, int) else str(value))
    return exact if exact.is_finite() and exact.adjusted() < _MAX_DIGITS else None


def _rounded(value: Number | None, digits: int) -> Decimal | None:
    exact = _exact(value)
    return None if exact is None else _quantized(exact, digits)


def _quantized(exact: Decimal, digits: int) -> Decimal:
    """`exact` to `digits` decimals, halves away from zero as people expect of amounts; never a negative zero."""
    rounded = exact.quantize(Decimal(1).scaleb(-digits), context=_WIDE)
    return rounded or abs(rounded)


def _cldr(form: Callable[..., str], value: Decimal, *args: object, **options: object) -> str:
    """Babel's `form` of `value` in the reader's locale, with more digits than the 28 that Decimal keeps by itself."""
    with decimal.localcontext(_WIDE):
        return form(value, *args, locale=locale(), numbering_system=_system(), **options)


def _zeros(digits: int) -> str:
    return "." + "0" * digits if digits else ""


@lru_cache(maxsize=256)
def _with_digits(pattern: str, digits: int) -> str:
    """The CLDR `pattern` with `digits` decimals in each of its halves instead of its own."""
    return re.sub(r"0(\.0+)?(?=[^0#.,]|$)", "0" + _zeros(digits), pattern)
