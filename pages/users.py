"""Users: who may sign in, as what, and which rows they see."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import dropdown_texts, link_button, page, page_header, skeleton_table
from nebuloviz.web.components.basic import given
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import users as views


def layout(**_query: str) -> Component:
    stay_on_page()
    many = link_button(_("Import"), "/users/import", icon_name="upload")
    new = link_button(_("New user"), "/users/new", icon_name="person-plus", kind="primary")
    return page(
        [
            html.Div(page_header(_("Users"), actions=[many, new]), className="nv-span-12"),
            html.Div(_bar(), className="nv-alert-bar nv-span-12"),
            html.Div(
                html.Div(skeleton_table(8, 6), id="users-list", **given(aria_live="polite")),
                className="nv-card nv-span-12",
            ),
        ],
        filtered=False,
    )


def _bar() -> list[Component]:
    search = dcc.Input(
        id="users-search",
        type="search",
        debounce=0.4,
        placeholder=_("Name or e-mail"),
        className="nv-input nv-search",
        maxLength=100,
    )
    words = html.Span(_("Search users"), className="visually-hidden")
    return [
        html.Label([words, search], **given(data_nv_search="")),
        _choice("users-state", _("State"), views.state_options(), views.ANY_STATE),
        _choice("users-order", _("Order"), views.order_options(), "name"),
    ]


def _choice(id: str, label: str, options: list[dict[str, str]], value: str) -> Component:
    choice = dcc.Dropdown(
        id=id,
        options=options,
        value=value,
        clearable=False,
        searchable=False,
        labels=dropdown_texts(),
        className="nv-select nv-select-range",
    )
    return html.Div(choice, role="group", **given(aria_label=label))


@protected_callback(
    Permission.USERS_MANAGE,
    Output("users-list", "children"),
    Input("users-search", "value"),
    Input("users-state", "value"),
    Input("users-order", "value"),
)
def show(search: Any, state: Any, order: Any) -> Any:
    text = search.strip() if isinstance(search, str) else ""
    wanted = state if isinstance(state, str) and state != views.ANY_STATE else ""
    with asking(None):

        def build() -> Component:
            found = ask(services().users.list, text, wanted, order if isinstance(order, str) else "name")
            return views.user_table(found, filtered=bool(text or wanted))

        return part_answer(build)


register_page(
    __name__, path="/users", permission=Permission.USERS_MANAGE, name=lazy("Users"), icon="people", order=8,
)  # fmt: skip
