"""One incident: its alerts along a common line of time, what explains it most, and what was done about it."""

from __future__ import annotations

from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import IncidentView
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import (
    card,
    link_button,
    page,
    page_header,
    skeleton_feed,
    skeleton_table,
    skeleton_tile,
)
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.deciding import decide_all
from nebuloviz.web.navigation import STAMP_ID, news, number_of, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import alert_life as life
from nebuloviz.web.views import alerts as alert_views
from nebuloviz.web.views import incidents as views

_STORE, _CHANGED = "incident-id", "incident-changed"


def layout(incident_id: str = "", **_query: str) -> Component:
    stay_on_page()
    known = number_of(incident_id)
    back = link_button(_("All alerts"), "/alerts", icon_name="bell")
    gone = life.gone(_("There is no such incident"), back, lambda: _incident(known))
    if gone is not None:
        return gone
    return page(
        [
            dcc.Store(id=_STORE, data=known),
            dcc.Store(id=_CHANGED),
            html.Div(page_header(_("Incident {number}", number=known), actions=[back]), className="nv-span-12"),
            html.Div(id="incident-message", className="nv-span-12"),
            html.Div(skeleton_tile(), id="incident-head", className="nv-span-12"),
            html.Div(id="incident-acts", className="nv-span-12"),
            card(_("Alerts in this incident"), html.Div(skeleton_feed(3), id="incident-alerts"), span=8, flush=True),
            card(_("What happened"), html.Div(skeleton_feed(3), id="incident-history"), span=4),
            card(_("What explains it most"), html.Div(skeleton_table(5, 4), id="incident-causes"), span=12),
        ],
        filtered=False,
    )


def _incident(number_: object) -> IncidentView:
    """The incident of that number. Raises NotFound."""
    return ask(services().alerts.incident, number_of(number_))


@protected_callback(
    Permission.ALERTS_READ,
    Output("incident-head", "children"),
    Output("incident-alerts", "children"),
    Output("incident-history", "children"),
    Output("incident-acts", "children"),
    Input(_STORE, "data"),
    Input(STAMP_ID, "data"),
    Input(_CHANGED, "data"),
)
def show(number_: int, _stamp: str, _changed: Any) -> tuple[Any, ...]:
    with asking(None) as asked:

        def build() -> tuple[Any, ...]:
            found = _incident(number_)
            histories = [(alert, ask(services().alerts.history, alert.id)) for alert in found.alerts]
            acts = views.acts(found) if may(Permission.ALERTS_MANAGE) else None
            return (
                views.head(found, asked.now),
                views.alerts_in_time(found, asked.now),
                life.common_timeline(histories),
                acts,
            )

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, None, None, None)


@protected_callback(Permission.ALERTS_READ, Output("incident-causes", "children"), Input(_STORE, "data"))
def causes(number_: int) -> Any:
    with asking(None):

        def build() -> Component:
            lead = _incident(number_).lead
            return alert_views.causes(ask(services().alerts.explanation, lead.id), lead)

        return part_answer(build)


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output(_CHANGED, "data"),
    Output("incident-message", "children"),
    Input({"type": views.ACT, "of": ALL}, "n_clicks"),
    State(_STORE, "data"),
    prevent_initial_call=True,
)
def decide(clicks: Any, number_: int) -> tuple[Any, Any]:
    """Acknowledge or resolve all its alerts that still can be."""
    asked = ctx.triggered_id
    if not isinstance(clicks, list) or not any(clicks) or not isinstance(asked, dict):
        raise PreventUpdate
    alerts = services().alerts
    method = alerts.resolve if asked.get("of") == "resolve" else alerts.acknowledge
    return news(), decide_all(number_, lambda alert: act(method, alert.id, "", alert.version))


register_page(
    __name__, path_template="/incidents/<incident_id>", permission=Permission.ALERTS_READ, name=lazy("Incident")
)
