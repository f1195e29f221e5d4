"""What watches sales: which series, in which buckets, since when, and what the watches learned from."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, dcc, html, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import link_button, page, page_header, skeleton_table, skeleton_tile, toast
from nebuloviz.web.context import act, ask, installation, may, services
from nebuloviz.web.navigation import STAMP_ID, news, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import detectors as views

_SWITCHED = "detectors-switched"


def layout(**_query: str) -> Component:
    stay_on_page()
    actions = [
        link_button(_("All alerts"), "/alerts", icon_name="bell"),
        link_button(_("Rules"), "/rules", icon_name="signpost-split"),
    ]
    about = _("Every metric is monitored in total and for the largest values of each dimension.")
    return page(
        [
            html.Div(page_header(_("What is monitored"), subtitle=about, actions=actions), className="nv-span-12"),
            dcc.Store(id=_SWITCHED),
            html.Div(skeleton_tile(), id="detectors-sensitivity", className="nv-grid nv-span-12"),
            html.Div(skeleton_tile(), id="detectors-watches", className="nv-span-12"),
            html.Div(html.Div(skeleton_table(8, 4), id="detectors-watched"), className="nv-card nv-span-12"),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.ALERTS_READ,
    Output("detectors-watches", "children"),
    Output("detectors-watched", "children"),
    Input(STAMP_ID, "data"),
)
def show(_stamp: Any) -> tuple[Any, Any]:
    with asking(None) as asked:

        def both() -> tuple[Any, Any]:
            found = ask(services().alerts.detectors)
            return views.watches(found), views.watched_table(found, asked.now)

        answer = part_answer(both)
        return answer if isinstance(answer, tuple) else (answer, None)


@protected_callback(
    Permission.ALERTS_READ,
    Output("detectors-sensitivity", "children"),
    Input(STAMP_ID, "data"),
    Input(_SWITCHED, "data"),
)
def show_sensitivity(_stamp: Any, _switched: Any) -> Any:
    with asking(None):

        def build() -> Component:
            manageable = may(Permission.SETTINGS_MANAGE)
            switchable = manageable and "detection" not in ask(services().settings.get).fixed
            return views.sensitivity(installation(), manageable=manageable, switchable=switchable)

        return part_answer(build)


@protected_callback(
    Permission.SETTINGS_MANAGE,
    Output(_SWITCHED, "data"),
    Input(views.SWITCH_ID, "n_clicks"),
    State(views.SWITCH_ID, "value"),
    prevent_initial_call=True,
)
def switch(clicks: Any, then: Any) -> Any:
    """Stop watching sales, or begin again, as the button said: somebody else may have done it since."""
    if not clicks or then not in ("on", "off"):
        raise PreventUpdate
    try:
        record = ask(services().settings.get)
        act(services().settings.change, record.version, {"detection": then == "on"})
    except NebuloVizError as error:
        set_props("nv-toasts", {"children": refusal(error)})
        raise PreventUpdate from error
    set_props("nv-toasts", {"children": toast(_("Saved. It takes effect now."), "good")})
    return news()


register_page(__name__, path="/detectors", permission=Permission.ALERTS_READ, name=lazy("What is monitored"))
