"""One role: its name, what it includes, and who has it. `/roles/new` creates one, `?copy=` from another."""

from __future__ import annotations

from typing import Any

import dash
from dash import Input, Output, State, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import RoleDraft, RoleView, UserFilter
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal, told_beside
from nebuloviz.web.components import card, link_button, page_header, record_page, toast
from nebuloviz.web.context import act, ask, current_actor, services
from nebuloviz.web.navigation import URL_ID, gets_an_address, news, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import roles as views

_NEW = "new"  # in the place of the slug of a role that is to be created; no role has it
_STORE, _COPIED, _VERSION, _CHANGED = "role-slug", "role-copied", "role-version", "role-changed"
_NAMED_HOLDERS = 100
_NO_PROBLEMS = (None,) * len(views.WITH_PROBLEMS)


def layout(slug: str = "", copy: str = "", **_query: str) -> Component:
    stay_on_page()
    stores = {_STORE: slug, _COPIED: copy, _VERSION: None, _CHANGED: None}
    header = _header(_("New role") if slug == _NEW else _("Role"))
    return record_page("role", header, _("What it includes"), stores)


def _header(title: Any) -> Component:
    return page_header(title, actions=[link_button(_("All roles"), "/roles", icon_name="person-badge")])


@protected_callback(
    Permission.USERS_MANAGE,
    Output("role-head", "children"),
    Output("role-form", "children"),
    Output("role-rest", "children"),
    Output(_VERSION, "data"),
    Input(_STORE, "data"),
    Input(_CHANGED, "data"),
    State(_COPIED, "data"),
)
def show(slug: Any, _changed: Any, copied: Any) -> tuple[Any, ...]:
    with asking(None):

        def build() -> tuple[Any, ...]:
            may_give = current_actor().permissions
            if slug == _NEW:
                return _header(_("New role")), views.role_form(None, _draft(copied), may_give), None, None
            role = _role(slug)
            draft = RoleDraft(views.words_of(role), role.permissions, role.description)
            form = views.role_form(role, draft, may_give)
            return _header(html.Bdi(views.words_of(role))), form, _rest(role), role.version

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (no_update, answer, None, None)


def _role(slug: object) -> RoleView:
    return ask(services().roles.get, slug if isinstance(slug, str) else "")


def _draft(copied: object) -> RoleDraft:
    """What the form of a new role begins with."""
    if not copied:
        return RoleDraft("", [])
    role = _role(copied)
    return RoleDraft(_("Copy of {name}", name=views.words_of(role))[:60], role.permissions, role.description)


def _rest(role: RoleView) -> Component:
    holders = ask(services().users.list, UserFilter(role=role.slug), None, _NAMED_HOLDERS).items
    return card(
        _("Users with this role"),
        html.Div([views.holder_list(holders, role.holders), views.role_actions(role)], className="nv-stack"),
        span=12,
    )


@protected_callback(
    Permission.USERS_MANAGE,
    Output(_STORE, "data"),
    Output(_CHANGED, "data"),
    Output("role-message", "children"),
    *(Output(views.problem_id(field), "children") for field in views.WITH_PROBLEMS),
    Input("role-save", "n_clicks"),
    State("role-name", "value"),
    State("role-description", "value"),
    State("role-permissions", "value"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(clicks: Any, name: Any, description: Any, permissions: Any, slug: Any, version: Any) -> tuple[Any, ...]:
    """Create the role, or store what has been changed; what somebody else changed meanwhile is not overwritten."""
    if not clicks:
        raise PreventUpdate
    draft = views.draft_of(name, description, permissions)
    try:
        if slug == _NEW:
            role = act(services().roles.create, draft)
            return role.slug, no_update, toast(_("{name} was created.", name=role.name), "good"), *_NO_PROBLEMS
        act(services().roles.change, *_which(slug, version), draft)
    except NebuloVizError as error:
        return no_update, no_update, *told_beside(error, views.WITH_PROBLEMS)
    words = _("Saved. It takes effect from each user's next request.")
    return no_update, news(), toast(words, "good"), *_NO_PROBLEMS


gets_an_address(_STORE)


@protected_callback(
    Permission.USERS_MANAGE,
    Output("role-message", "children", allow_duplicate=True),
    Input("role-delete", "submit_n_clicks"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def delete(clicks: Any, slug: Any, version: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().roles.delete, *_which(slug, version))
    except NebuloVizError as error:
        return refusal(error)
    dash.set_props(URL_ID, {"pathname": "/roles"})
    return no_update


def _which(slug: object, version: object) -> tuple[str, int]:
    return (slug if isinstance(slug, str) else ""), (version if isinstance(version, int) else -1)


register_page(__name__, path_template="/roles/<slug>", permission=Permission.USERS_MANAGE, name=lazy("Role"))
