import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import flask
import pandas as pd
import pytest
from dash import no_update
from dash._utils import to_json
from dash.exceptions import PreventUpdate
from flask_login import current_user, login_user

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import percent
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import CalendarDraft
from nebuloviz.web import files
from nebuloviz.web.context import act, ask, services
from nebuloviz.web.figures import value_text
from nebuloviz.web.state import PageState
from tests.fakes import sale_lines
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


#: Names of a grid's columns, and what stands above these in a file.
HEADS = {
    "bucket": "Time (UTC)",
    "category": "Category",
    "store": "Store",
    "revenue": "Revenue",
    "orders": "Orders",
    "revenue:comparison": "Revenue (comparison)",
    "revenue:low": "Revenue (expected, from)",
    "planned": "Calendar",
}


def plain(parts: Any) -> Any:
    """Components as the browser gets them."""
    return json.loads(to_json(parts))  # type: ignore[no-untyped-call]  # Dash has no types


def _grids(parts: Any) -> Iterator[dict[str, Any]]:
    """The properties of each AG Grid in a page's parts."""
    if isinstance(parts, dict):
        if parts.get("type") == "AgGrid":
            yield parts["props"]
        for each in parts.values():
            yield from _grids(each)
    elif isinstance(parts, list):
        for each in parts:
            yield from _grids(each)


class TestFiles:
    """A file has the rows and the columns of the table that its link stands above."""

    @pytest.fixture
    def kept(self, writable: Database) -> Database:
        """The calendar is in it."""
        return writable

    @pytest.fixture
    def file_of(self, page: Any, shop: Shop) -> Callable[..., list[dict[str, str]]]:
        """The rows of the CSV that an answer links to, by heading."""

        def rows(answer: dict[str, Any], more: str = "") -> list[dict[str, str]]:
            text = json.dumps(plain(answer["head"]))
            path = re.findall(r"/export/csv[^\"]*", text)[0] + more
            with flask.current_app.test_request_context(path):
                login_user(signed_in_user)
                content = flask.current_app.make_response(flask.current_app.dispatch_request()).get_data()
            return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))

        signed_in_user = current_user._get_current_object()
        return rows

    def grid(self, answer: dict[str, Any], part: str) -> tuple[list[str], list[list[Any]]]:
        """Names of the columns, and what they hold, of the grid in that part of an answer."""
        (props,) = _grids(plain(answer[part]))
        names = [column["colId"] for column in props["columnDefs"]]
        return names, [[row[f"v{place}"] for place in range(len(names))] for row in props["rowData"]]

    @pytest.mark.parametrize(
        ("search", "part"),
        [
            ("?range=90d", "table"),
            ("?range=90d&chart=area", "table"),
            ("?range=90d&chart=bar", "table"),
            ("?range=90d&chart=table", "note"),
            ("?range=90d&by=category", "table"),
            ("?range=90d&by=store&top=5", "table"),
            ("?range=90d&by=category&chart=stacked", "table"),
            ("?axis=value&by=category&by=store&chart=treemap", "table"),
            ("?axis=value&by=category&by=store&chart=table", "note"),
            ("?axis=value&by=store&chart=table", "note"),
        ],
    )
    def test_hold_what_the_table_holds(
        self, page: Any, file_of: Callable[..., list[dict[str, str]]], search: str, part: str
    ) -> None:
        act(
            services().calendar.add,
            CalendarDraft("promotion", "Sale", utc_now().date() - timedelta(days=30), utc_now().date()),
        )
        answer = page.draw(search, "", "light", 1)
        names, rows = self.grid(answer, part)
        file = file_of(answer)
        assert len(file) == len(rows)
        for place, name in enumerate(names):
            shown, written = [row[place] for row in rows], [row[HEADS[name]] for row in file]
            if name == "bucket":
                assert [text[:10] for text in written] == [text[:10] for text in shown]
            elif ":" in name or name in {"revenue", "orders"}:
                assert [float(text or "nan") for text in written] == pytest.approx(
                    [float("nan") if value is None else value for value in shown], nan_ok=True
                )
            else:
                assert [text.lstrip("'") for text in written] == shown
        band = "Revenue (expected, from)" in file[0]
        assert ("revenue:low" in names, "planned" in names) == (band, "Calendar" in file[0])
        assert band is (search in {"?range=90d", "?range=90d&chart=area"})

    def test_go_on_with_the_forecast_that_is_shown(
        self, page: Any, shop: Shop, file_of: Callable[..., list[dict[str, str]]], drawn: Drawn
    ) -> None:
        shop.data.lines = sale_lines(150, shop.data.now)
        file = file_of(page.draw("?range=7d&ahead=1", "", "light", None))
        assert len(file) == 7 + 14
        assert [bool(row["Revenue (forecast)"]) for row in file] == [False] * 6 + [True] * 15
        assert [bool(row["Revenue"]) for row in file] == [True] * 7 + [False] * 14
        lows, highs = (
            [float(row[f"Revenue (forecast, 95% of the time {end})"] or "nan") for row in file[7:]]
            for end in ("from", "to")
        )
        assert all(low < high for low, high in zip(lows, highs, strict=True))
        plain = file_of(page.draw("?range=7d", "", "light", None))
        assert len(plain) == 7
        assert not [head for head in plain[0] if "forecast" in head]

    @pytest.mark.parametrize("name", ["bucket", "revenue", "revenue:comparison", "revenue:low"])
    @pytest.mark.parametrize("falls", [True, False])
    def test_have_the_order_of_the_grid(
        self, page: Any, file_of: Callable[..., list[dict[str, str]]], name: str, falls: bool
    ) -> None:
        answer = page.draw("?range=90d", "", "light", 1)
        names, rows = self.grid(answer, "table")
        place = names.index(name)
        known = sorted((row[place] for row in rows if row[place] is not None), reverse=falls)
        found = [row[HEADS[name]] for row in file_of(answer, f"&sort={'-' if falls else ''}{name}")]
        missing = len(rows) - len(known)
        values = found[: len(known)] if falls else found[missing:]
        if name == "bucket":
            assert values == [text[:10] for text in known]
        else:
            assert [float(text) for text in values] == pytest.approx(known)

    def test_are_sorted_by_what_a_value_is_called(
        self, page: Any, file_of: Callable[..., list[dict[str, str]]]
    ) -> None:
        answer = page.draw("?axis=value&by=category&chart=table&vs=none", "", "light", None)
        found = [row["Category"].lstrip("'") for row in file_of(answer, "&sort=category")]
        assert found == sorted(found)

    def test_are_not_sorted_by_nothing(self, page: Any, file_of: Callable[..., list[dict[str, str]]]) -> None:
        answer = page.draw("?range=7d", "", "light", None)
        for order in ("price", "-", "unfinished", "revenue:high"):
            with pytest.raises(InvalidQuery, match="Order by one of"):
                file_of({"head": answer["head"]}, f"&sort={order}&m=orders")

    def test_of_sale_lines_have_the_order_of_their_grid(self, page: Any, shop: Shop) -> None:
        with flask.current_app.test_request_context("/export/lines/csv?sort=revenue"):
            query = Query(("revenue",), shop.data.now - timedelta(days=7), shop.data.now)
            lines = list(files._sale_lines(query, "revenue"))
        assert lines == sorted(lines, key=lambda line: line.revenue)


class TestWhatIsLeftOut:
    def test_of_two_dimensions_is_other_and_said(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.data.lines["store"] = [str(number % 900) for number in range(len(shop.data.lines))]
        for chart in ("treemap", "table"):
            answer = page.draw(f"?axis=value&by=store&by=category&chart={chart}", "", "light", None)
            assert "the largest 400 combinations, all others as “Other”" in drawn(answer["head"])

    def test_of_a_heat_map_is_said_with_its_share(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        search = "?axis=value&by=store&by=category&top=5"
        head = drawn(page.draw(search, "", "light", None)["head"])
        by_store = ask(services().data.frame, shop.data.asked[-1].with_(dimensions=("store",))).data["revenue"]
        rest = by_store.sum() - by_store.nlargest(5).sum()
        assert (
            f"combinations of the largest values (25); all others come to {value_text(metric('revenue'), rest)}" in head
        )
        assert f"{percent(rest / by_store.sum())} of the total" in head
        assert "combinations" not in drawn(page.draw(search.replace("top=5", "top=20"), "", "light", None)["head"])
        ratio = drawn(page.draw(f"{search}&m=average_order_value", "", "light", None)["head"])
        assert "combinations of the largest values (25), without the rest" in ratio

    def test_of_a_heat_map_is_no_cell_between_values_that_it_shows(self, page: Any, shop: Shop) -> None:
        """Of 50 by 30 values there are more pairs than the 400 of a treemap."""
        numbers = pd.Series(range(len(shop.data.lines)), index=shop.data.lines.index)
        shop.data.lines["store"], shop.data.lines["channel"] = (numbers % 50).astype(str), (numbers % 31).astype(str)
        found = page.draw("?range=90d&axis=value&by=store&by=channel&top=50", "", "light", None)["figure"].data[0]
        assert sum(math.isfinite(value or math.nan) for row in found.z for value in row) == 50 * 31
        (asked,) = [query for query in shop.data.asked if len(query.dimensions) == 2]
        assert (asked.limit, len(asked.filters[0].values), len(asked.filters[1].values)) == (None, 31, 50)

    def test_of_what_does_not_add_up_is_said(self, page: Any, drawn: Drawn) -> None:
        few, all_ = (
            drawn(page.draw(f"?m=average_order_value&axis=value&by=store&top={top}", "", "light", None)["head"])
            for top in (5, 20)
        )
        assert "the largest 5, without the rest" in few
        assert "without the rest" not in all_

    def test_of_lines_is_a_line_of_its_own_unless_it_dwarfs_them(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        def lines(search: str) -> tuple[list[Any], str]:
            answer = page.draw(search, "", "light", None)
            return [trace for trace in answer["figure"].data if trace.mode == "lines"], drawn(answer["head"])

        shop.data.lines["store"] = [str(number % 6) for number in range(len(shop.data.lines))]
        found, head = lines("?by=store&top=5")
        (other,) = [trace for trace in found if trace.name == "Other"]
        assert len(found) == 6
        assert other.line.dash
        assert not any(trace.line.dash for trace in found if trace is not other)
        assert "in all others" not in head
        shop.data.lines["store"] = [str(number % 90) for number in range(len(shop.data.lines))]
        found, head = lines("?by=store&top=5")
        assert len(found) == 5
        assert "Other" not in {trace.name for trace in found}
        assert "in all others · not compared, because it is split" in head


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
