"""Alerts: what was unusual, by state, severity, series and time."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import link_button, page, page_header, skeleton_feed
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import STAMP_ID, URL_ID, go, stay_on_page
from nebuloviz.web.question import bounds
from nebuloviz.web.reading import Asking, asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views import alerts as views


def layout(**_query: str) -> Component:
    stay_on_page()
    search = dcc.Input(
        id="alerts-search",
        type="search",
        debounce=0.4,
        placeholder=_("Search series"),
        className="nv-input nv-search",
        maxLength=100,
    )
    bar = [
        html.Div(id="alerts-states"),
        html.Div(id="alerts-severities"),
        html.Label([html.Span(_("Search series"), className="visually-hidden"), search], **given(data_nv_search="")),
    ]
    taught = link_button(_("What was taught"), "/lessons", icon_name="mortarboard")
    more = button(_("Show more"), id="alerts-more", kind="quiet", hidden=True)
    return page(
        [
            html.Div(page_header(_("Alerts"), actions=[taught]), className="nv-span-12"),
            html.Div(bar, className="nv-alert-bar nv-span-12"),
            html.Div(
                [html.Div(skeleton_feed(8), id="alerts-list", **given(aria_live="polite")), more],
                className="nv-card nv-span-12 nv-alert-card",
            ),
        ]
    )


def filter_of(asked: Asking) -> AlertFilter:
    """Which alerts the URL asks for."""
    start, end = bounds(asked.state, asked.now)
    whole = asked.state.preset == "all" and asked.state.span is None
    return AlertFilter(
        states=asked.state.alert_states,
        severities=asked.state.severities,
        series=asked.state.search,
        start=None if whole else start,
        end=None if whole else end,
        filters=asked.state.filters,
    )


@protected_callback(
    Permission.ALERTS_READ,
    Output("alerts-list", "children"),
    Output("alerts-more", "hidden"),
    Output("alerts-states", "children"),
    Output("alerts-severities", "children"),
    Input(URL_ID, "search"),
    Input(STAMP_ID, "data"),
    Input("alerts-more", "n_clicks"),
)
def show(search: str | None, _stamp: str, more: int | None) -> tuple[Any, ...]:
    with asking(search) as asked:
        count = min(views.PAGE * (1 + (more or 0)), 500)

        def build() -> tuple[Any, ...]:
            found = ask(services().alerts.incidents, filter_of(asked), None, count)
            pills = views.state_pills(asked.state, ask(services().alerts.counts)), views.severity_pills(asked.state)
            return views.incident_list(found.items, asked.state, asked.now), found.next_cursor is None, *pills

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, True, None, None)


@protected_callback(Permission.ALERTS_READ, Output("alerts-search", "value"), Input(URL_ID, "search"))
def show_search(search: str | None) -> str:
    return PageState.from_search(search).search


@protected_callback(
    Permission.ALERTS_READ, Input("alerts-search", "value"), State(URL_ID, "search"), prevent_initial_call=True
)
def choose_search(typed: str | None, search: str | None) -> None:
    wanted = PageState.from_search(search).with_(search=typed or "")
    go(PageState.from_search(wanted.to_search()), search)


register_page(
    __name__, path="/alerts", permission=Permission.ALERTS_READ, name=lazy("Alerts"), icon="bell", shortcut="g a", order=3,
)  # fmt: skip
