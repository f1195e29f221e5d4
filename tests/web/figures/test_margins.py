"""Charts make room for their labels beforehand: Plotly would draw a chart twice to find out by itself."""

from __future__ import annotations

from typing import Any

import pytest

from nebuloviz.web.figures.margins import margins, text_width

LABELLED = {"ticktext": ["$1.2M"], "tickangle": 0}


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("$1K", "$1,000K"),
        ("ill", "WWW"),
        ("abc", "ABC"),
        ("Jan 1", "Jan 1 <br>September 2026"),
        ("<b>x</b>", "xyz"),
        ("&amp;", "&&"),
        ("مليون", "million 1"),
        ("e\u0301", "ee"),
    ],
)
def test_more_or_larger_letters_are_wider(shorter: str, longer: str) -> None:
    assert 0 < text_width(shorter, 12) < text_width(longer, 12)


def test_letters_grow_with_the_font() -> None:
    assert text_width("Revenue", 24) == pytest.approx(2 * text_width("Revenue", 12), abs=1)


@pytest.mark.parametrize(
    ("layout", "side"),
    [
        ({"yaxis": LABELLED}, "l"),
        ({"xaxis": LABELLED}, "b"),
        ({"showlegend": True}, "t"),
    ],
)
def test_labels_get_room_on_their_side(layout: dict[str, Any], side: str) -> None:
    assert margins(layout, [])[side] > margins({}, [])[side]


@pytest.mark.parametrize("axis", [{"visible": False}, {"showticklabels": False}, {"tickangle": None}])
def test_labels_that_are_not_shown_or_turned_get_none(axis: dict[str, Any]) -> None:
    assert margins({"xaxis": LABELLED | axis}, [])["b"] == margins({}, [])["b"]


def test_a_colour_bar_gets_room_for_its_numbers() -> None:
    bar = {"colorbar": {"ticktext": ["0", "$1.2M"]}}
    assert margins({}, [bar])["r"] > margins({}, [])["r"] + text_width("$1.2M", 11)
    assert margins({}, [bar | {"showscale": False}]) == margins({}, [])


def test_a_margin_that_a_chart_sets_itself_stays() -> None:
    assert margins({"yaxis": LABELLED, "margin": {"l": 0, "r": 3}}, [])["l"] == 0
