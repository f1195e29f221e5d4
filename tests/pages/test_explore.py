from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.metrics.registry import metric
from nebuloviz.web.context import ask, services
from nebuloviz.web.figures import value_text
from nebuloviz.web.state import PageState
from tests.pages.conftest import Browser, Drawn, Shop


@pytest.fixture
def page(browser: Browser) -> Any:
    """The page's module; it can be imported only once there is a dashboard."""
    from pages import explore  # noqa: PLC0415 - see above

    return explore


def types(answer: dict[str, Any]) -> set[str]:
    return {trace.type for trace in answer["figure"].data}


class TestDrawing:
    @pytest.mark.parametrize(
        ("search", "kinds"),
        [
            ("", {"scatter", "bar"}),  # of today, which is still running
            ("?chart=bar", {"bar"}),
            ("?chart=heatmap", {"heatmap"}),
            ("?chart=area&by=category", {"scatter"}),
            ("?by=category&chart=stacked", {"bar"}),
            ("?axis=value&by=store", {"bar"}),
            ("?axis=value&by=store&chart=treemap", {"treemap"}),
            ("?axis=value&by=store&chart=scatter&m=revenue&m=orders", {"scatter"}),
            ("?axis=value&by=category&by=store", {"heatmap"}),
            ("?axis=value&by=category&by=store&chart=treemap", {"treemap"}),
            ("?by=category&m=average_order_value&chart=stacked", {"scatter"}),
        ],
    )
    def test_is_what_suits_the_question(self, page: Any, search: str, kinds: set[str]) -> None:
        assert types(page.draw(search, "", "light", None)) == kinds

    @pytest.mark.parametrize(
        "search", ["?range=28d", "?range=28d&by=category&chart=bar", "?range=28d&axis=value&by=store"]
    )
    def test_says_what_the_whole_range_comes_to_as_the_tile_does(
        self, page: Any, shop: Shop, drawn: Drawn, search: str
    ) -> None:
        shown = drawn(page.show_total(search, "", "light"))
        asked = shop.data.asked[-1]
        assert (asked.metrics, asked.dimensions, asked.grain, asked.comparison) == (("revenue",), (), None, "previous")
        row = ask(services().data.frame, asked).data.iloc[0]
        assert value_text(metric("revenue"), row["revenue"]) in shown
        assert value_text(metric("revenue"), row["revenue:comparison"]) in shown
        assert "nv-change" not in drawn(page.show_total(search + "&vs=none", "", "light"))

    def test_asks_what_it_offers_for_download(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        head = drawn(page.draw("?by=category&m=orders&grain=week&range=28d", "", "light", None)["head"])
        asked = shop.data.asked[-1]
        assert (asked.metrics, asked.dimensions, asked.grain) == (("orders",), ("category",), "week")
        assert "m=orders" in head
        assert "grain=week" in head

    @pytest.mark.parametrize(
        ("search", "shape"),
        [("?chart=heatmap", "shape=week"), ("?axis=value&by=category&by=store&top=5", "shape=pairs&top=5")],
    )
    def test_a_heat_map_has_its_own_form_as_a_file_and_as_a_table(
        self, page: Any, drawn: Drawn, search: str, shape: str
    ) -> None:
        answer = page.draw(search, "", "light", 1)
        assert shape in drawn(answer["head"])
        cells = answer["figure"].data[0].z
        table = drawn(answer["table"])
        assert table.count('"scope": "row"') == len(cells)
        assert table.count('"scope": "col"') == len(cells[0])

    def test_the_rest_becomes_other_where_parts_add_up(self, page: Any, shop: Shop) -> None:
        page.draw("?axis=value&by=store&top=5", "", "light", None)
        assert (shop.data.asked[-1].limit, shop.data.asked[-1].other) == (5, True)
        page.draw("?axis=value&by=store&top=5&m=average_order_value", "", "light", None)
        assert not shop.data.asked[-1].other

    def test_a_table_stands_in_place_of_a_chart(self, page: Any, drawn: Drawn) -> None:
        answer = page.draw("?axis=value&by=category&chart=table", "", "light", None)
        assert answer["figure"] is no_update
        assert '"rowData"' in drawn(answer["note"])
        assert "<b>Deli & more</b>" in drawn(answer["note"])


class TestControls:
    def test_stand_where_the_url_says(self, page: Any) -> None:
        answer = page.show_controls("?m=units&by=store&axis=value&by=channel&top=20")
        values = answer[6:12]
        assert values == ("units", "orders", "store", "channel", "auto", 20)

    @pytest.mark.parametrize(
        ("search", "control", "value", "then"),
        [
            ("", "explore-metric", "orders", "?m=orders"),
            ("", "explore-axis", "store", "?by=store&axis=value"),
            ("?by=store&axis=value", "explore-axis", "time", "?by=store"),
            ("", "explore-split", "channel", "?by=channel"),
            ("?by=channel", "explore-split", "none", ""),
            ("?by=store&axis=value", "explore-split", "channel", "?by=store&by=channel&axis=value"),
            ("", "explore-grain", "week", "?grain=week"),
            ("?grain=week", "explore-grain", "auto", ""),
            ("?by=store", "explore-top", 20, "?by=store&top=20"),
            (
                "?by=store&axis=value&chart=scatter",
                "explore-second",
                "units",
                "?m=revenue&m=units&by=store&axis=value&chart=scatter",
            ),
            ("?by=store", "explore-metric", "nonsense", "?by=store"),
            ("?by=store", "explore-grain", {"a": 1}, "?by=store"),
        ],
    )
    def test_a_choice_is_a_new_url(self, page: Any, search: str, control: str, value: Any, then: str) -> None:
        assert page.with_choice(page.views.normal(PageState.from_search(search)), control, value).to_search() == then


class TestSaleLines:
    def test_load_block_by_block_as_one_scrolls(self, page: Any, shop: Shop) -> None:
        first, cursors = page.load_lines({"startRow": 0, "endRow": 100, "sortModel": []}, {}, {"search": ""})
        assert len(first["rowData"]) == 100
        assert first["rowCount"] == 101
        second, _cursors = page.load_lines({"startRow": 100, "endRow": 200, "sortModel": []}, cursors, {"search": ""})
        ids = [row["sale_id"] for row in first["rowData"] + second["rowData"]]
        assert ids == list(reversed(shop.data.lines["sale_id"]))[:200]

    def test_end_where_the_lines_end(self, page: Any, shop: Shop) -> None:
        shop.data.lines = shop.data.lines.tail(30)
        answer, known = page.load_lines({"startRow": 0, "endRow": 100, "sortModel": []}, {}, {"search": "?range=all"})
        assert answer["rowCount"] == 30
        assert known is no_update

    def test_follow_the_order_of_the_grid(self, page: Any) -> None:
        sorting = [{"colId": "revenue", "sort": "desc"}]
        answer, _known = page.load_lines({"startRow": 0, "sortModel": sorting}, {}, {"search": ""})
        amounts = [float(row["revenue"].replace("$", "").replace(",", "")) for row in answer["rowData"]]
        assert amounts == sorted(amounts, reverse=True)

    @pytest.mark.parametrize("request_", [None, "x", [], 7])
    def test_nonsense_is_not_answered(self, page: Any, request_: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.load_lines(request_, {}, {"search": ""})
