from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.services.interfaces import OTHER
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import figures
from nebuloviz.web.figures import AnomalyMark, Click, Style, clicked
from tests.web.figures.frames import (
    BERLIN,
    DISCOUNT,
    ORDERS,
    REVENUE,
    days,
    forecast,
    parts,
    planned,
    split,
    with_all,
)

HOSTILE = '<b>Bold</b> <a href="javascript:alert(1)">x</a> & %{y} <extra></extra>'
STYLE = Style(comparison="same days last week")


def names(value: str) -> pd.DataFrame:
    return parts(value, "Bakery", "", OTHER)


def rung(value: str) -> AnomalyMark:
    return AnomalyMark(days()["bucket"][3].to_pydatetime(), 1.0, "high", 3, value)


#: Each kind of figure, with a foreign text wherever one can stand.
FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "trend": lambda value: figures.trend(with_all(days()), REVENUE, "day", anomalies=[rung(value)], style=STYLE),
    "ahead": lambda value: figures.trend(
        with_all(days()), REVENUE, "day", anomalies=[rung(value)], ahead=forecast(), style=STYLE
    ),
    "planned": lambda value: figures.trend(with_all(days()), REVENUE, "day", planned=[planned(value)], style=STYLE),
    "split": lambda value: figures.trend(split(value, "Bakery"), REVENUE, "day", split="category", style=STYLE),
    "many": lambda value: figures.trend(split(value, *"abcdef"), REVENUE, "day", split="category", style=STYLE),
    "stacked": lambda value: figures.stacked(split(value, "Bakery", OTHER), REVENUE, "category", "day", style=STYLE),
    "area": lambda value: figures.stacked(split(value, OTHER), REVENUE, "category", "day", kind="area", style=STYLE),
    "bars": lambda value: figures.bars(
        names(value).assign(**{"revenue:comparison": 1.0}), REVENUE, "category", style=STYLE
    ),
    "treemap": lambda value: figures.treemap(names(value), REVENUE, ["category"], style=STYLE),
    "heat_map": lambda _value: figures.heat_map(days(48, grain="h"), REVENUE, style=STYLE),
    "scatter": lambda value: figures.scatter(names(value), REVENUE, DISCOUNT, "category", size=ORDERS, style=STYLE),
    "empty": lambda _value: figures.trend(days(0), REVENUE, "day", style=STYLE),
}


def shown(drawn: go.Figure) -> Iterator[str]:
    """All text of a figure that Plotly draws; ids, categories and filters of clicks hold the raw values."""
    yield from (note.text for note in drawn.layout.annotations)
    yield from (text for axis in (drawn.layout.xaxis, drawn.layout.yaxis) for text in axis.ticktext or ())
    yield from (axis.title.text or "" for axis in (drawn.layout.xaxis, drawn.layout.yaxis))
    for item in drawn.data:
        yield from (item.name or "", str(item.hovertemplate or ""), *map(str, item.text or ()))
        yield from map(str, item.labels or ()) if item.type == "treemap" else ()
        yield from (marks if item.type == "heatmap" else marks[3] for marks in _rows(item))


def _rows(item: Any) -> list[Any]:
    rows = [] if item.customdata is None else list(item.customdata)
    return [cell for row in rows for cell in row] if item.type == "heatmap" else rows


class TestEveryFigure:
    @pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
    @pytest.mark.parametrize("name", FIGURES)
    def test_can_be_sent_to_the_browser(self, name: str, language: str) -> None:
        with use(Preferences(language, BERLIN, "EUR")):
            drawn = json.loads(FIGURES[name]("Dairy").to_json())
        assert drawn["layout"]["uirevision"]
        assert drawn["layout"]["meta"]["title"]

    @pytest.mark.parametrize("name", FIGURES)
    def test_shows_hostile_names_literally(self, name: str) -> None:
        seen = " ".join(shown(FIGURES[name](HOSTILE)))
        assert "<b>Bold" not in seen
        assert "<a" not in seen
        assert "<extra" not in seen.replace("}<extra></extra>", "")
        assert ("&lt;b&gt;Bold" in seen) is (name not in {"heat_map", "empty"})

    @pytest.mark.parametrize("name", FIGURES)
    def test_is_what_plotly_accepts(self, name: str) -> None:
        drawn = FIGURES[name]("Dairy").to_plotly_json()
        go.Figure(data=drawn["data"], layout=drawn["layout"])  # raises ValueError for any property that is not

    @pytest.mark.parametrize("name", FIGURES)
    def test_has_one_value_axis_and_no_pie(self, name: str) -> None:
        drawn = FIGURES[name]("Dairy")
        assert "yaxis2" not in drawn.layout.to_plotly_json()
        assert not {"pie", "sunburst"} & {item.type for item in drawn.data}

    def test_the_title_states_metric_and_unit(self) -> None:
        titles = {name: made("Dairy").layout.meta["title"] for name, made in FIGURES.items()}
        assert (titles["trend"], titles["bars"]) == ("Revenue, USD", "Revenue by category, USD")
        assert titles["heat_map"] == "Revenue per hour and weekday, USD"
        assert titles["scatter"] == "Discount rate, % against Revenue, USD"

    def test_a_refresh_keeps_the_zoom_and_another_question_does_not(self) -> None:
        asked = [Style(revision="a"), Style(revision="a"), Style(revision="b")]
        first, refreshed, other = (
            figures.trend(days(n + 5), REVENUE, "day", style=s).layout.uirevision for n, s in enumerate(asked)
        )
        assert first == refreshed != other


class TestConfig:
    @pytest.mark.parametrize("config", [figures.CONFIG, figures.config("x"), figures.config(mode_bar=False)])
    def test_nothing_is_sent_away(self, config: dict[str, Any]) -> None:
        assert config["showSendToCloud"] is False
        assert config["displaylogo"] is False
        assert config["modeBarButtons"] == [["toImage"]]

    def test_speaks_the_readers_language(self) -> None:
        with use(Preferences("de")):
            assert figures.config("revenue")["locale"] == "de"
            assert figures.config("revenue")["toImageButtonOptions"]["filename"] == "revenue"


class TestClicked:
    @pytest.mark.parametrize(
        "data",
        [None, "x", {}, {"points": None}, {"points": []}, {"points": ["x"]}, {"points": [{}]}, {"points": [{"customdata": [1]}]},
         {"points": [{"customdata": ["x", "y", "z"]}]}, {"points": [{"customdata": [None, [[1, 2]], None]}]}],
    )  # fmt: skip
    def test_what_is_not_ours_means_nothing(self, data: Any) -> None:
        assert clicked(data) is None

    @pytest.mark.parametrize("bucket", ["yesterday", 5, "2026-11-22T10:00:00"])
    def test_a_moment_without_a_zone_is_none(self, bucket: object) -> None:
        assert clicked({"points": [{"customdata": [bucket, [], None]}]}) == Click()

    def test_a_shared_hover_means_the_bucket_and_what_all_have_in_common(self) -> None:
        at = "2026-11-22T10:00:00+00:00"
        data = {"points": [{"customdata": [at, [["category", value], ["store", "1"]], None]} for value in "ab"]}
        assert clicked(data) == Click(datetime(2026, 11, 22, 10, tzinfo=UTC), (("store", "1"),))
