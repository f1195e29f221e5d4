"""What people have said of alerts, and what the detectors were taught by it; each can be taken back."""

from __future__ import annotations

from typing import Any

from dash import ALL, Input, Output, ctx, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import link_button, page, page_header, skeleton_table, toast
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import news, number_of, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import feedback as views

_CHANGED = "taught-changed"


def layout(**_query: str) -> Component:
    stay_on_page()
    back = link_button(_("All alerts"), "/alerts", icon_name="bell")
    about = _("What people said about alerts, and what that changes. Once undone, it no longer counts.")
    return page(
        [
            dcc.Store(id=_CHANGED),
            html.Div(
                page_header(_("Feedback to the detectors"), subtitle=about, actions=[back]), className="nv-span-12"
            ),
            html.Div(id="taught-message", className="nv-span-12"),
            html.Div(html.Div(skeleton_table(6, 6), id="taught-list"), className="nv-card nv-span-12"),
        ],
        filtered=False,
    )


@protected_callback(Permission.ALERTS_READ, Output("taught-list", "children"), Input(_CHANGED, "data"))
def show(_changed: Any) -> Any:
    with asking(None):
        return part_answer(
            lambda: views.taught_table(ask(services().alerts.taught), manageable=may(Permission.ALERTS_MANAGE))
        )


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output(_CHANGED, "data"),
    Output("taught-message", "children"),
    Input({"type": views.BACK, "of": ALL}, "n_clicks"),
    prevent_initial_call=True,
)
def take_back(clicks: Any) -> tuple[Any, Any]:
    asked = ctx.triggered_id
    if not isinstance(clicks, list) or not any(clicks) or not isinstance(asked, dict):
        raise PreventUpdate
    number = asked.get("of")
    try:
        act(services().alerts.unjudge, number_of(number))
    except NebuloVizError as error:
        return news(), refusal(error)
    return news(), toast(_("Undone: it no longer affects the detectors."), "good")


register_page(__name__, path="/lessons", permission=Permission.ALERTS_READ, name=lazy("Feedback"))
