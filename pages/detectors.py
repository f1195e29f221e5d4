"""What watches sales: which series, in which buckets, since when, and what the watches learned from."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import link_button, page, page_header, skeleton_table, skeleton_tile
from nebuloviz.web.context import ask, may, services
from nebuloviz.web.navigation import STAMP_ID, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import detectors as views


def layout(**_query: str) -> Component:
    stay_on_page()
    actions = [
        link_button(_("All alerts"), "/alerts", icon_name="bell"),
        link_button(_("Rules"), "/rules", icon_name="signpost-split"),
    ]
    if may(Permission.SETTINGS_MANAGE):
        actions.append(link_button(_("Sensitivity"), "/settings#settings-detection", icon_name="sliders"))
    about = _("Every metric is watched in total and for the largest values of each dimension.")
    return page(
        [
            html.Div(page_header(_("What is watched"), subtitle=about, actions=actions), className="nv-span-12"),
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


register_page(__name__, path="/detectors", permission=Permission.ALERTS_READ, name=lazy("What is watched"))
