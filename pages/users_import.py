"""Users from a CSV file: a template, what the file would come to, and the links of those who were created."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import refusal
from nebuloviz.web.components import link_button, page, page_header
from nebuloviz.web.components.basic import given
from nebuloviz.web.context import act, ask, origin, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.views import user_imports as views


def layout(**_query: str) -> Component:
    stay_on_page()
    header = page_header(_("Import users"), actions=[link_button(_("All users"), "/users", icon_name="people")])
    return page(
        [
            html.Div(header, className="nv-span-12"),
            views.upload_card(),
            html.Div(id="users-import-message", className="nv-span-12", role="status"),
            html.Div(id="users-import-rows", className="nv-span-12", **given(aria_live="polite")),
        ],
        filtered=False,
    )


@protected_callback(
    Permission.USERS_MANAGE,
    Output("users-import-message", "children"),
    Output("users-import-rows", "children"),
    Input("users-file", "contents"),
    State("users-file", "filename"),
    prevent_initial_call=True,
)
def look(contents: Any, name: Any) -> tuple[Any, Any]:
    """Say of each row what it would come to; nothing is created yet."""
    if contents is None:
        raise PreventUpdate
    try:
        rows = ask(services().user_imports.preview, views.content_of(contents))
    except NebuloVizError as error:
        return refusal(error), None
    return None, views.preview(rows, name if isinstance(name, str) else "")


@protected_callback(
    Permission.USERS_MANAGE,
    Output("users-import-message", "children", allow_duplicate=True),
    Output("users-import-rows", "children", allow_duplicate=True),
    Input("users-import-run", "n_clicks"),
    State("users-file", "contents"),
    prevent_initial_call=True,
)
def create(clicks: Any, contents: Any) -> tuple[Any, Any]:
    """Create the users of all good rows, and show the links this once."""
    if not clicks:
        raise PreventUpdate
    try:
        rows = act(services().user_imports.run, views.content_of(contents))
    except NebuloVizError as error:
        return refusal(error), no_update
    return None, views.result(rows, origin())


register_page(
    __name__,
    path="/users/import",
    permission=Permission.USERS_MANAGE,
    name=lazy("Import users"),
    order=8.2,  # before /users/<user_id>, which would match as well
)
