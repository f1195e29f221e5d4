"""Numbers and amounts as each reader writes them."""

import unicodedata
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nebuloviz.i18n import Preferences, change, change_words, compact, money, number, percent, quantity, use
from nebuloviz.settings import SUPPORTED_LANGUAGES

NBSP = "\xa0"
FORMATTERS: list[Callable[..., str]] = [number, quantity, compact, money, percent, change, change_words]


@pytest.mark.parametrize(
    ("language", "shown", "expected"),
    [
        ("en", lambda: number(-1234567.5, 1), "−1,234,567.5"),
        ("de", lambda: number(-1234567.5, 1), "−1.234.567,5"),
        ("es", lambda: number(1234567), "1.234.567"),
        ("en", lambda: number(-0.4), "0"),
        ("en", lambda: number(2.5), "3"),
        ("en", lambda: number(Decimal("1e30"), 2), "1,000,000,000,000,000,000,000,000,000,000.00"),
        ("en", lambda: number(10**400), "–"),
        ("en", lambda: number(int(np.int64(1234))), "1,234"),
        ("en", lambda: number(np.float64(0.5), 1), "0.5"),
        ("en", lambda: quantity(12), "12"),
        ("de", lambda: quantity(0.3754), "0,375"),
        ("en", lambda: compact(12345), "12.3K"),
        ("de", lambda: compact(12345), "12.345"),
        ("de", lambda: compact(1234567), f"1,2{NBSP}Mio."),
        ("es", lambda: compact(12345), f"12,3{NBSP}mil"),
        ("en", lambda: compact(-999999), "−1M"),
        ("en", lambda: percent(0.12345), "12.3%"),
        ("de", lambda: percent(0.12345, 2), f"12,35{NBSP}%"),
        ("en", lambda: percent(0.1, 0, signed=True), "+10%"),
        ("en", lambda: percent(-0.0004, 1, signed=True), "0.0%"),
        ("en", lambda: change(0.123), "▲ +12.3%"),
        ("en", lambda: change(-0.031), "▼ −3.1%"),
        ("en", lambda: change(0.0001), "■ 0.0%"),
        ("en", lambda: change_words(0.2), "up 20.0%"),
        ("en", lambda: change_words(-0.2), "down 20.0%"),
        ("en", lambda: change_words(0), "unchanged"),
    ],
)
def test_numbers(language: str, shown: Callable[[], str], expected: str) -> None:
    with use(Preferences(language=language)):
        assert shown() == expected


@pytest.mark.parametrize(
    ("language", "currency", "shown", "expected"),
    [
        ("en", "EUR", lambda: money(-1234.5), "−€1,234.50"),
        ("de", "EUR", lambda: money(-1234.5), f"−1.234,50{NBSP}€"),
        ("es", "EUR", lambda: money(1234.5), f"1.234,50{NBSP}€"),
        ("en", "USD", lambda: money(1.005), "$1.01"),
        ("en", "USD", lambda: money(5, "JPY"), "¥5"),
        ("en", "KWD", lambda: money(5), f"KWD{NBSP}5.000"),
        ("en", "CHF", lambda: money(-5), f"−CHF{NBSP}5.00"),
        ("en", "CHF", lambda: money(12345, compact=True), f"CHF{NBSP}12.3K"),
        ("en", "USD", lambda: money(1234.5, digits=0), "$1,235"),
        ("en", "USD", lambda: money(1234567, compact=True), "$1.2M"),
        ("de", "EUR", lambda: money(1234567, compact=True), f"1,2{NBSP}Mio.{NBSP}€"),
        ("de", "EUR", lambda: money(12345, compact=True), f"12.345{NBSP}€"),
        ("en", "", lambda: money(1234.5), "1,234.50"),
        ("en", "", lambda: money(1234567, compact=True), "1.2M"),
    ],
)
def test_amounts(language: str, currency: str, shown: Callable[[], str], expected: str) -> None:
    with use(Preferences(language=language, currency=currency)):
        assert shown() == expected


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), np.nan])
@pytest.mark.parametrize("formatter", FORMATTERS)
def test_what_is_no_number_is_a_dash(formatter: Callable[..., str], value: float | None) -> None:
    assert formatter(value) == ("no comparison" if formatter is change_words else "–")


@pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
@settings(deadline=None)  # the first value of a language loads its data
@given(value=st.one_of(st.floats(), st.decimals(), st.integers()))
def test_any_value_is_shown_in_any_language(language: str, value: float) -> None:
    with use(Preferences(language=language, currency="EUR")):
        for formatter in FORMATTERS:
            assert formatter(value)
        assert money(value, compact=True)


class TestNumberLocale:
    @pytest.mark.parametrize(
        ("number_locale", "expected"),
        [
            ("de-CH", "1’234.5"),
            ("en_IN", "1,234.5"),
            ("fr", "1\u202f234,5"),
            ("nonsense", "1,234.5"),
            ("x" * 99, "1,234.5"),
        ],
    )
    def test_numbers_follow_it_where_it_is_known(self, number_locale: str, expected: str) -> None:
        with use(Preferences(number_locale=number_locale)):
            assert number(1234.5, 1) == expected


class TestRightToLeft:
    @pytest.mark.parametrize("formatter", [number, compact, money, percent])
    def test_the_sign_stays_left_of_its_number_and_the_whole_together(self, formatter: Callable[..., str]) -> None:
        with use(Preferences(language="ar", currency="EUR")):
            text = formatter(-1234)
        assert (text[0], text[-1]) == ("\u2068", "\u2069")
        assert "\u200e−" in text
        assert unicodedata.bidirectional(text[text.index("−") + 1]) == "EN"

    def test_a_sign_stays_with_the_letters_of_its_currency(self) -> None:
        with use(Preferences(language="ar", currency="USD")):
            assert "US$\u200e" in money(5)

    def test_a_plain_number_needs_no_marks(self) -> None:
        with use(Preferences(language="ar")):
            assert number(12) == "12"

    def test_digits_are_those_of_the_place(self) -> None:
        with use(Preferences(language="ar", number_locale="ar-EG")):
            assert number(1234.5, 1).strip("\u2068\u2069") == "١٬٢٣٤٫٥"

    def test_left_to_right_text_has_no_marks(self) -> None:
        with use(Preferences(currency="EUR")):
            assert not {"\u2068", "\u2069", "\u200e"} & set(money(-1234) + percent(-0.1) + change(0.1))
