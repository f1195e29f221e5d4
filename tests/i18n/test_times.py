"""Dates, times and spans as each reader writes them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from nebuloviz.i18n import (
    Preferences,
    bucket_label,
    date_range,
    duration,
    format_date,
    format_datetime,
    format_time,
    moment_range,
    relative,
    use,
)
from nebuloviz.settings import SUPPORTED_LANGUAGES

NOW = datetime(2026, 11, 22, 20, 5, 30, tzinfo=UTC)
DAY = date(2026, 11, 22)
MIDNIGHT = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)  # of the reader
GRAINS = ("minute", "hour", "day", "week", "month", "quarter", "year")


@pytest.mark.parametrize(
    ("language", "shown", "expected"),
    [
        ("en", lambda: format_date(DAY), "Nov 22, 2026"),
        ("de", lambda: format_date(DAY), "22.11.2026"),
        ("es", lambda: format_date(DAY), "22 nov 2026"),
        ("de", lambda: format_date(DAY, "full"), "Sonntag, 22. November 2026"),
        ("de", lambda: format_date(NOW), "23.11.2026"),
        ("de", lambda: format_time(NOW), "01:35"),
        ("en", lambda: format_time(NOW), "1:35\u202fAM"),
        ("de", lambda: format_datetime(NOW), "23.11.2026, 01:35"),
        ("en", lambda: format_datetime(NOW), "Nov 23, 2026, 1:35\u202fAM"),
        ("en", lambda: date_range(DAY, date(2026, 12, 12)), "Nov 22\u2009–\u2009Dec 12, 2026"),
        ("de", lambda: date_range(DAY, date(2026, 11, 30)), "22.–30. Nov. 2026"),
        ("en", lambda: date_range(DAY, DAY), "Nov 22, 2026"),
        ("de", lambda: moment_range(NOW, NOW + timedelta(hours=1)), "23.11.2026, 01:35 – 02:35"),
        (
            "en",
            lambda: moment_range(MIDNIGHT - timedelta(hours=1), MIDNIGHT),
            "Nov 22, 2026, 11:00\u202fPM – 12:00\u202fAM",
        ),
        ("de", lambda: moment_range(NOW, NOW + timedelta(days=1)), "23.11.2026, 01:35 – 24.11.2026, 01:35"),
        ("de", lambda: moment_range(MIDNIGHT, MIDNIGHT + timedelta(days=1)), "23.11.2026"),
        ("de", lambda: moment_range(MIDNIGHT, MIDNIGHT + timedelta(days=7)), "23.–29. Nov. 2026"),
        ("en", lambda: relative(120), "2 minutes ago"),
        ("de", lambda: relative(120), "vor 2 Minuten"),
        ("en", lambda: relative(0.3), "just now"),
        ("en", lambda: relative(-86_400), "in 1 day"),
        ("en", lambda: relative(50 * 3600), "2 days ago"),
        ("en", lambda: duration(0), "0 s"),
        ("en", lambda: duration(40.2), "40 s"),
        ("en", lambda: duration(3905), "1 h 5 min"),
        ("en", lambda: duration(86_405), "1 d"),
        ("en", lambda: duration(3600), "1 h"),
        ("en", lambda: duration(200_000), "2 d 7 h"),
    ],
)
def test_times(language: str, shown: Callable[[], str], expected: str) -> None:
    with use(Preferences(language=language, time_zone="Asia/Kolkata")):
        assert shown() == expected


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        (
            "en",
            [
                "Nov 22, 8:05\u202fPM",
                "Nov 22, 8:05\u202fPM",
                "Sun, Nov 22, 2026",
                "Nov 22, 2026",
                "Nov 2026",
                "Q4 2026",
                "2026",
            ],
        ),
        (
            "de",
            [
                "22. Nov., 20:05",
                "22. Nov., 20:05",
                "So., 22. Nov. 2026",
                "22.11.2026",
                "Nov. 2026",
                "Q4 2026",
                "2026",
            ],
        ),
    ],
)
def test_a_bucket_is_named_by_its_grain(language: str, labels: list[str]) -> None:
    with use(Preferences(language=language)):
        shown = [bucket_label(NOW, grain) for grain in GRAINS]
    assert shown[3] != labels[3], "a week is not a day"
    assert shown[3].endswith(labels[3])
    assert shown[:3] + shown[4:] == labels[:3] + labels[4:]


def test_a_quarter_of_an_hour_is_named_like_a_minute() -> None:
    assert bucket_label(NOW, "quarter_hour") == bucket_label(NOW, "minute")


def test_an_unknown_grain_is_refused() -> None:
    with pytest.raises(ValueError, match="fortnight"):
        bucket_label(DAY, "fortnight")


def test_a_day_is_no_bucket_of_an_hour() -> None:
    with pytest.raises(TypeError):
        bucket_label(DAY, "hour")


@pytest.mark.parametrize("value", [None, pd.NaT])
def test_no_time_is_a_dash(value: datetime | None) -> None:
    shown = [
        format_date(value),
        format_time(value),
        format_datetime(value),
        date_range(value, DAY),
        date_range(DAY, value),
    ]
    assert [*shown, *(bucket_label(value, grain) for grain in GRAINS)] == ["–"] * (5 + len(GRAINS))


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 1e300])
def test_no_span_is_a_dash(value: float | None) -> None:
    assert (relative(value), duration(value)) == ("–", "–")


@pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
@pytest.mark.parametrize("style", ["short", "medium", "long", "full"])
def test_every_style_exists_in_every_language(language: str, style: str) -> None:
    with use(Preferences(language=language)):
        for shown in (format_date(NOW, style), format_datetime(NOW, style), format_time(NOW, style)):  # type: ignore[arg-type]  # the table's strings are the styles
            assert any(character.isdecimal() for character in shown)
            assert not {"{", "'"} & set(shown)


class TestOtherPlaces:
    def test_dates_have_the_places_digits(self) -> None:
        with use(Preferences(language="ar", number_locale="ar-EG")):
            assert "٢٠٢٦" in format_date(DAY)

    def test_phrases_keep_the_language_of_the_page(self) -> None:
        with use(Preferences(language="en", number_locale="de-CH")):
            assert relative(120) == "2 minutes ago"

    def test_a_hyphen_in_a_date_is_no_minus(self) -> None:
        with use(Preferences(language="en", number_locale="en-CA")):
            assert format_date(DAY, "short") == "2026-11-22"


def test_quarters_and_years_of_another_year_than_the_calendar_s_are_named_by_their_months() -> None:
    with use(Preferences("en", year_start=4)):
        assert bucket_label(date(2026, 4, 1), "quarter") == "Apr\u2009–\u2009Jun 2026"
        assert bucket_label(date(2026, 4, 1), "year") == "Apr 2026\u2009–\u2009Mar 2027"
    with use(Preferences("en")):
        assert bucket_label(date(2026, 4, 1), "quarter") == "Q2 2026"
