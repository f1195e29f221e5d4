"""Status: every part of the installation in words, for those who look after it."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import page, page_header, skeleton_table
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.context import current_actor, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.views import status as views

_FINDINGS, _AGAIN = "status-findings", "status-again"


def layout(**_query: str) -> Component:
    stay_on_page()
    subtitle = _("The services this installation relies on, and how they are doing.")
    again = button(_("Check again"), id=_AGAIN, icon_name="arrow-clockwise")
    return page(
        [
            html.Div(page_header(_("Status"), subtitle=subtitle, actions=[again]), className="nv-span-12"),
            html.Div(
                html.Div(html.Div(skeleton_table(12, 3), className="nv-card-body"), className="nv-card"),
                id=_FINDINGS,
                className="nv-span-12",
                **given(aria_live="polite"),
            ),
        ],
        filtered=False,
    )


@protected_callback(Permission.SETTINGS_MANAGE, Output(_FINDINGS, "children"), Input(_AGAIN, "n_clicks"))
def look(_clicks: Any) -> Any:
    return part_answer(lambda: views.findings_card(services().status.findings(current_actor())))


register_page(
    __name__, path="/status", permission=Permission.SETTINGS_MANAGE, name=lazy("Status"), icon="activity", order=9.5,
)  # fmt: skip
