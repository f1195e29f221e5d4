from datetime import UTC, datetime

import plotly.graph_objects as go
import pytest

from nebuloviz.errors import ConfigurationError
from nebuloviz.i18n import lazy
from nebuloviz.web import chart_kinds
from nebuloviz.web.chart_kinds import CHARTS, Chart, add_chart, pair
from nebuloviz.web.reading import Asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views.explore import chart_of, charts_for, query_for

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OVER_TIME = PageState()
SPLIT = PageState(by=("store",))
BY_ONE = PageState(over_time=False, by=("store",))
BY_TWO = PageState(over_time=False, by=("store", "channel"))


def _of_ratio(state: PageState) -> PageState:
    return state.with_(metrics=("margin",))


class TestWhichChartsSuit:
    @pytest.mark.parametrize(
        ("state", "slugs"),
        [
            (OVER_TIME, ["line", "area", "bar", "heatmap", "table"]),
            (_of_ratio(OVER_TIME), ["line", "area", "bar", "heatmap", "table"]),
            (SPLIT, ["line", "area", "stacked", "table"]),
            (_of_ratio(SPLIT), ["line", "table"]),
            (BY_ONE, ["bar", "treemap", "scatter", "table"]),
            (_of_ratio(BY_ONE), ["bar", "scatter", "table"]),
            (BY_TWO, ["heatmap", "treemap", "table"]),
            (_of_ratio(BY_TWO), ["heatmap", "table"]),
        ],
    )
    def test_the_usual_one_comes_first(self, state: PageState, slugs: list[str]) -> None:
        assert [chart.slug for chart in charts_for(state)] == slugs

    @pytest.mark.parametrize(
        ("state", "chart", "drawn"),
        [
            (OVER_TIME, "area", "area"),
            (OVER_TIME, "", "line"),
            (OVER_TIME, "treemap", "line"),
            (BY_TWO, "line", "heatmap"),
            (BY_ONE, "unheard_of", "bar"),
        ],
    )
    def test_one_that_does_not_suit_gives_way_to_the_usual_one(self, state: PageState, chart: str, drawn: str) -> None:
        assert chart_of(state.with_(chart=chart)).slug == drawn


class TestWhatAChartAsks:
    @pytest.mark.parametrize(
        ("state", "chart", "asked"),
        [
            (OVER_TIME, "line", {"grain": "day", "comparison": "previous", "dimensions": ()}),
            (OVER_TIME, "heatmap", {"grain": "hour", "comparison": None}),
            (SPLIT, "stacked", {"grain": "day", "comparison": None, "limit": 10, "other": True, "order": "-revenue"}),
            (SPLIT, "table", {"grain": "day", "comparison": "previous", "limit": 10}),
            (SPLIT, "line", {"comparison": None, "limit": 10, "other": True}),
            (_of_ratio(SPLIT), "line", {"other": False, "order": "-margin"}),
            (BY_ONE, "bar", {"grain": None, "comparison": "previous", "limit": 10, "other": True}),
            (BY_ONE, "scatter", {"metrics": ("revenue", "orders"), "limit": 10, "other": False}),
            (BY_TWO, "treemap", {"dimensions": ("store", "channel"), "comparison": None, "limit": 400, "other": True}),
            (_of_ratio(BY_TWO), "table", {"limit": 400, "other": False}),
            (BY_TWO, "table", {"dimensions": ("store", "channel"), "comparison": "previous", "limit": 400}),
        ],
    )
    def test_is_one_question(self, state: PageState, chart: str, asked: dict[str, object]) -> None:
        chosen = state.with_(chart=chart)
        query = query_for(Asking(chosen, "light", NOW), chosen)
        assert {name: getattr(query, name) for name in asked} == asked

    def test_a_scatter_takes_a_second_metric_of_its_own_accord(self) -> None:
        assert pair(PageState()) == ("revenue", "orders")
        assert pair(PageState(metrics=("orders",))) == ("orders", "revenue")
        assert pair(PageState(metrics=("units", "returns"))) == ("units", "returns")


class TestAddingAChart:
    @pytest.fixture(autouse=True)
    def _own_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chart_kinds, "CHARTS", list(CHARTS))

    def _chart(self, slug: str) -> Chart:
        return Chart(slug, lazy("Line"), "dot", lambda _state: True, lambda _drawing: go.Figure())

    def test_offers_it_after_the_others(self) -> None:
        add_chart(self._chart("funnel"))
        assert [chart.slug for chart in chart_kinds.CHARTS] == [*(chart.slug for chart in CHARTS), "funnel"]

    @pytest.mark.parametrize(("slug", "words"), [("line", "already"), ("Line chart", "a to z"), ("", "a to z")])
    def test_needs_a_slug_of_its_own(self, slug: str, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            add_chart(self._chart(slug))


class TestAnEntry:
    @pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.slug)
    def test_survives_the_url(self, chart: Chart) -> None:
        assert PageState.from_search(PageState(chart=chart.slug).to_search()).chart == chart.slug
