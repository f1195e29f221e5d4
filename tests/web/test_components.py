from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from dash import html
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import AlertView, SaleLine
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import components as ui
from nebuloviz.web import figures
from nebuloviz.web.charts import ChartView, chart_answer, chart_slot, part_id
from nebuloviz.web.components.spark import spark_svg, sparkline
from nebuloviz.web.figures import Style

REVENUE, DISCOUNT, RETURNS = metric("revenue"), metric("discount_rate"), metric("returns")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOSTILE = '<img src=x onerror=alert(1)> {0} {name} "'


@pytest.fixture(autouse=True)
def reader() -> Iterator[None]:
    with use(Preferences("en", "UTC", "USD")):
        yield


def as_json(component: Component) -> Any:
    return json.loads(json.dumps(component, cls=PlotlyJSONEncoder))


def parts(component: Any) -> Iterator[dict[str, Any]]:
    """A component and all below it, as the browser gets them."""
    if isinstance(component, list):
        for child in component:
            yield from parts(child)
    elif isinstance(component, dict) and "props" in component:
        yield component
        yield from parts(component["props"].get("children"))


def words(component: Component) -> str:
    """All text of a component, in order."""

    def text(node: Any) -> str:
        if isinstance(node, list):
            return " ".join(filter(None, map(text, node)))
        if isinstance(node, dict):
            return text(node.get("props", {}).get("children"))
        return "" if node is None else str(node)

    return text(as_json(component))


def one(component: Component, kind: str) -> dict[str, Any]:
    found = [part["props"] for part in parts(as_json(component)) if part["type"] == kind]
    assert len(found) == 1, f"{len(found)} {kind} in {component}"
    return dict(found[0])


def alert(**changes: Any) -> AlertView:
    values: dict[str, Any] = {
        "id": 7, "detector": "forest", "series": "revenue", "metric": "revenue", "dimensions": {"category": "Dairy"},
        "bucket_start": NOW - timedelta(hours=2), "bucket_end": NOW - timedelta(hours=1), "observed": 620.0,
        "expected": 1000.0, "expected_low": 900.0, "expected_high": 1100.0, "score": 0.8, "severity": "high",
        "state": "open", "created_at": NOW - timedelta(hours=1), "updated_at": NOW, "version": 1,
    }  # fmt: skip
    return AlertView(**{**values, **changes})


def sale_row(line: SaleLine, now: datetime, *, fresh: bool = False) -> Any:
    return ui.ticker_row(line.sale_id, ui.ticker_parts(line, now), fresh=fresh)


def line(**changes: Any) -> SaleLine:
    values: dict[str, Any] = {
        "sale_id": "s1", "order_id": "o1", "sold_at": NOW, "customer_id": "", "product_id": "p1", "product": "Milk",
        "category": "Dairy", "region": "", "country": "", "channel": "", "store": "367", "quantity": 2.0,
        "unit_price": 1.5, "discount": 0.0, "revenue": 3.0,
    }  # fmt: skip
    return SaleLine(**{**values, **changes})


def frame() -> pd.DataFrame:
    buckets = pd.date_range("2026-11-20", periods=3, tz="UTC")
    return pd.DataFrame(
        {
            "bucket": buckets,
            "category": ["a", "", HOSTILE],
            "revenue": [3.0, 1.0, 2.0],
            "unfinished": [False, False, True],
        }
    )


def everything(text: str = HOSTILE) -> dict[str, Component]:
    chart = figures.trend(frame(), REVENUE, "day")
    table = ui.data_table(frame(), [REVENUE], dimensions=["category"], grain="day")
    return {
        "tile": ui.tile(REVENUE, 5.0, href="/x", before=4.0, comparison=text, spark=sparkline(frame(), REVENUE), id="t"),
        "chart": chart_slot("sales", text, of="g", answer=chart_answer(lambda: ChartView(text, chart, lambda: table), 1)),
        "chip": ui.chip("Store", text, id="c"),
        "page_header": ui.page_header(text, subtitle=text, actions=[ui.button(text, id="b", icon_name="share")]),
        "progress": ui.progress(5, 10, label=text, rate=3.0, seconds_left=4.0),
        "toast": ui.toast(text, "bad", title=text),
        "empty": ui.nothing_matches([text], clear=ui.link_button("Clear", "/")),
        "error": ui.error_state(text, text, retry_id="r", old=ui.data_age(90)),
        "feed": ui.feed([ui.feed_item(alert(dimensions={"category": text}), href="/alerts/7", now=NOW)]),
        "no_feed": ui.feed([]),
        "alert_card": ui.alert_card(alert(expected=None, expected_low=None), now=NOW),
        "ticker": ui.ticker([sale_row(line(product=text), NOW, fresh=True)]),
        "no_ticker": ui.ticker([]),
        "frame": ui.frame(
            ui.rail([ui.NavItem("Overview", "/", "grid", "g o", count=120)], "/"), ui.topbar([ui.data_age(3)]), ui.page([])
        ),
        "skeletons": html.Div(
            [ui.skeleton_tile(), ui.skeleton_table(), ui.skeleton_feed()]
        ),
        "kpis": ui.kpi_list([(text, 5)]),
    }  # fmt: skip


KINDS = list(everything())
PARTS_OF_THE_CHART = {part_id("sales", part) for part in ("figure", "head", "table", "note", "view", "body")}


class TestEveryComponent:
    @pytest.mark.parametrize("language", SUPPORTED_LANGUAGES)
    def test_can_be_sent_to_the_browser(self, language: str) -> None:
        with use(Preferences(language, "Asia/Kolkata", "EUR")):
            assert all(as_json(component)["type"] for component in everything().values())

    @pytest.mark.parametrize("kind", KINDS)
    def test_icons_are_for_the_eye_only(self, kind: str) -> None:
        icons = [part["props"] for part in parts(as_json(everything()[kind])) if part["type"] == "I"]
        assert all(props["aria-hidden"] == "true" for props in icons)

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_can_be_pressed_has_a_name(self, kind: str) -> None:
        for part in parts(as_json(everything()[kind])):
            if part["type"] in {"Button", "A", "Link"}:
                assert part["props"].get("aria-label") or _letters(part["props"].get("children")), part

    @pytest.mark.parametrize("kind", KINDS)
    def test_foreign_text_is_never_markup(self, kind: str) -> None:
        kinds = {part["type"] for part in parts(as_json(everything()[kind]))}
        assert not kinds & {"Markdown", "DangerouslySetInnerHTML", "Iframe"}

    @pytest.mark.parametrize("kind", KINDS)
    def test_ids_are_only_those_asked_for(self, kind: str) -> None:
        given = [part["props"]["id"] for part in parts(as_json(everything()[kind])) if part["props"].get("id")]
        ids = {id_ if isinstance(id_, str) else id_["type"] for id_ in given} - PARTS_OF_THE_CHART
        assert ids <= {
            "t",
            "g",
            "c",
            "b",
            "r",
            ui.CONTENT_ID,
            ui.MAIN_ID,
            ui.RAIL_LINK,
            ui.RAIL_COUNT,
            "nv-toasts",
            "nv-help",
        }


def _letters(children: Any) -> bool:
    if isinstance(children, dict):
        return _letters(children["props"].get("children"))
    return any(map(_letters, children)) if isinstance(children, list) else bool(children)


class TestTile:
    @pytest.mark.parametrize(
        ("slug", "value", "before", "shown", "mood"),
        [
            ("revenue", 110.0, 100.0, "▲ +10.0%", "good"),
            ("revenue", 90.0, 100.0, "▼ −10.0%", "bad"),
            ("returns", 110.0, 100.0, "▲ +10.0%", "bad"),
            ("returns", 90.0, 100.0, "▼ −10.0%", "good"),
            ("revenue", 100.0, 100.0, "■ 0.0%", "flat"),
            ("revenue", 100.0, 0.0, "New", "good"),
            ("revenue", 0.0, 0.0, "Unchanged", "flat"),
            ("revenue", -50.0, -100.0, "▲ +50.0%", "good"),
            ("revenue", 5.0, None, "No comparison", "flat"),
            ("revenue", None, 5.0, "No comparison", "flat"),
            ("revenue", float("nan"), 5.0, "No comparison", "flat"),
            ("margin", 0.32, 0.30, "▲ +2.0 pts", "good"),
            ("discount_rate", 0.32, 0.30, "▲ +2.0 pts", "flat"),
        ],
    )
    def test_says_the_change_and_whether_it_is_good(
        self, slug: str, value: float | None, before: float | None, shown: str, mood: str
    ) -> None:
        change = ui.change_line(metric(slug), value, before, "last week")
        assert words(change).startswith(shown)
        assert f"nv-change-{mood}" in json.dumps(as_json(change))

    def test_names_what_it_compares_with(self) -> None:
        assert words(ui.change_line(REVENUE, 2.0, 1.0, "same days last week")).endswith("vs same days last week")

    def test_nothing_is_compared_with_words_alone(self) -> None:
        assert "vs" not in words(ui.change_line(REVENUE, 2.0, None, "last week"))

    def test_says_why_nothing_is_compared(self) -> None:
        assert words(ui.change_line(REVENUE, 2.0, None, "last week", "no sales before May 3")).endswith("before May 3")
        assert "before May 3" not in words(ui.change_line(REVENUE, 2.0, 1.0, "last week", "no sales before May 3"))

    def test_a_screen_reader_hears_words_instead_of_arrows(self) -> None:
        assert "up 100.0%" in words(ui.change_line(REVENUE, 2.0, 1.0, "last week"))

    def test_the_whole_tile_is_a_link_to_the_same_question(self) -> None:
        made = as_json(ui.tile(REVENUE, 2.0, href="/explore?m=revenue"))
        assert (made["type"], made["props"]["href"]) == ("Link", "/explore?m=revenue")

    @pytest.mark.parametrize(
        ("value", "shown", "exact"),
        [
            (9_999.5, "$9,999.50", "$9,999.50"),
            (340_126.3, "$340,126", "$340,126.30"),
            (1_234_567.89, "$1.2M", "$1,234,567.89"),
        ],
    )
    def test_a_shortened_figure_is_exact_on_hover(self, value: float, shown: str, exact: str) -> None:
        made = as_json(ui.tile(REVENUE, value, href="/"))
        figure = next(part["props"] for part in parts(made) if "nv-tile-figure" in part["props"].get("className", ""))
        assert (figure["children"], figure["title"]) == (shown, exact)


class TestSparkImage:
    def days(self, *values: float) -> pd.DataFrame:
        return pd.DataFrame({"bucket": pd.date_range("2026-11-01", periods=len(values), tz="UTC"), "revenue": values})

    def test_is_drawn_without_a_chart(self) -> None:
        kinds = {part["type"] for part in parts(as_json(everything()["tile"]))}
        assert "Img" in kinds
        assert "Graph" not in kinds

    def test_spans_its_place_from_the_lowest_to_the_highest(self) -> None:
        drawn = spark_svg(self.days(1.0, 3.0, 2.0), REVENUE, Style())
        assert 'd="M0.0 38.0L100.0 2.0L200.0 20.0"' in drawn
        assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own text

    def test_a_missing_value_is_a_gap(self) -> None:
        drawn = spark_svg(self.days(1.0, 2.0, float("nan"), 2.0, 1.0), REVENUE, Style())
        assert 'd="M0.0 38.0L50.0 2.0M150.0 2.0L200.0 38.0"' in drawn

    def test_shows_no_crash_at_the_end(self) -> None:
        frame = self.days(1.0, 3.0, 2.0, 0.1).assign(unfinished=[False, False, False, True])
        assert 'd="M0.0 38.0L100.0 2.0L200.0 20.0"' in spark_svg(frame, REVENUE, Style())

    def test_the_expected_range_lies_below_the_line(self) -> None:
        frame = self.days(1.0, 2.0).assign(**{"revenue:low": 0.0, "revenue:high": 4.0})
        band, line_ = spark_svg(frame, REVENUE, Style()).split("<path")[1:]
        assert 'd="M0.0 2.0L200.0 2.0L200.0 38.0L0.0 38.0Z"' in band
        assert 'd="M0.0 29.0L200.0 20.0"' in line_

    @pytest.mark.parametrize("values", [(), (5.0,), (5.0, 5.0)])
    def test_little_or_nothing_is_no_error(self, values: tuple[float, ...]) -> None:
        assert spark_svg(self.days(*values), REVENUE, Style()).startswith("<svg")


class TestAChartsPlace:
    def test_offers_table_picture_and_full_screen(self) -> None:
        made = as_json(everything("Revenue, USD")["chart"])
        pressed = [part["props"] for part in parts(made) if part["type"] == "Button"]
        assert [item["data-nv-action"] for item in pressed] == ["table", "full", "png"]
        assert all("Revenue, USD" in item["aria-label"] for item in pressed)

    def test_sends_nothing_to_a_cloud(self) -> None:
        config = one(everything()["chart"], "Graph")["config"]
        assert (config["showSendToCloud"], config["displaylogo"]) == (False, False)

    def test_time_runs_left_to_right_in_every_language(self) -> None:
        with use(Preferences("ar")):
            made = as_json(everything()["chart"])
        assert [
            part["props"]["dir"] for part in parts(made) if "nv-chart " in (part["props"].get("className") or "")
        ] == ["ltr"]

    def test_has_no_axes_before_there_is_a_figure(self) -> None:
        figure = one(chart_slot("sales", "Revenue, USD"), "Graph")["figure"]
        assert (figure["layout"]["xaxis"], figure["layout"]["yaxis"]) == ({"visible": False}, {"visible": False})


class TestTable:
    def test_of_many_columns_is_a_list_on_phones_each_cell_behind_its_head(self) -> None:
        def drawn(*heads: str) -> Any:
            cells = [html.Th("anna", scope="row"), *(html.Td(words) for words in heads[1:])]
            return as_json(ui.table("Users", heads, [html.Tr(cells)]))

        cells = [
            part["props"].get("data-head") for part in parts(drawn("Name", "Role", "State", "")) if part["type"] == "Td"
        ]
        assert cells == [None, "Role", "State", None]  # of the head over nothing, and of three cells
        assert "data-head" not in json.dumps(drawn("Name", "Role", "State"))


class TestDataTable:
    def test_has_the_same_data_in_the_same_order(self) -> None:
        table = ui.data_table(frame(), [REVENUE], dimensions=["category"], grain="day")
        rows = [part for part in parts(as_json(table)) if part["type"] == "Tr"]
        cells = [[words(_Raw(cell)) for cell in row["props"]["children"]] for row in rows]
        assert cells == [
            ["Time", "Category", "Revenue"],
            ["Fri, Nov 20, 2026", "a", "$3.00"],
            ["Sat, Nov 21, 2026", "Not given", "$1.00"],
            ["Sun, Nov 22, 2026 · so far", HOSTILE, "$2.00"],
        ]

    def test_the_comparison_has_its_own_column(self) -> None:
        compared = frame().assign(**{"revenue:comparison": 1.0})
        assert "Revenue, last week" in words(ui.data_table(compared, [REVENUE], comparison="last week"))

    def test_says_what_it_leaves_out(self) -> None:
        long = pd.concat([frame()] * 200, ignore_index=True)
        assert "100 more rows" in words(ui.data_table(long, [REVENUE]))


class _Raw(Component):
    """Already plain data, where a component is asked for."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def to_plotly_json(self) -> Any:
        return self.plain


class TestStates:
    def test_a_filter_that_leaves_nothing_is_named(self) -> None:
        assert "No sales match Store: 367, Category: Dairy" in words(
            ui.nothing_matches(["Store: 367", "Category: Dairy"])
        )

    def test_an_error_is_announced_offers_a_retry_and_keeps_the_old_figure(self) -> None:
        made = ui.error_state("Sales could not be read", "Try again in a minute.", retry_id="retry", old=html.B("$5"))
        assert "alert" in [part["props"].get("role") for part in parts(as_json(made))]
        assert one(made, "Button")["id"] == "retry"
        assert words(made).endswith("$5")

    @pytest.mark.parametrize(
        ("age", "text", "state"),
        [
            (None, "No data yet", "none"),
            (3, "Live · 3 seconds ago", "live"),
            (120, "Live", "live"),
            (121, "Last sale 2 minutes ago", "stale"),
        ],
    )
    def test_the_age_of_the_data_is_said_not_only_coloured(self, age: float | None, text: str, state: str) -> None:
        made = ui.data_age(age)
        assert text in words(made)
        assert f"nv-age-{state}" in json.dumps(as_json(made))

    def test_the_age_for_the_tiles_stands_beside_it(self) -> None:
        assert as_json(ui.data_age(300))["props"]["data-nv-age"] == "5 minutes ago"
        assert "data-nv-age" not in as_json(ui.data_age(None))["props"]

    def test_a_page_that_filters_do_not_change_says_so_to_the_style_sheet(self) -> None:
        assert as_json(ui.page([]))["props"]["className"] == "nv-grid"
        assert as_json(ui.page([], filtered=False))["props"]["className"] == "nv-grid nv-unfiltered"
        assert as_json(ui.page([], filtered=False, ranged=True))["props"]["className"] == "nv-grid nv-ranged"

    @pytest.mark.parametrize("skeleton", [ui.skeleton_tile, ui.skeleton_table, ui.skeleton_feed])
    def test_skeletons_say_that_they_are_loading(self, skeleton: Any) -> None:
        props = as_json(skeleton())["props"]
        assert (props["role"], props["aria-busy"], props["aria-label"]) == ("status", "true", "Loading")


class TestProgress:
    def test_says_rate_and_time_left(self) -> None:
        made = ui.progress(341_209, 541_909, label="online_retail.csv", rate=21_400, seconds_left=9.4, unit="lines")
        assert words(made).split("63% ")[1] == "341,209 of 541,909 lines · 21,400/s · 9 s left"

    @pytest.mark.parametrize(("done", "total", "now"), [(0, 10, 0), (5, 10, 50), (20, 10, 100), (-1, 10, 0)])
    def test_the_bar_stays_within_its_bounds(self, done: float, total: float, now: int) -> None:
        bar = next(
            part["props"]
            for part in parts(as_json(ui.progress(done, total, label="x")))
            if part["props"].get("role") == "progressbar"
        )
        assert (bar["aria-valuenow"], bar["aria-label"]) == (now, "x")

    @pytest.mark.parametrize("total", [None, 0])
    def test_an_unknown_total_gives_no_share(self, total: float | None) -> None:
        assert "aria-valuenow" not in json.dumps(as_json(ui.progress(5, total, label="x")))

    def test_what_is_done_has_no_time_left(self) -> None:
        assert "left" not in words(ui.progress(10, 10, label="x", seconds_left=3.0))


class TestAlerts:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({}, "Revenue: 38% below expected, $620.00 instead of $1,000.00"),
            ({"observed": 1650.0}, "Revenue: 65% above expected, $1,650.00 instead of $1,000.00"),
            ({"expected": 0.0}, "Revenue: $620.00, where nothing was expected"),
            ({"expected": None}, "Revenue: $620.00, where nothing was expected"),
        ],
    )
    def test_are_told_in_a_sentence(self, changes: dict[str, Any], text: str) -> None:
        assert ui.alert_words(alert(**changes)) == text

    @pytest.mark.parametrize("severity", ["low", "medium", "high", "critical"])
    def test_severity_is_a_word_with_an_icon(self, severity: str) -> None:
        made = ui.severity_badge(severity)
        assert words(made) == severity.capitalize()
        assert one(made, "I")

    @pytest.mark.parametrize(
        ("dimensions", "text"), [({}, "All sales"), ({"category": "", "store": "5"}, "Not given · 5")]
    )
    def test_the_series_is_named(self, dimensions: dict[str, str], text: str) -> None:
        assert ui.series_words(alert(dimensions=dimensions)) == text

    def test_the_feed_is_announced_as_it_grows(self) -> None:
        assert one(everything()["feed"], "Ul")["aria-live"] == "polite"

    def test_an_item_leads_to_its_alert(self) -> None:
        assert one(ui.feed_item(alert(), href="/alerts/7", now=NOW), "Link")["href"] == "/alerts/7"


class TestTicker:
    def test_a_sale_says_when_what_where_and_how_much(self) -> None:
        assert words(sale_row(line(), NOW)) == "12:00:00\u202fPM Milk Dairy · 367 × 2 $3.00"

    def test_one_of_another_day_says_which(self) -> None:
        assert words(sale_row(line(), NOW + timedelta(days=1))).startswith("11/22/26, 12:00")

    def test_a_return_says_so(self) -> None:
        said = words(sale_row(line(quantity=-2.0, revenue=-3.0), NOW))
        assert "2 returned" in said
        assert "−$3.00" in said

    def test_only_what_is_new_fades_in(self) -> None:
        assert ["nv-fresh" in json.dumps(as_json(sale_row(line(), NOW, fresh=fresh))) for fresh in (True, False)] == [
            True,
            False,
        ]


class TestFrame:
    def test_has_landmarks_and_a_way_past_the_navigation(self) -> None:
        made = as_json(everything()["frame"])
        kinds = [part["type"] for part in parts(made)]
        assert {"Nav", "Main"} <= set(kinds)
        first = next(part for part in parts(made) if part["type"] in {"A", "Link", "Button"})
        assert first["props"]["href"] == f"#{ui.CONTENT_ID}"

    def test_the_current_page_is_marked_and_counts_stay_short(self) -> None:
        said = words(ui.rail([ui.NavItem("Alerts", "/alerts", "bell", count=120)], "/alerts"))
        assert said == "NebuloViz Alerts 99+ current page"

    @pytest.mark.parametrize(("entries", "folded"), [(4, 0), (5, 0), (6, 2), (9, 5)])
    def test_phones_fold_away_what_there_is_no_room_for(self, entries: int, folded: int) -> None:
        items = [ui.NavItem(f"Page {number}", f"/{number}", "gear") for number in range(entries)]
        made = as_json(ui.rail(items))
        lists = [part["props"] for part in parts(made) if part["type"] == "Ul"]
        assert [len(each["children"]) for each in lists] == [entries - folded, folded][: 1 + bool(folded)]
        assert ("More" in words(ui.rail(items))) is bool(folded)

    def test_the_help_lists_every_shortcut(self) -> None:
        said = words(ui.help_dialog())
        assert all(str(text) in said for _keys, text in ui.SHORTCUTS)

    @pytest.mark.parametrize("id_", [None, "shell-theme"])
    def test_the_theme_button_has_one_listener(self, id_: str | None) -> None:
        assert ("data-nv-action" in as_json(ui.theme_button(id_))["props"]) is (id_ is None)
