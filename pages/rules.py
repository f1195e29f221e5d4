"""Rules of detection: what is watched in ways that people have chosen."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import card, link_button, page, page_header, skeleton_table
from nebuloviz.web.context import ask, may, services
from nebuloviz.web.navigation import STAMP_ID, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import rules as views


def layout(**_query: str) -> Component:
    stay_on_page()
    actions = [link_button(_("What is monitored"), "/detectors", icon_name="binoculars")]
    if may(Permission.ALERTS_MANAGE):
        actions.append(link_button(_("New rule"), f"/rules/{views.NEW}", icon_name="plus-lg", kind="primary"))
    about = _("Rules run alongside the detectors that monitor everything, and alert in the same way.")
    return page(
        [
            html.Div(page_header(_("Rules"), subtitle=about, actions=actions), className="nv-span-12"),
            card(_("Rules"), html.Div(skeleton_table(4, 6), id="rules-table"), flush=True),
        ],
        filtered=False,
    )


@protected_callback(Permission.ALERTS_READ, Output("rules-table", "children"), Input(STAMP_ID, "data"))
def show(_stamp: Any) -> Any:
    with asking(None):
        return part_answer(lambda: views.rule_table(ask(services().rules.rules)))


register_page(__name__, path="/rules", permission=Permission.ALERTS_READ, name=lazy("Rules"))
