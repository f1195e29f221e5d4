import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from dash import Dash, no_update
from dash.exceptions import PreventUpdate

from nebuloviz.errors import Unavailable
from nebuloviz.web import filterbar, filtering, navigation, shell
from nebuloviz.web.filterbar import NOT_GIVEN
from nebuloviz.web.state import PageState
from tests.pages.conftest import Browser, Drawn, Shop


def ids(part: Any, found: set[str]) -> set[str]:
    """Every id in a layout as the browser gets it; of those of several keys their type."""
    if isinstance(part, dict):
        own = part["props"].get("id") if isinstance(part.get("props"), dict) else None
        if own:
            found.add(own if isinstance(own, str) else own["type"])
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            ids(inner, found)
    return found


class TestLayout:
    def test_has_every_part_that_the_shell_reacts_to(
        self, browser: Browser, drawn: Drawn, dashboard: tuple[Dash, Any, Any]
    ) -> None:
        there = ids(json.loads(drawn(shell.layout())), set()) | {"_pages_location"}
        wanted = set()
        for entry in dashboard[0].callback_map.values():
            if getattr(entry.get("callback"), "__module__", "") in {shell.__name__, filtering.__name__}:
                names = [item["id"] for item in [*entry["inputs"], *entry["state"]]]
                wanted |= {json.loads(name)["type"] if name.startswith("{") else name for name in names}
        assert len(wanted) > 10
        assert wanted - there == {"filter-remove", "filter-clear"}, "these come with the chips"

    def test_says_on_every_page_that_these_are_sample_sales(
        self, browser: Browser, shop: Shop, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "nv-sample" not in drawn(shell.layout())
        known = shop.data.freshness(None, None)  # type: ignore[arg-type]
        monkeypatch.setattr(shop.data, "freshness", lambda *_asked: replace(known, sample="The Complete Journey"))
        assert "The Complete Journey" in drawn(shell.layout())

    def test_stands_while_the_database_does_not(self, browser: Browser, shop: Shop, drawn: Drawn) -> None:
        shop.data.failure = Unavailable("The database does not answer.")
        assert "nv-rail" in drawn(shell.layout())

    @pytest.mark.parametrize(("role", "pages"), [("viewer", 6), ("analyst", 7), ("admin", 12)])
    def test_the_rail_has_what_the_reader_may_see(self, browser: Browser, pages: int) -> None:
        entries = shell.nav_items(PageState.from_search("?range=7d&by=store"), 3)
        assert len(entries) == pages
        assert [entry.href for entry in entries][:2] == ["/?range=7d", "/explore?range=7d"]
        assert {entry.href.partition("?")[0]: entry.count for entry in entries}["/alerts"] == 3


class TestRefresh:
    def test_asks_for_nothing_but_the_stamp_while_nothing_changes(self, browser: Browser, shop: Shop) -> None:
        stamp = shop.data.stamp(None, None)  # type: ignore[arg-type]
        answer = shell.refresh(1, stamp, datetime.now(UTC).isoformat(), 1)
        assert [part is no_update for part in answer] == [True, True, False, True]

    def test_news_reach_everything_that_shows_data(self, browser: Browser) -> None:
        stamp, arrival, _age, alerts = shell.refresh(1, "old", None, 0)
        assert stamp != "old"
        assert datetime.fromisoformat(arrival).tzinfo is not None
        assert alerts == 1

    @pytest.mark.parametrize("arrival", [None, "", "yesterday", "2026-11-22T10:00:00", 7])
    def test_any_age_can_be_shown(self, browser: Browser, drawn: Drawn, arrival: Any) -> None:
        assert "nv-age" in drawn(shell.age_of(arrival, datetime.now(UTC)))


class TestFilters:
    @pytest.mark.parametrize(
        ("trigger", "choice", "comparison", "then"),
        [
            ("filter-range.value", "7d", "previous", "?range=7d&f.store=1"),
            ("filter-range.value", "28d", "previous", None),
            ("filter-comparison.value", "28d", "year", "?vs=year&f.store=1"),
            ("filter-comparison.value", "28d", "none", "?vs=none&f.store=1"),
            ("filter-range.value", "<script>", "previous", None),
            ("filter-range.value", ["7d"], "previous", None),
        ],
    )
    def test_a_choice_is_a_new_url(
        self, browser: Browser, trigger: str, choice: Any, comparison: Any, then: str | None
    ) -> None:
        browser.triggers(trigger, choice)
        filtering.choose_range(choice, comparison, "?f.store=1")
        assert browser.search == then

    @pytest.mark.parametrize(
        ("first", "last", "then"),
        [
            ("2026-11-05", "2026-11-07", "?from=2026-11-05&to=2026-11-07"),
            ("2026-11-07", "2026-11-05", "?from=2026-11-05&to=2026-11-07"),
            ("2026-11-01", "2026-11-02", None),
            ("2026-11-05", None, None),
            ("x", "y", None),
        ],
    )
    def test_days_are_chosen_in_the_calendar(self, browser: Browser, first: Any, last: Any, then: str | None) -> None:
        filtering.choose_days(first, last, "?from=2026-11-01&to=2026-11-02")
        assert browser.search == then

    @pytest.mark.parametrize(
        ("values", "op", "then"),
        [
            (["Dairy", "Meat"], "in", "?f.category=Dairy&f.category=Meat"),
            (["Dairy"], "not_in", "?f.category%21=Dairy"),
            ([NOT_GIVEN], "in", "?f.category="),
            ([], "in", None),
            (None, "in", None),
            (["a\x00b"], "in", None),
        ],
    )
    def test_values_are_chosen_from_lists(self, browser: Browser, values: Any, op: str, then: str | None) -> None:
        browser.triggers('{"of":"category","type":"filter-values"}.value', values)
        filtering.choose_values([values, None], [op, "in"], [{"of": "category"}, {"of": "store"}], "")
        assert browser.search == then

    def test_controls_that_stand_right_are_left_alone(self, browser: Browser) -> None:
        shown = filterbar.shown(PageState(), datetime.now(UTC))
        answer = filtering.show_filters("", shown["range"], shown["comparison"], shown["first"], shown["last"])
        assert [part is no_update for part in answer] == [True, True, True, True, False, True]

    def test_controls_follow_the_url(self, browser: Browser) -> None:
        values, options, operators = filtering.show_values(
            "?f.category!=Dairy", [{"of": "category"}, {"of": "store"}], [[], []], ["in", "in"]
        )
        assert values == [["Dairy"], no_update]
        assert options[0] == [{"label": "Dairy", "value": "Dairy"}]
        assert operators == ["not_in", no_update]

    def test_a_list_offers_what_is_typed_and_what_is_chosen(self, browser: Browser) -> None:
        offered = filtering.offer_values("me", 1, ["Dairy"], {"of": "category"})
        assert [option["value"] for option in offered] == ["Dairy", "Meat"]

    def test_a_list_tells_products_of_one_name_apart(self, browser: Browser, shop: Shop) -> None:
        options = filterbar.value_options([("17", "Milk"), ("18", "Milk"), ("19", "Bread")], [])
        assert [option["label"] for option in options] == ["Milk (17)", "Milk (18)", "Bread"]

    def test_chips_say_and_undo_what_is_filtered(self, browser: Browser, drawn: Drawn) -> None:
        chips, count = filtering.show_chips("?f.category=Dairy&f.store!=3")
        assert count == "2"
        assert "Dairy" in drawn(chips)
        browser.triggers('{"of":"store","op":"not_in","type":"filter-remove","value":"3"}.n_clicks', 1)
        filtering.remove_value([None, 1], "?f.category=Dairy&f.store!=3")
        assert browser.search == "?f.category=Dairy"

    def test_a_chip_says_and_undoes_the_time_that_was_clicked(self, browser: Browser, drawn: Drawn) -> None:
        clicked = "?range=7d&from=2026-11-20T13:00:00Z&to=2026-11-20T14:00:00Z"
        chips, count = filtering.show_chips(clicked)
        assert "Nov 20, 2026, 1:00\u202fPM – 2:00\u202fPM" in drawn(chips)
        assert count == ""
        assert "10:00\u202fPM – 11:00\u202fPM" in drawn(filtering.show_chips(clicked + "&tz=Asia/Tokyo")[0])
        browser.triggers('{"of":"","op":"","type":"filter-remove","value":""}.n_clicks', 1)
        filtering.remove_value([1], clicked)
        assert browser.search == "?range=7d"

    def test_days_of_the_calendar_need_no_chip(self, browser: Browser) -> None:
        assert filtering.show_chips("?from=2026-11-20&to=2026-11-21") == (None, "")

    def test_all_chips_go_at_once(self, browser: Browser) -> None:
        filtering.clear_filters(1, "?from=2026-11-20T13:00:00Z&to=2026-11-20T14:00:00Z&f.category=Dairy")
        assert browser.search == ""

    def test_chips_that_were_just_drawn_remove_nothing(self, browser: Browser) -> None:
        browser.triggers('{"of":"store","op":"in","type":"filter-remove","value":"3"}.n_clicks', None)
        filtering.remove_value([None], "?f.store=3")
        assert browser.search is None


class TestPages:
    def test_stay_where_only_the_query_changed(self, browser: Browser) -> None:
        browser.triggers("_pages_location.search", "?range=7d")
        with pytest.raises(PreventUpdate):
            navigation.stay_on_page()

    @pytest.mark.parametrize("prop", ["", "_pages_location.pathname"])
    def test_are_drawn_when_they_are_opened(self, browser: Browser, prop: str) -> None:
        browser.triggers(prop)
        navigation.stay_on_page()


class TestMessages:
    def test_what_a_callback_could_not_do_is_said(self, browser: Browser, drawn: Drawn) -> None:
        assert "It broke." in drawn(shell.show_message({"code": "x", "message": "It broke."}))

    @pytest.mark.parametrize("problem", [None, {}, {"message": 7}])
    def test_nothing_is_said_about_nothing(self, browser: Browser, problem: Any) -> None:
        assert shell.show_message(problem) is no_update
