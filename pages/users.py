"""Users: who may sign in, as what, and which rows they see."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import UserFilter
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer
from nebuloviz.web.components import dropdown_texts, link_button, page, page_header, skeleton_table
from nebuloviz.web.components.basic import given, turning_buttons
from nebuloviz.web.context import ask, services
from nebuloviz.web.navigation import stay_on_page, turned
from nebuloviz.web.reading import asking
from nebuloviz.web.views import users as views

_TRAIL, _NEXT, _BACK, _ON = "users-trail", "users-next", "users-back", "users-on"
_PAGE = 50


def layout(**_query: str) -> Component:
    stay_on_page()
    many = link_button(_("Import"), "/users/import", icon_name="upload")
    new = link_button(_("New user"), "/users/new", icon_name="person-plus", kind="primary")
    return page(
        [
            dcc.Store(id=_TRAIL, data=[]),
            dcc.Store(id=_NEXT),
            html.Div(page_header(_("Users"), actions=[many, new]), className="nv-span-12"),
            html.Div(_bar(), className="nv-alert-bar nv-span-12"),
            html.Div(
                html.Div(skeleton_table(8, 6), id="users-list", **given(aria_live="polite")),
                className="nv-card nv-span-12",
            ),
            turning_buttons((_BACK, _("Previous page")), (_ON, _("Next page")), id="users-pages", hidden=True),
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
    Output(_TRAIL, "data"),
    Output(_NEXT, "data"),
    Output(_BACK, "disabled"),
    Output(_ON, "disabled"),
    Output("users-pages", "hidden"),
    Input("users-search", "value"),
    Input("users-state", "value"),
    Input("users-order", "value"),
    Input(_BACK, "n_clicks"),
    Input(_ON, "n_clicks"),
    State(_TRAIL, "data"),
    State(_NEXT, "data"),
)
def show(search: Any, state: Any, order: Any, _back: Any, _on: Any, trail: Any, following: Any) -> tuple[Any, ...]:
    """One page of the list; another search, state or order begins with the first again."""
    text = search.strip() if isinstance(search, str) else ""
    wanted = state if isinstance(state, str) and state != views.ANY_STATE else ""
    which = UserFilter(text, wanted, order=order if isinstance(order, str) else "name")
    trail = turned(trail, following, older=ctx.triggered_id == _ON, newer=ctx.triggered_id == _BACK)
    with asking(None):

        def build() -> tuple[Any, ...]:
            found = ask(services().users.list, which, trail[-1] if trail else None, _PAGE)
            last = found.next_cursor is None
            shown = views.user_table(found.items, filtered=bool(text or wanted))
            return shown, trail, found.next_cursor, not trail, last, last and not trail

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, [], None, True, True, True)


register_page(
    __name__, path="/users", permission=Permission.USERS_MANAGE, name=lazy("Users"), icon="people", order=8,
)  # fmt: skip
