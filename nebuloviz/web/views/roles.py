"""Roles: the matrix of all of them, and the form of a single one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, ngettext, number
from nebuloviz.permissions import Permission, complete
from nebuloviz.services.interfaces import RoleDraft, RoleView, UserRecord
from nebuloviz.services.shown import PERMISSION_WORDS, role_words
from nebuloviz.web.components import badge, button, hidden, link_button, text_field
from nebuloviz.web.components.basic import given, icon

#: Fields of the form beside which it is said what is wrong with them.
WITH_PROBLEMS = ("name", "description")


def problem_id(field: str) -> str:
    """Where it is said what is wrong with one of `WITH_PROBLEMS`."""
    return f"role-problem-{field}"


def words_of(role: RoleView) -> str:
    return role_words(role.slug, role.name)


def role_options(roles: Sequence[RoleView], may_give: Collection[Permission], chosen: str = "") -> list[dict[str, Any]]:
    """Roles to choose from; those that include more than may be given can be seen, and not chosen."""
    return [
        {
            "label": words_of(role),
            "value": role.slug,
            "disabled": role.slug != chosen and not set(role.permissions) <= set(may_give),
        }
        for role in roles
    ]


# ---------------------------------------------------------------- all roles


def matrix(roles: Sequence[RoleView]) -> Component:
    """What each role includes: permissions down, roles across; a role of one's own leads to its page."""
    corner = html.Th(hidden(_("Permission")), scope="col")
    table = html.Table(
        [
            html.Caption(_("Roles"), className="visually-hidden"),
            html.Thead(html.Tr([corner, *(_role_head(role) for role in roles)])),
            html.Tbody([_permission_row(permission, roles) for permission in PERMISSION_WORDS]),
            html.Tfoot(html.Tr([html.Th(hidden(_("Copy")), scope="row"), *(html.Td(_copy(role)) for role in roles)])),
        ],
        className="nv-table nv-matrix",
    )
    return html.Div(table, className="nv-table-wrap", tabIndex=0, role="region", **given(aria_label=_("Roles")))


def _role_head(role: RoleView) -> Component:
    words = html.Bdi(words_of(role))
    title = [icon("lock"), words] if role.ready_made else dcc.Link(words, href=f"/roles/{role.slug}")
    count = ngettext("{count} user", "{count} users", role.holders, count=number(role.holders))
    return html.Th(
        [html.Div(title, className="nv-matrix-name"), html.Div(count, className="nv-muted")],
        scope="col",
        title=role.description,
    )


def _permission_row(permission: Permission, roles: Sequence[RoleView]) -> Component:
    label, means = PERMISSION_WORDS[permission]
    head = html.Th([html.Div(str(label)), html.Div(str(means), className="nv-muted nv-matrix-means")], scope="row")
    return html.Tr([head, *(html.Td(_mark(yes=permission in role.permissions)) for role in roles)])


def _mark(*, yes: bool) -> list[Component]:
    if yes:
        return [html.Span(icon("check-lg"), className="nv-matrix-yes"), hidden(_("yes"))]
    return [html.Span("–", className="nv-muted", **given(aria_hidden="true")), hidden(_("no"))]


def _copy(role: RoleView) -> Component:
    return link_button(_("Copy"), copy_address(role), icon_name="copy", kind="quiet")


def copy_address(role: RoleView) -> str:
    return f"/roles/new?{urlencode({'copy': role.slug})}"


# ---------------------------------------------------------------- one role


def role_form(role: RoleView | None, draft: RoleDraft, may_give: Collection[Permission]) -> Component:
    """What an administrator decides of a role; `role` None for one that is to be created, from `draft`."""
    fixed = role is not None and role.ready_made
    fields = html.Div(
        [
            text_field("role-name", _("Name"), draft.name, most=60, disabled=fixed, problem=problem_id("name")),
            text_field(
                "role-description",
                _("Description"),
                draft.description,
                most=300,
                disabled=fixed,
                wide=True,
                problem=problem_id("description"),
            ),
        ],
        className="nv-mapping",
    )
    save = button(_("Save") if role else _("Create"), id="role-save", kind="primary", disabled=fixed)
    return html.Div(
        [
            html.P(_("A ready-made role cannot be changed. Copy it, and change the copy."), className="nv-muted")
            if fixed
            else None,
            fields,
            html.H3(_("Permissions"), className="nv-card-title", id="role-may"),
            _permission_list(draft.permissions, may_give, fixed=fixed),
            html.Div(save, className="nv-form-actions"),
        ],
        className="nv-stack",
    )


def _permission_list(chosen: Collection[Permission], may_give: Collection[Permission], *, fixed: bool) -> Component:
    options: list[Any] = [
        {
            "label": html.Span(
                [html.Span(str(label)), html.Span(str(means), className="nv-muted nv-matrix-means")],
                className="nv-choice-words",
            ),
            "value": str(permission),
            "disabled": fixed or permission is Permission.DATA_READ or permission not in may_give,
        }
        for permission, (label, means) in PERMISSION_WORDS.items()
    ]
    values = [str(permission) for permission in PERMISSION_WORDS if permission in complete(chosen)]
    group = dcc.Checklist(id="role-permissions", options=options, value=values, className="nv-choices")
    return html.Div(group, role="group", **given(aria_labelledby="role-may"))


def draft_of(name: object, description: object, permissions: object) -> RoleDraft:
    """The draft of the form's fields; whatever else a browser says is left out."""
    known = set(Permission)
    chosen = [Permission(item) for item in permissions if item in known] if isinstance(permissions, list) else []
    return RoleDraft(name if isinstance(name, str) else "", chosen, description if isinstance(description, str) else "")


def role_actions(role: RoleView) -> Component:
    """Copying and, of a role that nobody has, deleting."""
    copy = link_button(_("Copy"), copy_address(role), icon_name="copy")
    delete = dcc.ConfirmDialogProvider(
        button(_("Delete"), icon_name="trash", kind="danger"),
        id="role-delete",
        message=_("Delete {name}? This cannot be undone.", name=words_of(role)),
    )
    return html.Div([copy, None if role.ready_made or role.holders else delete], className="nv-row")


def holder_list(users: Sequence[UserRecord], in_all: int) -> Component:
    """Who has the role, each with the way to the user's page; `in_all` counts those who are not named too."""
    if not users:
        return html.P(_("Nobody has this role."), className="nv-muted")
    links = [dcc.Link(badge(html.Bdi(user.username), icon_name="person"), href=f"/users/{user.id}") for user in users]
    left = in_all - len(links)
    more = ngettext("and {count} more", "and {count} more", left, count=number(left)) if left > 0 else None
    return html.Div([*links, html.Span(more, className="nv-muted") if more else None], className="nv-row")
