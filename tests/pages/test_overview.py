import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.errors import InvalidQuery, Unavailable
from nebuloviz.metrics.query import Filter
from nebuloviz.services.interfaces import DetectorView, Freshness, ImportView, Insight
from nebuloviz.web.charts import chart_answer
from nebuloviz.web.question import query_of
from nebuloviz.web.reading import Asking, asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views import overview as views
from tests.fakes import NOW, alert, sale_lines
from tests.pages.conftest import Browser, Drawn, Shop

TREND = '{"of":"trend","type":"overview-figure"}'


def answer(page: Any, of: str, search: str = "", table_clicks: int | None = None) -> dict[str, Any]:
    """What the chart `of` is filled with for the URL's query `search`."""
    with asking(search) as asked:
        found: dict[str, Any] = chart_answer(partial(page.chart, asked, of), table_clicks)
        return found


def part(build: Callable[[Asking], Any], search: str = "") -> Any:
    with asking(search) as asked:
        return build(asked)


@pytest.fixture
def page(browser: Browser) -> Any:
    """The page's module; it can be imported only once there is a dashboard."""
    from pages import overview  # noqa: PLC0415 - see above

    return overview


def full_hour(shop: Shop) -> Any:
    """The start of the hour that is running."""
    return shop.data.now.replace(minute=0, second=0, microsecond=0)


def point(bucket: Any = None, filters: tuple[tuple[str, str], ...] = (), alert_id: int | None = None) -> dict[str, Any]:
    return {"points": [{"customdata": [bucket, [list(pair) for pair in filters], alert_id]}]}


def traces(answer: dict[str, Any], kind: str) -> list[Any]:
    figure: go.Figure = answer["figure"]
    return [trace for trace in figure.data if trace.type == kind]


class TestLayout:
    def test_takes_any_parameter_of_the_url(self, page: Any, drawn: Drawn) -> None:
        assert drawn(page.layout(utm_source="mail", **{"f.category": "Dairy"})).count("nv-waiting") == 7

    def test_is_the_outline_of_exactly_the_page_that_fills_it(self, page: Any, drawn: Drawn) -> None:
        content, filled_for = page.fill("overview-content", "?range=7d", "stamp", "light")
        outline, filled = drawn(page.layout()), drawn(content)
        assert outline.count('"type": "Section"') == filled.count('"type": "Section"')
        assert outline.count("nv-span-4") == filled.count("nv-span-4")
        assert "nv-waiting" not in filled
        assert "nv-skeleton" not in filled
        assert filled_for == ["?range=7d", "stamp", "light"]

    def test_is_not_filled_again_for_the_same_question(self, page: Any, browser: Browser) -> None:
        browser.triggers("overview-filled.data", ["", "stamp", "light"])
        with pytest.raises(PreventUpdate):
            page.refresh("", "stamp", "light", ["", "stamp", "light"], [None], [{"of": "trend"}])

    def test_a_question_that_changed_while_it_was_filled_is_answered(self, page: Any, browser: Browser) -> None:
        browser.triggers("overview-filled.data", ["", "stamp", "light"])
        ids = [{"of": "trend"}, {"of": "by-category"}]
        new = page.refresh("?range=7d", "stamp", "light", ["", "stamp", "light"], [1, None], ids)
        assert [figure is not no_update for figure in new["figure"]] == [True, True]
        assert [table is no_update for table in new["table"]] == [False, True]

    def test_has_a_chart_for_each_dimension_that_the_data_has(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.fill("", "", "", "light"))
        assert [of for of in ("category", "channel", "store", "region") if f'"of": "by-{of}"' in text] == [
            "category",
            "channel",
            "store",
        ]

    @pytest.mark.parametrize("breakdowns", range(7))
    def test_fills_every_row(self, page: Any, breakdowns: int) -> None:
        row = 0
        for span in page.views.spans(breakdowns):
            assert row + span <= 12
            row = (row + span) % 12
        assert row == 0

    @pytest.mark.parametrize("role", ["viewer"])
    def test_leaves_out_what_the_reader_may_not_see(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.fill("", "", "", "light"))
        assert "overview-ticker" not in text
        assert "overview-feed" in text

    def test_says_what_is_true_where_no_alert_is_open(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        start = shop.data.now - timedelta(days=2)
        shop.alerts.alerts = {5: alert(5, state="resolved", bucket_start=start, bucket_end=start + timedelta(hours=2))}
        assert "1 alert in this range is resolved." in drawn(page.newest_alerts("", ""))
        shop.alerts.alerts = {}
        assert "Nothing unusual" in drawn(page.newest_alerts("", ""))

    def test_of_customers_that_the_data_does_not_have_there_is_no_tile(self) -> None:
        row = pd.Series({"customers": 0.0, "orders": 3.0, "returns": 0.0})
        assert [views.has_something(row, slug) for slug in ("customers", "orders")] == [False, True]
        assert "customers" not in views.EVEN_AT_ZERO

    def test_says_when_watching_begins_while_there_is_none(self) -> None:
        unwatched = [DetectorView("series", "", None, None)]
        assert "four weeks" in str(views.no_alerts(PageState(), 3, unwatched, ()))


class TestTiles:
    def test_show_the_figures_of_the_range_and_lead_to_explore(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        tiles = part(page.tiles, "?range=7d")
        asked = next(query for query in shop.data.asked if query.grain is None)
        revenue = shop.data.frame(None, None, asked).data["revenue"].iloc[0]  # type: ignore[arg-type]
        assert f"${revenue:,.2f}" in drawn(tiles)
        assert "/explore?range=7d" in drawn(tiles)
        assert "previous period" in drawn(tiles)

    def test_are_not_compared_with_a_part_of_a_period(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.lines = shop.data.lines[shop.data.lines["sold_at"] > shop.data.now - timedelta(days=9)]
        assert "No comparison" in drawn(part(page.tiles, "?range=7d"))
        assert "no sales before" in drawn(part(page.tiles, "?range=7d"))
        assert "no sales before" not in drawn(part(page.tiles, "?range=yesterday"))

    def test_of_metrics_that_the_data_lacks_are_left_out(self, page: Any, drawn: Drawn) -> None:
        text = drawn(part(page.tiles))
        assert "Returns" in text
        assert "Margin" not in text

    def test_stay_out_of_the_way_when_the_database_does_not_answer(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.failure = Unavailable("The database does not answer.")
        whole = part(page.shown)
        assert "The database does not answer." in drawn(whole["tiles"])
        shop.data.failure = None
        assert "The database does not answer." not in drawn(part(page.shown))

    def test_the_rest_is_shown_when_one_of_them_cannot_be(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.insights.failure = Unavailable("Nobody knows.")
        whole = part(page.shown)
        assert "Nobody knows." in drawn(whole["findings"])
        assert "Revenue" in drawn(whole["tiles"])
        assert "trend figure" in whole


class TestTrend:
    def test_shows_range_band_comparison_and_what_is_not_over(self, page: Any) -> None:
        found = answer(page, "trend")
        names = {trace.name for trace in found["figure"].data}
        assert {"Expected range", "previous period", "So far"} <= names
        assert found["body"] == "nv-slot nv-ready"

    def test_hours_that_have_not_begun_are_missing_and_not_zero(self, page: Any) -> None:
        found = answer(page, "trend", "?range=today")
        (running,) = traces(found, "bar")
        assert len(running.y) == 1
        points = next(trace for trace in traces(found, "scatter") if trace.mode == "markers")
        behind = points.y[list(points.x).index(running.x[0]) + 1 :]
        assert all(math.isnan(value) for value in behind)

    @pytest.mark.parametrize(("search", "ringed"), [("", True), ("&f.category=Dairy", False), ("&m=orders", False)])
    def test_rings_the_alerts_of_exactly_what_is_shown(self, page: Any, shop: Shop, search: str, ringed: bool) -> None:
        start = full_hour(shop)
        shop.alerts.alerts = {5: alert(5, dimensions={}, series="revenue", bucket_start=start, bucket_end=start)}
        lines = traces(answer(page, "trend", f"?range=7d{search}"), "scatter")
        marks = [mark for trace in lines for mark in trace.customdata or () if mark[2] == 5]
        assert bool(marks) is ringed

    @pytest.mark.parametrize("search", ["?range=yesterday", "?range=7d&m=average_order_value", "?range=today"])
    def test_offers_no_forecast_where_there_can_be_none(self, page: Any, drawn: Drawn, search: str) -> None:
        assert "forecast" not in drawn(answer(page, "trend", search)["head"])

    def test_says_that_there_are_too_few_days_for_a_forecast(self, page: Any, drawn: Drawn) -> None:
        assert "too few days of sales" in drawn(answer(page, "trend", "?range=7d&ahead=1")["head"])

    def test_a_filter_that_leaves_nothing_is_named(self, page: Any, drawn: Drawn) -> None:
        found = answer(page, "trend", "?f.category=Nothing%20of%20ours")
        assert found["figure"] is no_update
        assert "Category: Nothing of ours" in drawn(found["note"])

    def test_a_failure_keeps_the_old_figure_and_says_what_to_do(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.failure = InvalidQuery("Choose the grain day.")
        found = answer(page, "trend")
        assert found["figure"] is no_update
        assert found["body"] == "nv-slot nv-failed"
        assert "Choose the grain day." in drawn(found["note"])

    def test_the_table_is_made_when_somebody_looks_at_it(self, page: Any, drawn: Drawn) -> None:
        assert answer(page, "trend", "?range=7d")["table"] is no_update
        assert answer(page, "trend", "?range=7d", 2)["table"] is no_update
        assert drawn(answer(page, "trend", "?range=7d", 1)["table"]).count('"type": "Tr"') == 8

    def test_offers_exactly_what_is_shown_as_downloads(self, page: Any, drawn: Drawn) -> None:
        head = drawn(answer(page, "trend", "?range=7d&f.category=Dairy")["head"])
        assert "/export/csv?m=revenue" in head
        assert "/export/xlsx?" in head
        assert "with=expected&with=calendar" in head
        assert "with=forecast" not in head
        assert "f.category=Dairy" in head


class TestForecast:
    @pytest.fixture
    def kept(self, writable: Database) -> Database:
        """A forecast goes by the calendar."""
        return writable

    def test_goes_on_beyond_now_where_the_url_asks_for_a_forecast(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.lines = sale_lines(150, shop.data.now)
        plain, ahead = (answer(page, "trend", search, 1) for search in ("?range=7d", "?range=7d&ahead=1"))
        lasts = [max(x for trace in traces(each, "scatter") for x in trace.x if x) for each in (plain, ahead)]
        assert lasts[1] - lasts[0] == timedelta(days=14)
        assert "Show the forecast" in drawn(plain["head"])
        assert "Hide the forecast" in drawn(ahead["head"])
        assert drawn(ahead["table"]).count('"type": "Tr"') == 8 + 16
        assert ["with=forecast" in drawn(each["head"]) for each in (plain, ahead)] == [False, True]


class TestBreakdown:
    def bars(self, page: Any, search: str, slug: str = "category") -> Any:
        return traces(answer(page, f"by-{slug}", search), "bar")[-1]

    def test_values_that_a_filter_leaves_out_stay_and_are_pale(self, page: Any) -> None:
        bars = self.bars(page, "?f.category=Dairy")
        assert len(bars.y) == 5
        assert [opacity == 1 for opacity in bars.marker.opacity] == [value == "Dairy" for value in bars.y]

    def test_so_do_areas(self, page: Any) -> None:
        whole, part = (traces(answer(page, "shares", search), "treemap")[0] for search in ("", "?f.category=Dairy"))
        assert list(part.values) == list(whole.values)
        kept = [color == old for color, old in zip(part.marker.colors, whole.marker.colors, strict=True)]
        assert kept == [label == "Dairy" for label in part.labels]

    def test_other_filters_hold(self, page: Any) -> None:
        whole, part = self.bars(page, ""), self.bars(page, "?f.channel=online")
        assert sum(part.x) < sum(whole.x)

    def test_markup_in_a_name_is_text(self, page: Any, drawn: Drawn) -> None:
        figure = drawn(answer(page, "by-category")["figure"])
        assert "&lt;b&gt;Deli &amp; more&lt;/b&gt;" in figure

    def test_a_rest_that_would_dwarf_all_bars_is_told_in_words(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.lines["store"] = [str(number % 90) for number in range(len(shop.data.lines))]
        found = answer(page, "by-store")
        assert len(traces(found, "bar")[-1].y) == 8
        assert "in all others" in drawn(found["head"])


class TestClicks:
    @pytest.mark.parametrize(
        ("search", "data", "then"),
        [
            ("", point(filters=(("category", "Dairy"),)), "?f.category=Dairy"),
            ("?f.category=Dairy", point(filters=(("category", "Dairy"),)), ""),
            ("?f.category=Dairy", point(filters=(("category", "Meat"),)), "?f.category=Meat"),
            ("?range=7d", point(filters=(("store", "301"),)), "?range=7d&f.store=301"),
            (
                "?range=7d",
                point("2026-11-20T00:00:00+00:00"),
                "?range=7d&from=2026-11-20T00%3A00%3A00Z&to=2026-11-21T00%3A00%3A00Z",
            ),
            (  # within an hour the chart is by minute
                "?from=2026-11-20T13:00:00Z&to=2026-11-20T14:00:00Z",
                point("2026-11-20T13:07:00+00:00"),
                "?from=2026-11-20T13%3A07%3A00Z&to=2026-11-20T13%3A08%3A00Z",
            ),
            (  # the minute itself: back to the range before
                "?range=7d&from=2026-11-20T13:07:00Z&to=2026-11-20T13:08:00Z",
                point("2026-11-20T13:07:00+00:00"),
                "?range=7d",
            ),
        ],
    )
    def test_filter_everything_through_the_url(
        self, page: Any, browser: Browser, search: str, data: Any, then: str
    ) -> None:
        browser.triggers(f"{TREND}.clickData", data)
        page.click([data], search)
        assert browser.search == then

    def test_on_a_ring_open_the_alert(self, page: Any, browser: Browser) -> None:
        data = point("2026-11-20T00:00:00+00:00", alert_id=5)
        browser.triggers(f"{TREND}.clickData", data)
        page.click([data], "")
        assert browser.props["_pages_location"]["pathname"] == "/alerts/5"

    @pytest.mark.parametrize("data", [None, {}, [], "x", {"points": [{"customdata": "javascript:"}]}, {"points": None}])
    def test_on_nothing_of_ours_do_nothing(self, page: Any, browser: Browser, data: Any) -> None:
        browser.triggers(f"{TREND}.clickData", data)
        page.click([data], "?range=7d")
        assert browser.search is None

    def test_can_be_repeated_on_the_same_bar(self, page: Any, browser: Browser) -> None:
        data = point(filters=(("category", "Dairy"),))
        browser.triggers(f"{TREND}.clickData", data)
        page.click([data], "")
        assert browser.props[TREND] == {"clickData": None}


class TestAFilter:
    """Whatever was chosen, no part of the page goes on about something else."""

    FILTER = "f.channel=online"

    @pytest.mark.parametrize(
        "of", ["tiles", "findings", "trend", "by-category", "by-store", "products", "shares", "heat"]
    )
    def test_is_in_every_question_about_figures(self, page: Any, shop: Shop, of: str) -> None:
        build = page.PARTS.get(of) or partial(page.chart, of=of)
        part(build, f"?range=7d&{self.FILTER}")
        asked = [query for query in (*shop.data.asked, *shop.insights.asked) if query.metrics != ("lines",)]
        assert asked
        assert [query.filters for query in asked] == [(Filter("channel", "in", ("online",)),)] * len(asked)

    def test_leaves_bars_by_itself_whole_so_that_another_can_be_chosen(self, page: Any, shop: Shop) -> None:
        part(partial(page.chart, of="by-channel"), f"?range=7d&{self.FILTER}&f.store=301")
        assert shop.data.asked[-1].filters == (Filter("store", "in", ("301",)),)

    def test_holds_for_the_newest_sales(self, page: Any, shop: Shop) -> None:
        _rows, newest = page.newest_sales("", f"?{self.FILTER}", None)
        online = shop.data.lines[shop.data.lines["channel"] == "online"].sort_values("sold_at")
        assert newest == online["sale_id"].iloc[-1]

    def test_holds_for_the_newest_alerts(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.alerts = {5: alert(5), 6: alert(6, series="revenue|store=301", dimensions={"store": "301"})}
        whole, dairy = (drawn(page.newest_alerts("", search)) for search in ("", "?f.category=Dairy"))
        assert ("/alerts/5" in whole, "/alerts/6" in whole) == (True, True)
        assert ("/alerts/5" in dairy, "/alerts/6" in dairy) == (True, False)

    def test_that_leaves_no_alert_is_named(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        start = shop.data.now - timedelta(days=2)
        shop.alerts.alerts = {5: alert(5, state="resolved", bucket_start=start, bucket_end=start + timedelta(hours=2))}
        assert "No alerts match Category: Meat" in drawn(page.newest_alerts("", "?range=7d&f.category=Meat"))
        assert "1 alert in this range is resolved" in drawn(page.newest_alerts("", "?range=7d&f.category=Dairy"))

    @pytest.mark.parametrize("search", ["?from={day}&to={day}", "?from={start}&to={end}"])
    def test_on_time_that_is_over_holds_for_the_newest_of_both(
        self, page: Any, shop: Shop, drawn: Drawn, search: str
    ) -> None:
        end = shop.data.now.replace(hour=0, minute=0, second=0, microsecond=0)
        start = end - timedelta(days=1)
        texts = [moment.isoformat().replace("+00:00", "Z") for moment in (start, end)]
        asked = search.format(day=start.date(), start=texts[0], end=texts[1])
        _rows, newest = page.newest_sales("", asked, None)
        then = shop.data.lines[shop.data.lines["sold_at"].between(start, end, inclusive="left")].sort_values("sold_at")
        assert newest == then["sale_id"].iloc[-1]
        before = {"bucket_start": start - timedelta(hours=5), "bucket_end": start - timedelta(hours=4)}
        within = {"bucket_start": start + timedelta(hours=5), "bucket_end": start + timedelta(hours=6)}
        shop.alerts.alerts = {5: alert(5, **before), 6: alert(6, **within)}
        assert [f"/alerts/{number}" in drawn(page.newest_alerts("", asked)) for number in (5, 6)] == [False, True]

    def test_on_time_up_to_now_leaves_what_still_goes_on(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.alerts = {5: alert(5, bucket_start=shop.data.now - timedelta(days=3))}
        assert "/alerts/5" in drawn(page.newest_alerts("", "?range=today"))

    def test_keeps_nobody_from_what_others_ask(
        self, page: Any, shop: Shop, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is drawn once for all is drawn for each question of its own."""
        known: dict[tuple[str, str], Any] = {}

        def view(_session: Any, _actor: Any, stamp: str, name: str, draw: Callable[[], Any]) -> Any:
            return known[stamp, name] if (stamp, name) in known else known.setdefault((stamp, name), draw())

        monkeypatch.setattr(shop.data, "view", view)  # the double draws again for everybody
        shop.alerts.alerts = {5: alert(5)}
        for search in ("", "?f.category=Meat", "?from=2026-01-05&to=2026-01-06"):
            assert ("/alerts/5" in drawn(page.newest_alerts("", search))) is (not search)
        newest = [page.newest_sales("", search, None)[1] for search in ("", "?f.channel=online", "?f.channel=shop")]
        assert len({*newest}) == 2  # one channel has the newest sale of all


class TestTheAgeOfTheTiles:
    def test_of_a_range_that_runs_is_that_of_the_newest_arrival_and_grows(self, page: Any, drawn: Drawn) -> None:
        for tile in json.loads(drawn(part(page.tiles, "?range=7d"))):
            assert "ago" in drawn(tile)
            assert '"type": "tile-age"' in drawn(tile)

    @pytest.mark.parametrize(
        ("search", "words"),
        [
            ("?from=2026-01-05&to=2026-01-06", "up to Jan 6, 2026"),
            ("?from=2026-01-05T13:00:00Z&to=2026-01-05T14:00:00Z", "up to Jan 5, 2026, 2:00\u202fPM"),
        ],
    )
    def test_of_one_that_is_over_is_its_end(self, page: Any, shop: Shop, drawn: Drawn, search: str, words: str) -> None:
        (first, *_more) = json.loads(drawn(part(page.tiles, search)))
        assert words in drawn(first)
        assert "tile-age" not in drawn(first)

    def test_is_not_told_where_there_is_no_sale(self, page: Any) -> None:
        now = datetime(2026, 11, 22, tzinfo=UTC)
        assert page.views.age_of(now, Freshness(None, None, None, "", 0), now) == ("", False)

    def test_counts_from_the_arrival_where_sales_stopped_before_the_end_of_the_range(self, page: Any) -> None:
        now, stopped = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC)
        known = Freshness(stopped, stopped, stopped, "USD", 5)
        assert page.views.age_of(now - timedelta(days=1), known, now) == ("3 days ago", True)


class TestLive:
    def test_sales_since_the_last_look_fade_in(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        rows, newest = page.newest_sales("", "", None)
        assert drawn(rows).count("nv-ticker-row") == 12
        assert newest == shop.data.lines["sale_id"].iloc[-1]
        rows, _newest = page.newest_sales("", "", shop.data.lines["sale_id"].iloc[-3])
        assert drawn(rows).count("nv-fresh") == 2

    def test_findings_lead_to_the_chart_that_shows_them(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        query = query_of(PageState(), NOW).with_(dimensions=("store",))
        shop.insights.findings = [Insight("Store 305 lost half of its revenue.", "high", query, 1.0)]
        text = drawn(part(page.findings))
        assert "Store 305 lost half of its revenue." in text
        assert "by=store" in text

    def test_an_import_under_way_shows_how_far_it_is(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.ingest.running = [
            ImportView(1, "The sample", "running", "", 100, 25, 25, 0, 0, "", NOW, NOW, None),
        ]
        _words, first = part(page.head)
        assert "25%" in drawn(first)
        assert "The sample" in drawn(first)
