"""Alerts: what was unusual, by state, severity, series and time."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import link_button, page, page_header, skeleton_feed
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.context import act, ask, installation, may, services
from nebuloviz.web.deciding import decide_all
from nebuloviz.web.navigation import STAMP_ID, URL_ID, go, news, stay_on_page
from nebuloviz.web.question import bounds
from nebuloviz.web.reading import Asking, asking, now
from nebuloviz.web.state import PageState
from nebuloviz.web.views import alerts as views
from nebuloviz.web.views import inbox
from nebuloviz.web.views.snoozes import snooze_end


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
    taught = link_button(_("Feedback"), "/lessons", icon_name="mortarboard")
    watched = link_button(_("What is monitored"), "/detectors", icon_name="binoculars")
    more = button(_("Show more"), id="alerts-more", kind="quiet", hidden=True)
    return page(
        [
            html.Div(page_header(_("Alerts"), actions=[watched, taught]), className="nv-span-12"),
            html.Div(bar, className="nv-alert-bar nv-span-12"),
            html.Div(id="alerts-message", className="nv-span-12"),
            html.P(id="alerts-status", className="visually-hidden", role="status"),
            html.Div(
                [html.Div(skeleton_feed(8), id="alerts-list"), more], className="nv-card nv-span-12 nv-alert-card"
            ),
            html.Div(inbox.keys_line(), className="nv-span-12"),
            dcc.Store(id="alerts-shown"),
            dcc.Store(id="alerts-changed"),
            dcc.Store(id="alerts-snoozed"),
            inbox.snooze_dialog(),
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
    Output("alerts-status", "children"),
    Output("alerts-shown", "data"),
    Input(URL_ID, "search"),
    Input(STAMP_ID, "data"),
    Input("alerts-more", "n_clicks"),
    Input("alerts-changed", "data"),
    State("alerts-shown", "data"),
)
def show(search: str | None, _stamp: str, more: int | None, _changed: Any = None, shown: Any = None) -> tuple[Any, ...]:
    """Draws the list only where it would look different: whoever is in it, or listens to it, is not disturbed by other news."""
    with asking(search) as asked:
        count = min(views.PAGE * (1 + (more or 0)), 500)

        def build() -> tuple[Any, ...]:
            found = ask(services().alerts.incidents, filter_of(asked), None, count)
            # What is pressed hides the others, of whose number the pills tell
            counts = ask(services().alerts.counts, replace(filter_of(asked), states=()))
            watching = installation().detection
            shows = f"{inbox.shown_words(found.items, asked.now)} {counts} {search} {found.next_cursor} {watching}"
            digest = hashlib.blake2b(shows.encode(), digest_size=12).hexdigest()
            if digest == shown:
                return (no_update,) * 6
            pills = views.state_pills(asked.state, counts), views.severity_pills(asked.state)
            manageable, resolved = may(Permission.ALERTS_MANAGE), counts["resolved"]
            learning = not (found.items or any(counts.values())) and _is_learning()
            listed = views.incident_list(
                found.items,
                asked.state,
                asked.now,
                resolved=resolved,
                manageable=manageable,
                learning=learning,
                watching=watching,
            )
            return listed, found.next_cursor is None, *pills, inbox.status_words(found.items), digest

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, True, None, None, None, None)


def _is_learning() -> bool:
    """Whether no watch knows yet what is normal, so that there being no alert says nothing."""
    return not any(watch.version for watch in ask(services().alerts.detectors))


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alerts-changed", "data"),
    Output("alerts-message", "children"),
    Output("alerts-snoozed", "data"),
    Input(inbox.act_id(ALL, ALL), "n_clicks"),
    prevent_initial_call=True,
)
def decide(clicks: Any) -> tuple[Any, Any, Any]:
    """What a row's button says, about all alerts of its incident; a snooze is asked about first."""
    asked = ctx.triggered_id
    if not isinstance(clicks, list) or not any(clicks) or not isinstance(asked, dict):
        raise PreventUpdate
    incident, alerts = asked.get("of"), services().alerts
    match asked.get("do"):
        case "snooze":
            return no_update, None, incident
        case "resolve":
            method = alerts.resolve
        case _:
            method = alerts.acknowledge
    return news(), decide_all(incident, lambda alert: act(method, alert.id, "", alert.version)), no_update


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alerts-changed", "data", allow_duplicate=True),
    Output("alerts-message", "children", allow_duplicate=True),
    Output(inbox.REASON_ID, "value"),
    Input(inbox.CONFIRM_ID, "n_clicks"),
    State("alerts-snoozed", "data"),
    State(inbox.REASON_ID, "value"),
    State(inbox.UNTIL_ID, "value"),
    prevent_initial_call=True,
)
def snooze(clicks: int | None, incident: Any, reason: Any, until: Any) -> tuple[Any, Any, Any]:
    if not clicks:
        raise PreventUpdate
    why, end = reason if isinstance(reason, str) else "", snooze_end(until, now())
    said = decide_all(incident, lambda alert: act(services().alerts.snooze, alert.id, end, why, alert.version))
    return news(), said, ""


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
