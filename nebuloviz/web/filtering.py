"""The callbacks of the filter bar: a choice in it is a new URL, and a new URL puts it where the URL says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ALL, MATCH, Input, Output, State, ctx, no_update

from nebuloviz.errors import MalformedRequest
from nebuloviz.i18n import _
from nebuloviz.permissions import Permission
from nebuloviz.web import filterbar
from nebuloviz.web.access import protected_callback
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import URL_ID, go
from nebuloviz.web.reading import now
from nebuloviz.web.state import PageState


@protected_callback(
    Permission.DATA_READ,
    Input(URL_ID, "search"),
    State(filterbar.RANGE_ID, "value"),
    State(filterbar.COMPARISON_ID, "value"),
    State(filterbar.DAYS_ID, "start_date"),
    State(filterbar.DAYS_ID, "end_date"),
    State(filterbar.value_id(ALL), "id"),
    State(filterbar.value_id(ALL), "value"),
    State(filterbar.operator_id(ALL), "value"),
    output=(
        (Output(filterbar.CHIPS_ID, "children"), Output(filterbar.COUNT_ID, "children")),
        (
            Output(filterbar.RANGE_ID, "value"),
            Output(filterbar.RANGE_ID, "options"),
            Output(filterbar.DAYS_ID, "start_date"),
            Output(filterbar.DAYS_ID, "end_date"),
            Output("filter-days-box", "hidden"),
            Output(filterbar.COMPARISON_ID, "value"),
        ),
        (
            Output(filterbar.value_id(ALL), "value"),
            Output(filterbar.value_id(ALL), "options"),
            Output(filterbar.operator_id(ALL), "value"),
        ),
    ),
)
def follow_url(search: str | None, *known: Any) -> tuple[tuple[Any, ...], ...]:
    """The whole bar in one answer, after a click on a chart or Back as well."""
    return show_chips(search), show_filters(search, *known[:4]), show_values(search, *known[4:])


def show_chips(search: str | None) -> tuple[Any, Any]:
    """A chip for a range by a click and for each value that is filtered, and how many dimensions are."""
    state = PageState.from_search(search)
    return filterbar.filter_chips(state, now()), filterbar.filter_count(state)


def show_filters(search: str | None, choice: str, comparison: str, first: str, last: str) -> tuple[Any, ...]:
    """Range, days and comparison where the URL says; those that stand there are left alone."""
    state, at = PageState.from_search(search), now()
    shown = filterbar.shown(state, at)
    known = dict(zip(shown, (choice, comparison, first, last), strict=True))
    changed = {name: no_update if known[name] == value else value for name, value in shown.items()}
    options = filterbar.range_options(state, at) if state.span or choice == filterbar.CUSTOM else no_update
    return (
        changed["range"],
        options,
        changed["first"],
        changed["last"],
        state.span is None,
        changed["comparison"],
    )


def show_values(
    search: str | None, ids: list[dict[str, str]], values: list[Any], operators: list[str]
) -> tuple[list[Any], list[Any], list[Any]]:
    """The values and operators of the filters on dimensions."""
    _check_rows(ids, operators)
    state = PageState.from_search(search)
    shown = [filterbar.shown_values(state, id["of"]) for id in ids]
    same = [(old or []) == new for old, new in zip(values, shown, strict=True)]
    options = [no_update if kept else filterbar.value_options((), new) for kept, new in zip(same, shown, strict=True)]
    wanted = [
        filterbar.operator_of(state, id["of"]) if new else old
        for id, new, old in zip(ids, shown, operators, strict=True)
    ]
    return (
        [no_update if kept else new for kept, new in zip(same, shown, strict=True)],
        options,
        [no_update if old == new else new for old, new in zip(operators, wanted, strict=True)],
    )


def _check_rows(ids: Sequence[object], operators: Sequence[object]) -> None:
    """Each row of the filters has both, its values and its operator; only a forged request has one without the other."""
    if len(ids) != len(operators):
        raise MalformedRequest(_("The request does not fit the callback."))


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.RANGE_ID, "value"),
    Input(filterbar.COMPARISON_ID, "value"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def choose_range(choice: object, comparison: object, search: str | None) -> None:
    state = PageState.from_search(search)
    if ctx.triggered_id == filterbar.RANGE_ID:
        go(filterbar.with_range(state, choice, now()), search)
    else:
        go(filterbar.with_comparison(state, comparison), search)


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.DAYS_ID, "start_date"),
    Input(filterbar.DAYS_ID, "end_date"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def choose_days(first: object, last: object, search: str | None) -> None:
    state = PageState.from_search(search)
    if state.span is not None and filterbar.chosen_days(state, now()) != (first, last):
        go(filterbar.with_days(state, first, last), search)


@protected_callback(
    Permission.DATA_READ,
    Output(filterbar.value_id(MATCH), "options", allow_duplicate=True),
    Input(filterbar.value_id(MATCH), "search_value"),
    Input(filterbar.OPEN_ID, "n_clicks"),
    State(filterbar.value_id(MATCH), "value"),
    State(filterbar.value_id(MATCH), "id"),
    prevent_initial_call=True,
)
def offer_values(typed: str | None, _opened: int | None, chosen: list[str] | None, id: dict[str, str]) -> Any:
    """The values of a dimension that match what is typed, the largest first; and those that are chosen."""
    return filterbar.value_options(ask(services().data.values, id["of"], typed or ""), chosen or [])


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.value_id(ALL), "value"),
    Input(filterbar.operator_id(ALL), "value"),
    State(filterbar.value_id(ALL), "id"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def choose_values(values: list[object], operators: list[object], ids: list[dict[str, str]], search: str | None) -> None:
    _check_rows(ids, operators)
    state = PageState.from_search(search)
    for id, chosen, operator in zip(ids, values, operators, strict=True):
        if ctx.triggered_id and ctx.triggered_id["of"] == id["of"]:
            state = filterbar.with_values(state, id["of"], chosen, operator)
    go(state, search)


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.remove_id(ALL, ALL, ALL), "n_clicks"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def remove_value(clicks: list[int | None], search: str | None) -> None:
    which = ctx.triggered_id
    if which and any(clicks):  # chips that have just been drawn trigger too, without a click
        go(filterbar.without(PageState.from_search(search), which["of"], which["value"], which["op"]), search)


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.CLEAR_ID, "n_clicks"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def clear_filters(clicks: int | None, search: str | None) -> None:
    if clicks:
        go(filterbar.without_any(PageState.from_search(search)), search)
