"""Translated and lazy text, and the choice of a language."""

import copy
import json
import pickle
from pathlib import Path

import plotly.graph_objects as go
import pytest
from dash import html
from plotly.io.json import to_json_plotly

from nebuloviz.i18n import Preferences, _, choose_language, is_rtl, lazy, mid_sentence, ngettext, pgettext, text, use
from nebuloviz.settings import SUPPORTED_LANGUAGES

CATALOG = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: {plurals}\\n"

msgid "Sales"
msgstr "{sales}"

msgid "Sales of {{region}}"
msgstr "{sales}: {{region}}"

msgctxt "order of rows"
msgid "Order"
msgstr "Reihenfolge"

#, fuzzy
msgid "Margin"
msgstr "not checked by anyone"

msgid "{{n}} order"
msgid_plural "{{n}} orders"
{forms}
"""
ARABIC_PLURALS = (
    "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5)"
)


@pytest.fixture(autouse=True)
def _catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small German and Arabic catalogs; English and Spanish have none."""
    for language, sales, plurals, count in (
        ("de", "Verkäufe", "nplurals=2; plural=(n != 1)", 2),
        ("ar", "المبيعات", ARABIC_PLURALS, 6),
    ):
        forms = "\n".join(f'msgstr[{i}] "{{n}} form {i}"' for i in range(count))
        path = tmp_path / language / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True)
        path.write_text(CATALOG.format(plurals=plurals, sales=sales, forms=forms), encoding="utf-8")
    monkeypatch.setattr(text, "TRANSLATIONS", tmp_path)


class TestGettext:
    @pytest.mark.parametrize(
        ("language", "expected"), [("en", "Sales"), ("de", "Verkäufe"), ("es", "Sales"), ("ar", "المبيعات")]
    )
    def test_the_readers_language_or_else_english(self, language: str, expected: str) -> None:
        with use(Preferences(language=language)):
            assert _("Sales") == expected

    def test_placeholders_are_filled_only_from_values(self) -> None:
        with use(Preferences(language="de")):
            assert _("Sales of {region}", region="{West}") == "Verkäufe: {West}"
            assert _("Unknown {text}") == "Unknown {text}"

    def test_an_unchecked_translation_is_not_shown(self) -> None:
        with use(Preferences(language="de")):
            assert _("Margin") == "Margin"

    def test_a_context_tells_two_meanings_apart(self) -> None:
        with use(Preferences(language="de")):
            assert (pgettext("order of rows", "Order"), pgettext("a purchase", "Order")) == ("Reihenfolge", "Order")

    @pytest.mark.parametrize(
        ("language", "n", "expected"),
        [
            ("en", 1, "1 order"),
            ("en", 0, "0 orders"),
            ("de", 2, "2 form 1"),
            ("ar", 0, "0 form 0"),
            ("ar", 2, "2 form 2"),
            ("ar", 7, "7 form 3"),
            ("ar", 100, "100 form 5"),
        ],
    )
    def test_plurals_follow_the_language(self, language: str, n: int, expected: str) -> None:
        with use(Preferences(language=language)):
            assert ngettext("{n} order", "{n} orders", n, n=n) == expected


class TestMidSentence:
    @pytest.mark.parametrize(
        ("language", "label", "expected"), [("en", "Category", "category"), ("de", "Kategorie", "Kategorie")]
    )
    def test_a_noun_keeps_its_capital_where_the_language_wants_it(
        self, language: str, label: str, expected: str
    ) -> None:
        with use(Preferences(language=language)):
            assert mid_sentence(label) == expected


class TestLazy:
    label = lazy("Sales")

    def test_it_is_translated_when_it_is_shown(self) -> None:
        shown = []
        for language in ("en", "de", "en"):
            with use(Preferences(language=language)):
                shown.append(f"{self.label:>8}|{self.label}|" + self.label + "|".__add__(str(self.label)))
        assert shown == [
            "   Sales|Sales|Sales|Sales",
            "Verkäufe|Verkäufe|Verkäufe|Verkäufe",
            "   Sales|Sales|Sales|Sales",
        ]

    def test_it_has_the_methods_of_text(self) -> None:
        with use(Preferences(language="de")):
            assert (self.label.upper(), len(self.label), "> " + self.label) == ("VERKÄUFE", 8, "> Verkäufe")

    def test_its_placeholders_are_filled_when_it_is_shown(self) -> None:
        of_sales = lazy("Sales of {region}", region=lazy("Sales"))
        with use(Preferences(language="de")):
            assert str(of_sales) == "Verkäufe: Verkäufe"

    def test_dash_and_plotly_write_it_in_the_readers_language(self) -> None:
        figure = go.Figure(layout={"meta": {"label": self.label}})
        page = html.Div(self.label, title=self.label)  # type: ignore[arg-type]  # Dash's stubs know plain text only
        with use(Preferences(language="de")):
            assert json.loads(to_json_plotly(page))["props"] == {"children": "Verkäufe", "title": "Verkäufe"}
            assert json.loads(figure.to_json())["layout"]["meta"]["label"] == "Verkäufe"
            assert json.loads(to_json_plotly({"options": [{"label": self.label, "value": 1}]}, engine="json")) == {
                "options": [{"label": "Verkäufe", "value": 1}]
            }

    def test_it_can_be_copied_pickled_and_compared(self) -> None:
        for twin in (copy.deepcopy(self.label), pickle.loads(pickle.dumps(self.label)), lazy("Sales")):  # noqa: S301 - our own
            assert twin == self.label
            assert {self.label: 1}[twin] == 1

    def test_it_pretends_no_protocol_that_it_lacks(self) -> None:
        assert not hasattr(self.label, "__array__")
        assert not hasattr(self.label, "_repr_html_")


@pytest.mark.parametrize(
    ("header", "preferred", "expected"),
    [
        (None, None, "en"),
        ("", "de", "de"),
        ("ar", "de", "de"),
        ("ar", "tlh", "ar"),
        ("de-AT,de;q=0.9,en;q=0.8", None, "de"),
        ("fr-FR, fr;q=0.9, es;q=0.5, en;q=0.7", None, "en"),
        ("en;q=0, es;q=0.1", None, "es"),
        ("AR-eg", None, "ar"),
        ("*", None, "en"),
        ("tlh, *;q=0.1", None, "en"),
        ("de;q=abc, es", None, "es"),
        ("de;q=nan, es;q=0.2", None, "es"),
        ("; ; ,,;q=1," + "x" * 100_000, None, "en"),
    ],
)
def test_the_language_is_the_users_choice_or_else_the_browsers_best(
    header: str | None, preferred: str | None, expected: str
) -> None:
    assert choose_language(header, preferred) == expected


def test_only_arabic_of_our_languages_runs_from_right_to_left() -> None:
    assert [language for language in SUPPORTED_LANGUAGES if is_rtl(language)] == ["ar"]
