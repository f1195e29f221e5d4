from __future__ import annotations

import math

import pandas as pd
import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.services.interfaces import OTHER
from nebuloviz.web import figures
from nebuloviz.web.figures import Click, Style, clicked
from nebuloviz.web.theme import LIGHT, Theme, contrast
from tests.web.figures.frames import (
    BERLIN,
    DISCOUNT,
    ORDERS,
    REVENUE,
    days,
    parts,
    split,
    trace,
)


class TestBars:
    def test_are_sorted_from_zero_with_the_rest_below(self) -> None:
        frame = pd.DataFrame({"category": [OTHER, "small", "large"], "revenue": [900.0, 1.0, 5.0]})
        drawn = figures.bars(frame, REVENUE, "category")
        assert drawn.data[-1].y == ("large", "small", OTHER)
        assert drawn.layout.yaxis.categoryarray == (OTHER, "small", "large")
        assert drawn.layout.yaxis.ticktext == ("large", "small", "Other")
        assert drawn.layout.xaxis.range[0] == 0
        assert drawn.data[-1].marker.color[2] == LIGHT.other

    def test_an_unknown_value_has_words(self) -> None:
        assert figures.bars(parts(""), REVENUE, "category").layout.yaxis.ticktext == ("Not given",)

    def test_numbers_as_names_stay_names(self) -> None:
        drawn = figures.bars(parts("367", "2017-01-01", slug="store"), REVENUE, "store")
        assert drawn.layout.yaxis.type == "category"

    def test_products_are_shown_by_name_and_clicked_by_value(self) -> None:
        frame = parts("85123A", slug="product").assign(**{"product:name": "White heart holder"})
        drawn = figures.bars(frame, REVENUE, "product")
        assert drawn.layout.yaxis.ticktext == ("White heart holder",)
        assert clicked({"points": [{"customdata": drawn.data[-1].customdata[0]}]}) == Click(
            None, (("product", "85123A"),)
        )

    def test_losses_reach_below_zero(self) -> None:
        frame = pd.DataFrame({"category": ["a", "b"], "revenue": [50.0, -20.0]})
        assert figures.bars(frame, REVENUE, "category").layout.xaxis.range[0] < -20

    def test_the_comparison_is_a_ghost_in_the_same_order(self) -> None:
        drawn = figures.bars(parts("a", "b").assign(**{"revenue:comparison": [1.0, 2.0]}), REVENUE, "category")
        ghost, bar = drawn.data
        assert (ghost.x, ghost.y) == ((1.0, 2.0), bar.y)
        assert ghost.width > bar.width

    @pytest.mark.parametrize(("before", "words"), [(0.0, "new"), (100.0, "unchanged"), (80.0, "▲ +25.0%")])
    def test_the_difference_is_never_infinite(self, before: float, words: str) -> None:
        frame = parts("a").assign(**{"revenue": 100.0 if before else 5.0, "revenue:comparison": before})
        said = figures.bars(frame, REVENUE, "category").data[-1].customdata[0][3]
        assert said.endswith(words if words != "unchanged" else "■ 0.0%")


class TestStacked:
    def test_missing_combinations_count_as_zero(self) -> None:
        frame = split("a", "b").drop(index=[1, 7])
        drawn = figures.stacked(frame, REVENUE, "category", "day")
        assert [item.name for item in drawn.data] == ["a", "b"]
        assert (drawn.data[0].y[1], drawn.data[1].y[2]) == (0.0, 0.0)

    def test_the_unfinished_bucket_is_hatched(self) -> None:
        frame = split("a")
        frame["unfinished"] = frame["bucket"] == frame["bucket"].max()
        assert figures.stacked(frame, REVENUE, "category", "day").data[0].marker.pattern.shape == ("", "", "", "", "/")

    def test_a_value_keeps_its_colour_from_chart_to_chart(self) -> None:
        style = Style(order={"category": ("a", "b", "c")})
        stack = figures.stacked(split("c", "b"), REVENUE, "category", "day", style=style)
        bars = figures.bars(parts("b", "a", "c"), REVENUE, "category", style=style)
        assert trace(stack, name="c").marker.color == bars.data[0].marker.color[2]


class TestTreemap:
    def test_leaves_out_what_has_no_area(self) -> None:
        frame = pd.DataFrame({"category": ["a", "b", "c"], "revenue": [5.0, 0.0, -3.0]})
        assert figures.treemap(frame, REVENUE, ["category"]).data[0].ids == ("a",)

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("count", [1, 8])
    def test_its_words_can_be_read_on_every_area_even_a_single_one(self, theme: Theme, count: int) -> None:
        frame = pd.DataFrame({"category": list("abcdefgh")[:count], "revenue": range(8, 8 - count, -1)})
        drawn = figures.treemap(frame, REVENUE, ["category"], style=Style(theme)).data[0]
        for font in (drawn.insidetextfont, drawn.outsidetextfont):
            assert all(contrast(ink, area) >= 4.5 for ink, area in zip(font.color, drawn.marker.colors, strict=True))

    def test_equal_names_in_different_branches_stay_apart(self) -> None:
        frame = pd.DataFrame({"country": ["DE", "FR"], "channel": ["Web", "Web"], "revenue": [3.0, 4.0]})
        drawn = figures.treemap(frame, REVENUE, ["country", "channel"]).data[0]
        assert len(set(drawn.ids)) == 4
        assert clicked({"points": [{"customdata": drawn.customdata[2]}]}) == Click(
            None, (("country", "DE"), ("channel", "Web"))
        )
        assert drawn.branchvalues == "total"


class TestEqualNames:
    def test_are_told_apart_even_where_they_are_cut(self) -> None:
        name = "Semi-skimmed milk of the region, 1 l"
        frame = pd.DataFrame({"product": ["17", "18"], "product:name": [name, name], "revenue": [2.0, 1.0]})
        assert figures.bars(frame, REVENUE, "product").layout.yaxis.ticktext == (
            "Semi-skimmed milk… (17)",
            "Semi-skimmed milk… (18)",
        )
        assert figures.treemap(frame, REVENUE, ["product"]).data[0].labels[0].endswith("(17)")


class TestHeatMap:
    def test_is_the_mean_of_each_hour_of_the_week(self) -> None:
        hours = days(24 * 14, start="2026-11-02", grain="h")
        hours["revenue"] = [1.0] * 168 + [3.0] * 168
        drawn = figures.heat_map(hours, REVENUE).data[0]
        assert [len(row) for row in drawn.z] == [24] * 7
        assert {value for row in drawn.z for value in row} == {2.0}
        assert drawn.y[0] == "Mon"

    def test_what_is_not_known_is_no_zero(self) -> None:
        drawn = figures.heat_map(days(2, start="2026-11-02", grain="h"), REVENUE).data[0]
        assert (drawn.z[0][0], drawn.z[0][2]) == (1000.0, None)

    def test_the_running_hour_does_not_count(self) -> None:
        hours = days(2, start="2026-11-02", grain="h").assign(unfinished=[False, True])
        assert figures.heat_map(hours, REVENUE).data[0].z[0][1] is None

    def test_starts_with_the_readers_week(self) -> None:
        with use(Preferences("en", BERLIN, "USD", week_start=6)):
            assert figures.heat_map(days(24, grain="h"), REVENUE).data[0].y[0] == "Sun"


class TestScatter:
    def test_leaves_out_points_that_have_no_place(self) -> None:
        frame = parts("a", "b").assign(discount_rate=[0.1, math.nan])
        assert len(figures.scatter(frame, REVENUE, DISCOUNT, "category").data[0].x) == 1

    def test_areas_are_in_proportion(self) -> None:
        frame = parts("a", "b").assign(orders=[400.0, 100.0])
        large, small = figures.scatter(frame, REVENUE, DISCOUNT, "category", size=ORDERS).data[0].marker.size
        assert large == pytest.approx(2 * small)
