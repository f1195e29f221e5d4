"""Roles: what the ready-made ones and those of one's own include."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import link_button, page, page_header, skeleton_table
from nebuloviz.web.components.basic import given
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import roles as views


def layout(**_query: str) -> Component:
    stay_on_page()
    new = link_button(_("New role"), "/roles/new", icon_name="plus-lg", kind="primary")
    return page(
        [
            html.Div(page_header(_("Roles"), actions=[new]), className="nv-span-12"),
            html.Div(
                html.Div(skeleton_table(9, 5), id="roles-matrix", **given(aria_live="polite")),
                className="nv-card nv-span-12",
            ),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.USERS_MANAGE, Output("roles-matrix", "children"), Input("roles-matrix", "id")
)  # fmt: skip
def show(_id: str) -> Any:
    with asking(None):
        return part_answer(lambda: views.matrix(ask(services().roles.list)))


register_page(
    __name__, path="/roles", permission=Permission.USERS_MANAGE, name=lazy("Roles"), icon="person-badge", order=8.5,
)  # fmt: skip
