"""The frame around every page, and the callbacks that concern all pages: filters, live refresh, preferences, messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import dash
from dash import ALL, MATCH, ClientsideFunction, Input, Output, State, clientside_callback, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from flask import request

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, current
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import UserView
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web import filterbar
from nebuloviz.web.access import protected_callback
from nebuloviz.web.components import NavItem, data_age, frame, rail, theme_button, toast, topbar
from nebuloviz.web.components.basic import given, icon
from nebuloviz.web.context import ERROR_STORE_ID, ask, current_user, may, save_preferences, services, settings
from nebuloviz.web.reading import now
from nebuloviz.web.state import State as PageState

#: Dash's own: the one Location of the app. Pages read its `search`; `go` changes it.
URL_ID = "_pages_location"
#: A short text that changes with the data. What shows data has it as an input, and is asked anew only when it changes.
STAMP_ID = "shell-stamp"
THEME_ID = "shell-theme"
INTERVAL_ID = "shell-interval"
_ARRIVAL_ID, _OPEN_ALERTS_ID, _RAIL_ID, _AGE_ID, _SAVED_ID = (
    "shell-arrival",
    "shell-open-alerts",
    "shell-rail",
    "shell-age",
    "shell-saved",
)
_LANGUAGE_ID, _ZONE_ID, _MENU_ID = "shell-language", "shell-zone", "shell-menu"
#: The inputs of everything that shows data: what is asked, whether there is news, and the colours.
REFRESH = (Input(URL_ID, "search"), Input(STAMP_ID, "data"), Input(THEME_ID, "data"))

_ALERTS_PATH = "/alerts"


def layout() -> Component:
    """The document's body for the signed-in user; Dash asks for it once a visit."""
    user, visited, at = current_user(), _visited(), now()
    try:
        dimensions: Sequence[str] = ask(services().data.dimensions_in_use)
        known = _news()
    except NebuloVizError:  # the frame stands even where the database does not: the pages say what is wrong
        dimensions, known = (), ("", None, 0)
    end = [html.Div(age_of(known[1], at), id=_AGE_ID), theme_button(), _user_menu(user)]
    content = [html.Div(id=filterbar.CHIPS_ID, className="nv-chips-row"), dash.page_container]
    place = html.Div(rail(nav_items(visited, known[2]), ""), id=_RAIL_ID, className="nv-rail-place")
    bar = topbar(filterbar.filter_bar(dimensions, visited, at), end=end)
    return html.Div([frame(place, bar, content), *_machinery(user, known)])


def _visited() -> PageState:
    """The state of the page that is being opened, so that the controls need not be put right afterwards."""
    return PageState.from_search(urlsplit(request.referrer or "").query)


def _news() -> tuple[str, str | None, int]:
    """The stamp, when the newest sale arrived (ISO 8601), and how many alerts are open."""
    last = ask(services().data.freshness).last_arrival
    count = ask(services().alerts.counts).get("open", 0) if may(Permission.ALERTS_READ) else 0
    return ask(services().data.stamp), last.isoformat() if last else None, count


def _machinery(user: UserView, known: tuple[str, str | None, int]) -> list[Component]:
    """What works unseen. No store holds more than a few words: all of them travel with callbacks."""
    return [
        dcc.Interval(id=INTERVAL_ID, interval=settings().refresh_seconds * 1000),
        dcc.Store(id=STAMP_ID, data=known[0]),
        dcc.Store(id=THEME_ID, data=_theme(user)),
        dcc.Store(id=_ARRIVAL_ID, data=known[1]),
        dcc.Store(id=_OPEN_ALERTS_ID, data=known[2]),
        dcc.Store(id=_SAVED_ID),
        dcc.Store(id=ERROR_STORE_ID),
        html.Div(id="shell-frame-ready", hidden=True),
    ]


def _theme(user: UserView) -> str:
    """What this browser was set to last; else the user's own choice."""
    chosen = request.cookies.get("nebuloviz_theme") or user.theme
    return chosen if chosen in {"light", "dark"} else "light"


def nav_items(state: PageState, open_alerts: int) -> list[NavItem]:
    """The pages with an icon that the reader may see, in their order; range and filters go along."""
    return [
        NavItem(
            page["name"],
            state.carried().to_url(page["path"]),
            page["icon"],
            page["shortcut"],
            open_alerts if page["path"] == _ALERTS_PATH else 0,
        )
        for page in dash.page_registry.values()
        if page["icon"] and may(page["permission"])
    ]


def active_path(pathname: str | None) -> str:
    """The path of the rail's entry that the page at `pathname` belongs to."""
    first = (pathname or "/").strip("/").partition("/")[0]
    return f"/{first}"


def _user_menu(user: UserView) -> html.Details:
    languages = [{"label": name, "value": code} for code, name in SUPPORTED_LANGUAGES.items()]
    body = [
        html.Div([html.Strong(html.Bdi(user.username)), html.Span(role_words(user.role))], className="nv-menu-head"),
        _preference(_("Language"), _LANGUAGE_ID, languages, current().language, searchable=False),
        _preference(
            _("Time zone"), _ZONE_ID, zone_options([current().time_zone]), current().time_zone, searchable=True
        ),
        html.Button(
            [icon("keyboard"), html.Span(_("Keyboard shortcuts"))],
            type="button",
            className="nv-button nv-button-quiet",
            **given(data_nv_action="help"),
        ),
        html.Form(
            html.Button([icon("box-arrow-right"), html.Span(_("Sign out"))], className="nv-button nv-button-quiet"),
            action="/logout",
            method="post",
        ),
    ]
    label = _("Your account and settings")
    summary = html.Summary(
        icon("person-circle"),
        id=_MENU_ID,
        className="nv-button nv-button-quiet nv-button-icon",
        title=label,
        **given(aria_label=label),
    )
    return html.Details(
        [summary, html.Div(body, className="nv-menu-body nv-menu-end")], id="user-menu", className="nv-menu"
    )


def _preference(label: str, id: str, options: Sequence[dict[str, str]], value: str, *, searchable: bool) -> html.Div:
    dropdown = dcc.Dropdown(
        id=id,
        options=list(options),
        value=value,
        clearable=False,
        searchable=searchable,
        labels=filterbar.dropdown_texts(),
        className="nv-select",
    )
    return html.Div(
        [html.Span(label, className="nv-label"), dropdown],
        className="nv-field",
        role="group",
        **given(aria_label=label),
    )


def role_words(role: str) -> str:
    words = {
        "viewer": _("Viewer"),
        "analyst": _("Analyst"),
        "data_scientist": _("Data scientist"),
        "admin": _("Administrator"),
    }
    return words.get(role, role)


@lru_cache(maxsize=1)
def _zone_names() -> tuple[str, ...]:
    """The zones of places, by name; aliases such as Etc/GMT+3 and US/Eastern would only lengthen the list."""
    areas = {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
    return ("UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in areas))


def zone_options(names: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Zones as a reader searches them; without `names` every place's."""
    chosen = _zone_names() if names is None else names
    return [{"label": name.replace("_", " ").replace("/", " / "), "value": name} for name in chosen]


def go(state: PageState, search: str | None) -> None:
    """Show `state` instead of what the URL's `search` says; the browser's Back undoes it. Nothing where both say the same."""
    if state != PageState.from_search(search):
        dash.set_props(URL_ID, {"search": state.to_search()})


def stay_on_page() -> None:
    """To be called by a page's layout: ends it where only the URL's query changed, for then the page is there already.

    Raises:
        PreventUpdate: to Dash, which then leaves the page as it is.
    """
    if set(ctx.triggered_prop_ids) == {f"{URL_ID}.search"}:
        raise PreventUpdate


# ---------------------------------------------------------------- live


@protected_callback(
    Permission.DATA_READ,
    Output(STAMP_ID, "data"),
    Output(_ARRIVAL_ID, "data"),
    Output(_AGE_ID, "children"),
    Output(_OPEN_ALERTS_ID, "data"),
    Input(INTERVAL_ID, "n_intervals"),
    State(STAMP_ID, "data"),
    State(_ARRIVAL_ID, "data"),
    State(_OPEN_ALERTS_ID, "data"),
    running=[(Output(INTERVAL_ID, "disabled"), True, False)],
    prevent_initial_call=True,
)
def refresh(_ticks: int | None, known: str, arrival: str | None, open_alerts: int) -> tuple[Any, ...]:
    """Ask for the stamp; only where it has changed is anything else asked or redrawn."""
    if ask(services().data.stamp) == known:
        return no_update, no_update, age_of(arrival, now()), no_update
    stamp, arrival, count = _news()
    return stamp, arrival, age_of(arrival, now()), no_update if count == open_alerts else count


def age_of(arrival: str | None, at: datetime) -> Component:
    """How old the newest arrival is at the moment `at`."""
    try:
        seconds = (at - datetime.fromisoformat(arrival)) / timedelta(seconds=1) if arrival else None
    except (TypeError, ValueError):  # a browser may say anything
        seconds = None
    return data_age(seconds)


@protected_callback(
    Permission.DATA_READ,
    Output(_RAIL_ID, "children"),
    Input(URL_ID, "pathname"),
    Input(URL_ID, "search"),
    Input(_OPEN_ALERTS_ID, "data"),
)
def draw_rail(pathname: str | None, search: str | None, open_alerts: object) -> Component:
    items = nav_items(PageState.from_search(search), open_alerts if isinstance(open_alerts, int) else 0)
    here = active_path(pathname)
    active = next((item.href for item in items if item.href.partition("?")[0] == here), "")
    return rail(items, active)


# ---------------------------------------------------------------- filters


@protected_callback(
    Permission.DATA_READ,
    Output(filterbar.CHIPS_ID, "children"),
    Output(filterbar.COUNT_ID, "children"),
    Input(URL_ID, "search"),
)
def show_chips(search: str | None) -> tuple[Any, Any]:
    state = PageState.from_search(search)
    return filterbar.filter_chips(state), filterbar.filter_count(state)


@protected_callback(
    Permission.DATA_READ,
    Output(filterbar.RANGE_ID, "value"),
    Output(filterbar.RANGE_ID, "options"),
    Output(filterbar.DAYS_ID, "start_date"),
    Output(filterbar.DAYS_ID, "end_date"),
    Output("filter-days-box", "hidden"),
    Output(filterbar.COMPARISON_ID, "value"),
    Input(URL_ID, "search"),
    State(filterbar.RANGE_ID, "value"),
    State(filterbar.COMPARISON_ID, "value"),
    State(filterbar.DAYS_ID, "start_date"),
    State(filterbar.DAYS_ID, "end_date"),
)
def show_filters(search: str | None, choice: str, comparison: str, first: str, last: str) -> tuple[Any, ...]:
    """Put the controls where the URL says, after a click on a chart or Back as well; those that stand there are left alone."""
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


@protected_callback(
    Permission.DATA_READ,
    Output(filterbar.value_id(ALL), "value"),
    Output(filterbar.value_id(ALL), "options"),
    Output(filterbar.operator_id(ALL), "value"),
    Input(URL_ID, "search"),
    State(filterbar.value_id(ALL), "id"),
    State(filterbar.value_id(ALL), "value"),
    State(filterbar.operator_id(ALL), "value"),
)
def show_values(
    search: str | None, ids: list[dict[str, str]], values: list[Any], operators: list[str]
) -> tuple[list[Any], list[Any], list[Any]]:
    """The same for the filters on dimensions."""
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
        go(PageState.from_search(search).without(which["of"], which["value"], which["op"]), search)


@protected_callback(
    Permission.DATA_READ,
    Input(filterbar.CLEAR_ID, "n_clicks"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def clear_filters(clicks: int | None, search: str | None) -> None:
    if clicks:
        go(PageState.from_search(search).with_(filters=()), search)


# ---------------------------------------------------------------- preferences and messages


@protected_callback(
    Permission.DATA_READ,
    Output(_SAVED_ID, "data"),
    Input(_LANGUAGE_ID, "value"),
    Input(_ZONE_ID, "value"),
    Input(THEME_ID, "data"),
    prevent_initial_call=True,
)
def save(language: str, zone: str, theme: str) -> Any:
    """Keep the reader's choice; another language or zone draws the whole page anew."""
    user = current_user()
    save_preferences(language=language, time_zone=zone, theme=theme)
    return no_update if (user.language, user.time_zone) == (language, zone) else f"{language} {zone}"


@protected_callback(
    Permission.DATA_READ,
    Output(_ZONE_ID, "options"),
    Input(_MENU_ID, "n_clicks"),
    State(_ZONE_ID, "value"),
    prevent_initial_call=True,
)
def offer_zones(_clicks: int | None, chosen: str) -> list[dict[str, str]]:
    """All zones, once somebody opens the menu: hundreds of them would slow down every visit."""
    names = _zone_names()
    return zone_options(names if chosen in names else (chosen, *names))


clientside_callback(
    ClientsideFunction("shell", "reload"),
    Output(_SAVED_ID, "clear_data"),
    Input(_SAVED_ID, "data"),
    prevent_initial_call=True,
)


@protected_callback(
    Permission.DATA_READ, Output("nv-toasts", "children"), Input(ERROR_STORE_ID, "data"), prevent_initial_call=True
)
def show_message(problem: dict[str, str] | None) -> Any:
    """Say what a callback could not do; the page itself stays as it was."""
    return toast(problem["message"], "bad") if problem and isinstance(problem.get("message"), str) else no_update
