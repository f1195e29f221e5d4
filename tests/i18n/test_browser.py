"""Locales for Plotly, AG Grid and the date pickers."""

import json
import re
from pathlib import Path

import plotly
import pytest

from nebuloviz.i18n import Preferences, ag_grid_locale, date_picker_locale, plotly_locale, use
from nebuloviz.settings import SUPPORTED_LANGUAGES

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
class TestEveryLanguage:
    def test_plotly_gets_a_complete_module(self, language: str) -> None:
        locale = json.loads(json.dumps(plotly_locale(language)))
        assert (locale["moduleType"], locale["name"]) == ("locale", language)
        names = {key: len(locale["format"][key]) for key in ("days", "shortDays", "months", "shortMonths", "periods")}
        assert names == {"days": 7, "shortDays": 7, "months": 12, "shortMonths": 12, "periods": 2}
        assert all(locale["dictionary"].values())

    def test_plotlys_dates_hold_directives_only(self, language: str) -> None:
        formats = plotly_locale(language)["format"]
        for key in ("dateTime", "date", "time", "year", "month", "dayMonth", "dayMonthYear"):
            assert "%" in formats[key]
            assert not re.search(r"[A-Za-z']", re.sub(r"%-?[A-Za-z]", "", formats[key])), formats[key]

    def test_the_grid_has_the_same_texts_in_each(self, language: str) -> None:
        texts = ag_grid_locale(language)
        assert texts.keys() == ag_grid_locale("en").keys()
        assert all(texts.values())

    def test_the_pickers_have_all_names(self, language: str) -> None:
        locale = json.loads(json.dumps(date_picker_locale(language)))
        assert {len(names) for names in locale["months"].values()} == {12}
        assert {len(names) for names in locale["days"].values()} == {7}
        assert re.fullmatch(r"(D{1,2}|M{1,2}|YYYY)[./-](D{1,2}|M{1,2})[./-](D{1,2}|YYYY)", locale["displayFormat"])


class TestPlotly:
    def test_names_start_with_sunday_and_january(self) -> None:
        formats = plotly_locale("de")["format"]
        assert (formats["days"][0], formats["days"][1], formats["months"][2]) == ("Sonntag", "Montag", "März")

    def test_formats_are_those_of_the_language(self) -> None:
        formats = plotly_locale("de", "EUR")["format"]
        assert (formats["decimal"], formats["thousands"], formats["currency"]) == (",", ".", ["", "\xa0€"])
        assert (formats["date"], formats["time"], formats["dayMonthYear"]) == ("%d.%m.%Y", "%H:%M:%S", "%-d. %b %Y")
        assert plotly_locale("en", "USD")["format"]["currency"] == ["$", ""]

    def test_it_translates_texts_that_plotly_has(self) -> None:
        script = PLOTLY_JS.read_text(encoding="utf-8")
        missing = [text for text in plotly_locale("en")["dictionary"] if json.dumps(text)[1:-1] not in script]
        assert not missing


class TestDatePicker:
    def test_weeks_start_where_the_reader_starts_them(self) -> None:
        with use(Preferences(week_start=6)):
            assert date_picker_locale("en")["weekStartsOn"] == 0
        assert date_picker_locale("en", week_start=0)["weekStartsOn"] == 1

    def test_arabic_runs_from_right_to_left(self) -> None:
        assert [date_picker_locale(language)["rtl"] for language in ("en", "ar")] == [False, True]
