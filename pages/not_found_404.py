"""What stands where no page is."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import register_page
from nebuloviz.web.components import empty_state, link_button, page


def layout(**_query: str) -> Component:
    way_back = link_button(_("Go to Overview"), "/", icon_name="grid-1x2", kind="primary")
    hint = _("The link may be out of date or mistyped.")
    return page(
        html.Div(
            empty_state(_("There is no such page"), way_back, icon_name="compass", hint=hint), className="nv-span-12"
        ),
        filtered=False,
    )


register_page(__name__, permission=Permission.DATA_READ, name=lazy("Page not found"))
