from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import figures
from nebuloviz.web.figures import AnomalyMark, Click, JudgedWindow, Style, clicked
from nebuloviz.web.theme import LIGHT
from tests.web.figures.frames import (
    AVERAGE,
    BERLIN,
    REVENUE,
    days,
    forecast,
    parts,
    planned,
    points,
    split,
    trace,
    with_all,
)


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
        assert trace(drawn, name="Alert: average of its hours").y == (1500.0, 1500.0)
        assert set(trace(drawn, name="Range of that average").y) == {900.0, 1200.0}
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
            ("hour", 120, "h", ["28 <br>Sep 2026", "29", "30", "1 <br>Oct 2026", "2"]),
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
