"""The frame around every page, and the callbacks that concern all pages: filters, live refresh, preferences, messages."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, clientside_callback, dcc, html, no_update
from dash.development.base_component import Component
from flask import request

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import UserView
from nebuloviz.services.shown import role_words
from nebuloviz.web import filterbar, filtering
from nebuloviz.web.access import protected_callback
from nebuloviz.web.components import (
    MAIN_ID,
    RAIL_COUNT,
    RAIL_LINK,
    TILE_AGE,
    NavItem,
    away,
    data_age,
    frame,
    link_button,
    looking_bar,
    no_answer,
    page,
    rail,
    skeleton_page,
    theme_button,
    toast,
    topbar,
    waiting_messages,
)
from nebuloviz.web.components.basic import given, icon
from nebuloviz.web.context import ERROR_STORE_ID, act, ask, current_user, installation, may, services, settings, stamp
from nebuloviz.web.logo import logo_address
from nebuloviz.web.navigation import INTERVAL_ID, SAVED_ID, STAMP_ID, THEME_ID, URL_ID
from nebuloviz.web.reading import now
from nebuloviz.web.sessions import THEME_COOKIE
from nebuloviz.web.state import CARRIED_PARAMS, PageState

_ARRIVAL_ID, _OPEN_ALERTS_ID, _AGE_ID = "shell-arrival", "shell-open-alerts", "shell-age"
_THEME_CHOICE_ID = "shell-theme-choice"
#: Imported for its callbacks, which Dash learns of in that way.
_FILTERING = filtering

_ALERTS_PATH = "/alerts"
_PATIENCE_SECONDS = 15  # with a server that does not answer, before the reader is told


def layout() -> Component:
    """The document's body for the signed-in user; Dash asks for it once a visit."""
    user, visited, at = current_user(), _visited(), now()
    try:
        dimensions: Sequence[str] = ask(services().data.dimensions_in_use)
        known = _known(stamp())
    except NebuloVizError:  # the frame stands even where the database does not: the pages say what is wrong
        dimensions, known = (), ("", None, 0)
    patience = max(_PATIENCE_SECONDS, 3 * settings().refresh_seconds)
    end = [
        *sample_chip(),
        html.Div(age_of(known[1], at), id=_AGE_ID),
        no_answer(patience),
        theme_button(),
        _user_menu(user),
    ]
    content = [away(), html.Div(id=filterbar.CHIPS_ID, className="nv-chips-row"), _pages()]
    place = html.Div(
        rail(nav_items(visited, known[2]), name=installation().name, logo=logo_address()),
        className="nv-rail-place",
        **given(data_nv_carried=" ".join(CARRIED_PARAMS)),
    )
    bar = topbar(filterbar.filter_bar(dimensions, visited, at), end=end)
    looking = [looking_bar(user.username, role_words(user.role, user.role_name))] if user.seen_by else []
    return html.Div([frame(place, bar, content, waiting_messages()), *looking, *_machinery(user, known)])


def _pages() -> Component:
    """Where pages come, with the outline of one until the first is there."""
    pages: Component = copy.deepcopy(dash.page_container)
    pages["_pages_content"].children = page(skeleton_page())
    return pages


def sample_chip() -> list[Component]:
    """Says on every page that these are not the reader's own sales, while they are not; with the way to what to do about it."""
    try:
        name = ask(services().data.freshness).sample
    except NebuloVizError:
        return []
    if not name:
        return []
    words = [icon("info-circle"), html.Span([_("Sample data"), html.Span(f": {name}", className="nv-sample-name")])]
    if may(Permission.STREAM_READ):
        return [dcc.Link(words, href="/data", className="nv-sample", title=name)]
    return [html.Span(words, className="nv-sample", title=name)]


def _visited() -> PageState:
    """The state of the page that is being opened, so that the controls need not be put right afterwards."""
    return PageState.from_search(urlsplit(request.referrer or "").query)


def _known(news: str) -> tuple[str, str | None, int]:
    """The stamp `news`, when the newest sale arrived (ISO 8601), and how many alerts are open."""
    last = ask(services().data.freshness).last_arrival
    count = ask(services().alerts.counts).get("open", 0) if may(Permission.ALERTS_READ) else 0
    return news, last.isoformat() if last else None, count


def _machinery(user: UserView, known: tuple[str, str | None, int]) -> list[Component]:
    """What works unseen. No store holds more than a few words: all of them travel with callbacks."""
    return [
        dcc.Interval(id=INTERVAL_ID, interval=settings().refresh_seconds * 1000),
        dcc.Store(id=STAMP_ID, data=known[0]),
        dcc.Store(id=THEME_ID, data=_theme(user)),
        dcc.Store(id=_THEME_CHOICE_ID),
        dcc.Store(id=_ARRIVAL_ID, data=known[1]),
        dcc.Store(id=_OPEN_ALERTS_ID, data=known[2]),
        dcc.Store(id=SAVED_ID),
        dcc.Store(id=ERROR_STORE_ID),
        html.Div(id="shell-frame-ready", hidden=True),
    ]


def _theme(user: UserView) -> str:
    """What this browser was set to last; else the user's own choice."""
    chosen = request.cookies.get(THEME_COOKIE) or user.theme
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


def _user_menu(user: UserView) -> html.Details:
    names = [
        html.Strong(html.Bdi(user.display_name or user.username)),
        html.Span(role_words(user.role, user.role_name)),
    ]
    if user.display_name:
        names.insert(1, html.Bdi(user.username))
    body = [
        html.Div(names, className="nv-menu-head"),
        link_button(_("Profile"), "/profile", icon_name="person-gear", kind="quiet", id="shell-profile"),
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
        className="nv-button nv-button-quiet nv-button-icon",
        title=label,
        **given(aria_label=label),
    )
    return html.Details(
        [summary, html.Div(body, className="nv-menu-body nv-menu-end")], id="user-menu", className="nv-menu"
    )


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
    news = stamp()
    if news == known:
        return no_update, no_update, age_of(arrival, now()), no_update
    _news, arrival, count = _known(news)
    return news, arrival, age_of(arrival, now()), no_update if count == open_alerts else count


def age_of(arrival: str | None, at: datetime) -> Component:
    """How old the newest arrival is at the moment `at`."""
    try:
        seconds = (at - datetime.fromisoformat(arrival)) / timedelta(seconds=1) if arrival else None
    except (TypeError, ValueError):  # a browser may say anything
        seconds = None
    return data_age(seconds)


# In the browser: a click that comes right after a filter was set must take the filter along.
clientside_callback(
    ClientsideFunction("shell", "follow"),
    Output({"type": RAIL_LINK, "path": ALL}, "href"),
    Output({"type": RAIL_LINK, "path": ALL}, "className"),
    Input(URL_ID, "pathname"),
    Input(URL_ID, "search"),
    State({"type": RAIL_LINK, "path": ALL}, "id"),
)
clientside_callback(
    ClientsideFunction("shell", "suit"),
    Output(MAIN_ID, "className"),
    Input("_pages_content", "children"),  # Dash's own name of where pages come
)
clientside_callback(
    ClientsideFunction("shell", "countAlerts"),
    Output({"type": RAIL_COUNT, "path": _ALERTS_PATH}, "children"),
    Input(_OPEN_ALERTS_ID, "data"),
)

clientside_callback(
    ClientsideFunction("shell", "tileAges"),
    Output({"type": TILE_AGE, "of": ALL}, "children"),
    Input(_AGE_ID, "children"),
    State({"type": TILE_AGE, "of": ALL}, "id"),
    prevent_initial_call=True,
)


# ---------------------------------------------------------------- preferences and messages


@protected_callback(Permission.DATA_READ, Input(_THEME_CHOICE_ID, "data"), prevent_initial_call=True)
def save_theme(theme: str) -> None:
    """Keep what the reader has switched to."""
    act(services().profile.change, theme=theme)


clientside_callback(
    ClientsideFunction("shell", "reload"),
    Output(SAVED_ID, "clear_data"),
    Input(SAVED_ID, "data"),
    prevent_initial_call=True,
)


@protected_callback(
    Permission.DATA_READ, Output("nv-toasts", "children"), Input(ERROR_STORE_ID, "data"), prevent_initial_call=True
)
def show_message(problem: dict[str, str] | None) -> Any:
    """Say what a callback could not do; the page itself stays as it was."""
    if not problem or not isinstance(problem.get("message"), str):
        return no_update
    unknown = _("Something went wrong. It has been noted; please try again.")
    return toast(problem["message"] or unknown, "bad")
