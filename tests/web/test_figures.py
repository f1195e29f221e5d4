from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import OTHER
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import figures
from nebuloviz.web.figures import AnomalyMark, Click, JudgedWindow, PlannedMark, Style, clicked
from nebuloviz.web.figures.axes import round_ticks
from nebuloviz.web.figures.text import points_text
from nebuloviz.web.theme import LIGHT, Theme, contrast

REVENUE, ORDERS, DISCOUNT, AVERAGE = (
    metric(slug) for slug in ("revenue", "orders", "discount_rate", "average_order_value")
)
HOSTILE = '<b>Bold</b> <a href="javascript:alert(1)">x</a> & %{y} <extra></extra>'
BERLIN = "Europe/Berlin"


@pytest.fixture(autouse=True)
def reader() -> Iterator[None]:
    with use(Preferences("en", BERLIN, "USD")):
        yield


def days(count: int = 28, start: str = "2026-09-28", zone: str = BERLIN, grain: str = "D") -> pd.DataFrame:
    buckets = pd.date_range(start, periods=count, freq=grain, tz=zone)
    values = [1000.0 + 10 * (number % 7) for number in range(count)]
    return pd.DataFrame({"bucket": buckets, "revenue": values})


def with_all(frame: pd.DataFrame) -> pd.DataFrame:
    extra = {"revenue:comparison": 800.0, "revenue:low": 900.0, "revenue:high": 1100.0, "unfinished": False}
    made = frame.assign(**extra)
    made.loc[made.index[-1], "unfinished"] = True
    return made


def forecast(start: str = "2026-10-25", count: int = 4) -> pd.DataFrame:
    """The bucket under way of `with_all(days())`, and three more."""
    buckets = pd.date_range(start, periods=count, freq="D", tz=BERLIN)
    ranges = {"value": 1100.0, "low_80": 1000.0, "high_80": 1200.0, "low_95": 900.0, "high_95": 1500.0}
    return pd.DataFrame({"bucket": buckets, **ranges})


def parts(*values: str, slug: str = "category") -> pd.DataFrame:
    amounts = [float(100 * (len(values) - number)) for number in range(len(values))]
    return pd.DataFrame({slug: list(values), "revenue": amounts, "orders": amounts, "discount_rate": 0.1})


def split(*values: str, count: int = 5) -> pd.DataFrame:
    frames = [days(count).assign(category=value, revenue=float(1000 - number)) for number, value in enumerate(values)]
    return pd.concat(frames, ignore_index=True)


def trace(figure: go.Figure, **what: Any) -> Any:
    return next(item for item in figure.data if all(getattr(item, name) == value for name, value in what.items()))


def points(figure: go.Figure) -> Any:
    """The trace that bears hover and click of a trend's first line."""
    return next(item for item in figure.data if item.customdata is not None)


STYLE = Style(comparison="same days last week")


def names(value: str) -> pd.DataFrame:
    return parts(value, "Bakery", "", OTHER)


def rung(value: str) -> AnomalyMark:
    return AnomalyMark(days()["bucket"][3].to_pydatetime(), 1.0, "high", 3, value)


def planned(name: str, first: int = 3, last: int = 4, *, closed: bool = False) -> PlannedMark:
    start, end = (days(60)["bucket"][each].to_pydatetime().replace(tzinfo=None) for each in (first, last + 1))
    return PlannedMark(start, end, closed, "Closed" if closed else "Promotion", name)


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


class TestTrend:
    def test_stands_on_the_viewers_clock(self) -> None:
        drawn = figures.trend(days(3, zone="Asia/Kolkata"), REVENUE, "day")
        assert points(drawn).x[0] == datetime(2026, 9, 28)

    def test_the_unfinished_bucket_is_a_hatched_bar_called_so_far(self) -> None:
        frame = with_all(days(5))
        drawn = figures.trend(frame, REVENUE, "day")
        solid, bar = trace(drawn, name="Revenue"), trace(drawn, name="So far")
        assert len(solid.x) == 4
        assert (bar.type, bar.marker.pattern.shape) == ("bar", "/")
        assert list(bar.x) == [points(drawn).x[-1]], "no line falls from the last finished bucket"
        assert list(bar.y) == [points(drawn).y[-1]]
        (expected,) = drawn.layout.shapes
        assert [expected.y0, expected.y1] == frame[["revenue:low", "revenue:high"]].iloc[-1].tolist()
        assert drawn.layout.xaxis.range[1] > expected.x1, "the whole bar is seen"
        assert "so far" in points(drawn).customdata[-1][3]
        assert points(drawn).marker.color[-1] == LIGHT.raised

    def test_a_ratio_goes_on_to_its_unfinished_bucket(self) -> None:
        frame = with_all(days(5)).rename(columns={"revenue": "average_order_value"})
        dotted = trace(figures.trend(frame, AVERAGE, "day"), name="So far")
        assert list(dotted.y) == frame["average_order_value"].tolist()[-2:]

    def test_the_band_ends_with_the_last_finished_bucket_of_a_sum(self) -> None:
        drawn = figures.trend(with_all(days(5)), REVENUE, "day")
        assert len(trace(drawn, name="Expected range").x) == 4

    def test_all_finished_means_no_dots(self) -> None:
        assert [
            item.name for item in figures.trend(days(5).assign(unfinished=False), REVENUE, "day").data if item.name
        ] == ["Revenue"]

    def test_the_comparison_is_lighter_and_dashed(self) -> None:
        drawn = figures.trend(with_all(days()), REVENUE, "day", style=Style(comparison="last year"))
        assert len(trace(drawn, name="last year").x) == len(days()) - 1, (
            "of an unfinished bucket it would fall like a crash"
        )
        line = trace(drawn, name="last year").line
        assert "px" in line.dash
        assert line.color not in {trace(drawn, name="Revenue").line.color, LIGHT.raised}

    def test_one_hover_says_value_difference_and_expectation(self) -> None:
        drawn = figures.trend(with_all(days(5)), REVENUE, "day", style=Style(comparison="last week"))
        assert drawn.layout.hovermode == "x unified"
        assert points(drawn).customdata[0][3] == (
            "<b>$1,000.00</b><br>$800.00 last week · ▲ +25.0%<br>expected $900.00 to $1,100.00"
        )
        assert points(drawn).customdata[-1][3].endswith("expected by its end $900.00 to $1,100.00")
        assert [item.hoverinfo for item in drawn.data if item is not points(drawn)] == ["skip"] * (len(drawn.data) - 1)

    def test_a_forecast_goes_on_dashed_with_its_ranges_from_the_last_finished_bucket(self) -> None:
        drawn = figures.trend(with_all(days()), REVENUE, "day", ahead=forecast())
        dashed, band = trace(drawn, name="Forecast"), trace(drawn, name="80% of the time")
        assert "px" in dashed.line.dash
        assert list(dashed.x)[:2] == [datetime(2026, 10, 24), datetime(2026, 10, 25)]
        assert list(dashed.y) == [1050.0, *[1100.0] * 4]
        assert list(band.y) == [1050.0, *[1000.0] * 4]
        assert drawn.layout.xaxis.range[1] > datetime(2026, 10, 28)
        assert drawn.layout.yaxis.range[1] >= 1500.0

    def test_the_hover_of_a_forecast_says_its_ranges_beside_what_there_is_so_far(self) -> None:
        marks = points(figures.trend(with_all(days()), REVENUE, "day", ahead=forecast())).customdata
        ranges = "80% of the time $1,000.00 to $1,200.00<br>95% of the time $900.00 to $1,500.00"
        assert len(marks) == 28 + 3
        assert marks[-1][3] == f"<b>$1,100.00</b> forecast<br>{ranges}"
        assert "so far" in marks[27][3]
        assert marks[27][3].endswith(ranges)
        assert "forecast" not in marks[26][3]

    def test_a_bar_below_zero_leaves_room_for_its_value(self) -> None:
        low, high = figures.bars(parts("a", "b").assign(revenue=[10.0, -5.0]), REVENUE, "category").layout.xaxis.range
        assert low < -5.0 - 0.2 * (high + 5.0)

    def test_what_is_planned_is_tinted_and_named_in_hover_and_legend(self) -> None:
        marks = [planned("Spring sale"), planned("Stocktaking", 10, 10, closed=True), planned("Next year", 50, 51)]
        drawn = figures.trend(days(), REVENUE, "day", planned=marks)
        hovers = [mark[3] for mark in points(drawn).customdata]
        assert [number for number, hover in enumerate(hovers) if "Promotion: Spring sale" in hover] == [3, 4]
        assert [number for number, hover in enumerate(hovers) if "Closed: Stocktaking" in hover] == [10]
        assert {item.name for item in drawn.data if item.name} >= {"Promotion", "Closed"}
        assert "Next year" not in str(drawn)
        tints = [shape for shape in drawn.layout.shapes if shape.y1 == 1]
        noon = timedelta(hours=12)  # a bucket's point stands at its start
        assert [(shape.x0, shape.x1) for shape in tints] == [(mark.start - noon, mark.end - noon) for mark in marks[:2]]
        monthly = figures.trend(days(3, grain="MS"), REVENUE, "month", planned=marks)
        assert not monthly.layout.shapes, "there is something in every month"

    def test_days_and_hours_and_weeks_are_told_what_is_planned_for_most_of_them(self) -> None:
        sale = planned("Sale", 0, 0)
        for grain, alias, held in (("hour", "h", 24), ("week", "W-MON", 1)):
            told = figures.with_planned(days(30, grain=alias), [sale], grain)["planned"]
            assert (told != "").sum() == held
        shifted = days(3, "2026-09-27", zone="Asia/Tokyo").assign(bucket=lambda rows: rows["bucket"])
        assert figures.with_planned(shifted, [sale], "day")["planned"].tolist() == ["", "Promotion: Sale", ""]

    def test_an_anomaly_is_a_ring_whose_click_gives_the_alert(self) -> None:
        frame = days(5)
        marks = [
            AnomalyMark(frame["bucket"][1].to_pydatetime(), 1010.0, "low", 7, "a bit high"),
            AnomalyMark(frame["bucket"][3].to_pydatetime(), 1030.0, "critical", 8),
        ]
        drawn = figures.trend(frame, REVENUE, "day", anomalies=marks)
        rings = trace(drawn, name="Alert").marker
        assert rings.symbol == ("circle-open", "circle-open-dot")
        assert rings.size[0] < rings.size[1]
        assert "<b>Low</b> a bit high" in points(drawn).customdata[1][3]
        assert clicked({"points": [{"customdata": points(drawn).customdata[3]}]}) == Click(marks[1].bucket, (), 8)

    def test_hours_judged_together_are_shaded_with_their_mean_beside_its_range(self) -> None:
        frame = days(6, grain="h")
        start, end = frame["bucket"][1].to_pydatetime(), frame["bucket"][5].to_pydatetime()
        judged = JudgedWindow(start, end, 1500.0, 900.0, 1200.0)
        drawn = figures.trend(frame, REVENUE, "hour", anomalies=[AnomalyMark(start, 1500.0, "high", 7, "much", judged)])
        assert (drawn.layout.shapes[0].x0, drawn.layout.shapes[0].x1) == (
            start.replace(tzinfo=None) - timedelta(minutes=30),
            end.replace(tzinfo=None) - timedelta(minutes=30),
        )
        assert trace(drawn, name="Alert: mean of its hours").y == (1500.0, 1500.0)
        assert set(trace(drawn, name="Range of such a mean").y) == {900.0, 1200.0}
        assert [mark[2] for mark in points(drawn).customdata] == [None, 7, 7, 7, 7, None]

    def test_up_to_four_lines_are_named_at_their_ends(self) -> None:
        four = figures.trend(split(*"abcd"), REVENUE, "day", split="category")
        five = figures.trend(split(*"abcde"), REVENUE, "day", split="category")
        assert ([note.text[-1] for note in four.layout.annotations], four.layout.showlegend) == (list("abcd"), False)
        assert (len(five.layout.annotations), five.layout.showlegend) == (0, True)

    def test_labels_at_the_ends_do_not_cover_each_other(self) -> None:
        drawn = figures.trend(split(*"abcd"), REVENUE, "day", split="category")
        places = sorted(note.y for note in drawn.layout.annotations)
        assert min(b - a for a, b in pairwise(places)) >= 50

    def test_missing_values_leave_a_gap(self) -> None:
        frame = days(4).rename(columns={"revenue": "average_order_value"})
        frame.loc[1, "average_order_value"] = math.nan
        drawn = figures.trend(frame, AVERAGE, "day")
        assert math.isnan(points(drawn).y[1])
        assert points(drawn).customdata[1][3] == "<b>–</b>"

    @pytest.mark.parametrize("count", [1, 2])
    def test_few_buckets_are_seen_as_points(self, count: int) -> None:
        assert points(figures.trend(days(count), REVENUE, "day")).marker.size == (6,) * count

    @pytest.mark.parametrize(
        ("grain", "count", "freq", "expected"),
        [
            ("hour", 48, "h", ["12 AM <br>Sep 28", "12 PM", "12 AM <br>Sep 29", "12 PM"]),
            ("day", 5, "D", ["Sep 28 <br>2026", "Sep 29", "Sep 30", "Oct 1", "Oct 2"]),
            ("day", 28, "D", ["Sep 28 <br>2026", "Oct 5", "Oct 12", "Oct 19"]),
            ("day", 150, "D", ["Oct 1 <br>2026", "Nov 1", "Dec 1", "Jan 1 <br>2027", "Feb 1"]),
            ("week", 5, "W-MON", ["Sep 28 <br>2026", "Oct 5", "Oct 12", "Oct 19", "Oct 26"]),
            ("month", 3, "MS", ["Oct <br>2026", "Nov", "Dec"]),
            ("quarter", 3, "QS", ["Q4 <br>2026", "Q1 <br>2027", "Q2"]),
            ("year", 2, "YS", ["2027", "2028"]),
        ],
    )
    def test_ticks_fall_on_days_weeks_and_months(self, grain: str, count: int, freq: str, expected: list[str]) -> None:
        drawn = figures.trend(days(count, grain=freq), REVENUE, grain)
        assert list(drawn.layout.xaxis.ticktext) == expected

    @pytest.mark.parametrize("count", [0, 1, 2, 9, 23, 24, 25, 90, 365, 1000])
    @pytest.mark.parametrize(
        ("grain", "freq"), [("minute", "min"), ("quarter_hour", "15min"), ("hour", "h"), ("day", "D"), ("month", "MS")]
    )
    def test_there_are_never_too_many_ticks(self, grain: str, freq: str, count: int) -> None:
        drawn = figures.trend(days(count, grain=freq), REVENUE, grain)
        assert len(drawn.layout.xaxis.tickvals or ()) <= 7

    def test_weeks_begin_where_the_readers_do(self) -> None:
        with use(Preferences("en", BERLIN, "USD", week_start=6)):
            assert figures.trend(days(28), REVENUE, "day").layout.xaxis.ticktext[0] == "Oct 4 <br>2026"

    @pytest.mark.parametrize("grain", ["minute", "quarter_hour", "hour", "day", "week", "month", "quarter", "year"])
    @pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
    def test_the_hover_names_the_bucket_in_every_language(self, grain: str, language: str) -> None:
        with use(Preferences(language, BERLIN, "USD")):
            assert "%{x|" in figures.trend(days(3), REVENUE, grain).layout.xaxis.unifiedhovertitle.text


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


class TestText:
    @pytest.mark.parametrize(
        ("slug", "value", "exact", "short"),
        [
            ("revenue", 1234567.891, "$1,234,567.89", "$1.2M"),
            ("revenue", 187_392.84, "$187,392.84", "$187K"),
            ("revenue", 12.5, "$12.50", "$13"),
            ("orders", 1234.0, "1,234", "1.2K"),
            ("units", 12.375, "12.375", "12.375"),
            ("discount_rate", 0.1234, "12.3%", "12.3%"),
            ("revenue", None, "–", "–"),
            ("revenue", math.nan, "–", "–"),
            ("revenue", math.inf, "–", "–"),
        ],
    )
    def test_values_by_their_unit(self, slug: str, value: float | None, exact: str, short: str) -> None:
        assert figures.value_text(metric(slug), value) == exact
        assert figures.value_text(metric(slug), value, short=True) == short

    @pytest.mark.parametrize(("step", "text"), [(0.012, "▲ +1.2 pts"), (-0.008, "▼ −0.8 pts"), (0.0, "■ 0.0 pts")])
    def test_ratios_change_by_points(self, step: float, text: str) -> None:
        assert points_text(step) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("<br>", "&lt;br&gt;"), ("&lt;", "&amp;lt;"), ("a\nb\r\n c", "a b c"), ("مخبز", "مخبز"), ("", "")],
    )
    def test_markup_becomes_text(self, text: str, shown: str) -> None:
        assert figures.escape(text) == shown

    @pytest.mark.parametrize(
        ("low", "high", "ticks"),
        [
            (0, 9, [0, 2.5, 5, 7.5]),
            (0, 1, [0, 0.25, 0.5, 0.75, 1]),
            (-20, 50, [-20, 0, 20, 40]),
            (0, 1e-7, None),
            (0, 3e12, None),
        ],
    )
    def test_ticks_are_round(self, low: float, high: float, ticks: list[float] | None) -> None:
        found = round_ticks(low, high)
        assert 2 <= len(found) <= 5
        assert ticks is None or found == ticks
