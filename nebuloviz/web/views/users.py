"""Users: the list, and the form of a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import LazyText, _, format_datetime, lazy, listed
from nebuloviz.metrics.registry import dimension
from nebuloviz.permissions import RowScope
from nebuloviz.services.interfaces import PasswordOffer, UserDraft, UserRecord
from nebuloviz.services.shown import role_words
from nebuloviz.web.components import badge, card, empty_state, list_field, once_field, sent_values, table, text_field
from nebuloviz.web.components.basic import Kind, button, icon
from nebuloviz.web.figures import value_label
from nebuloviz.web.filterbar import NOT_GIVEN

ANY_STATE = "any"
STATES: Mapping[str, tuple[LazyText, Kind, str]] = {
    "active": (lazy("Active"), "good", "check-circle"),
    "invited": (lazy("Invited"), "accent", "envelope"),
    "locked": (lazy("Locked"), "warn", "lock"),
    "disabled": (lazy("Disabled"), "neutral", "slash-circle"),
}
ORDER_WORDS = {
    "name": lazy("By name"),
    "role": lazy("By role"),
    "created": lazy("Newest first"),
    "signed_in": lazy("Last sign-in first"),
}
_NAMED_VALUES = 3
_TEXTS = ("name", "email", "role")
#: The fields that a refusal may be about, as errors call them.
WITH_PROBLEMS = ("username", "email", "role")


def state_options() -> list[dict[str, str]]:
    return [
        {"label": _("All states"), "value": ANY_STATE},
        *({"label": str(words), "value": name} for name, (words, *_look) in STATES.items()),
    ]


def order_options() -> list[dict[str, str]]:
    return [{"label": str(words), "value": name} for name, words in ORDER_WORDS.items()]


def state_badge(user: UserRecord) -> Component:
    words, kind, icon_name = STATES[user.state]
    return badge(str(words), kind, icon_name=icon_name)


def scope_words(scope: RowScope) -> str:
    """What a user sees, shortly: "Store: 367, 406 · Category: 5 chosen"."""
    if not scope:
        return _("Everything")
    return " · ".join(f"{dimension(slug).label!s}: {_values_words(values)}" for slug, values in scope)


def _values_words(values: Sequence[str]) -> str:
    if len(values) > _NAMED_VALUES:
        return _("{count} selected", count=len(values))
    return listed(value_label(value) for value in values)


def user_table(users: Sequence[UserRecord], *, filtered: bool) -> Component:
    """Users as they come; each name leads to the user's own page."""
    if not users:
        hint = _("Search for something else, or show all states.") if filtered else None
        return empty_state(_("No user was found"), icon_name="people", hint=hint)
    heads = (_("Name"), _("E-mail"), _("Role"), _("Sees"), _("State"), _("Last sign-in"))
    return table(_("Users"), heads, [_row(user) for user in users])


def _row(user: UserRecord) -> Component:
    last = format_datetime(user.last_sign_in_at) if user.last_sign_in_at else _("never")
    return html.Tr(
        [
            html.Th([dcc.Link(html.Bdi(user.username), href=f"/users/{user.id}"), _own_name(user)], scope="row"),
            html.Td(html.Bdi(user.email)),
            html.Td(html.Bdi(role_words(user.role, user.role_name))),
            html.Td(html.Bdi(scope_words(user.scope))),
            html.Td(state_badge(user)),
            html.Td(last),
        ]
    )


def _own_name(user: UserRecord) -> Component | None:
    """What the user wants to be called, under the name to sign in with."""
    return html.Div(html.Bdi(user.display_name), className="nv-help") if user.display_name else None


# ---------------------------------------------------------------- one user


def field_id(name: Any) -> dict[str, Any]:
    return {"type": "user-field", "of": name}


def problem_id(field: str) -> str:
    """Where it is said what is wrong with one of `WITH_PROBLEMS`."""
    return f"user-problem-{field}"


def act_id(what: Any) -> dict[str, Any]:
    return {"type": "user-act", "do": what}


def user_form(
    user: UserRecord | None, roles: Sequence[dict[str, Any]], choices: Mapping[str, Sequence[tuple[str, str]]]
) -> Component:
    """What an administrator decides of a user; None for one that is to be created.

    `roles` are to choose from. `choices` has for each dimension that rows can be confined by the values that there are, with
    their labels.
    """
    scope = dict(user.scope) if user else {}
    return html.Div(
        [
            html.Div(
                [
                    text_field(
                        field_id("name"),
                        _("Name"),
                        user.username if user else "",
                        disabled=user is not None,
                        problem=problem_id("username"),
                    ),
                    text_field(
                        field_id("email"),
                        _("E-mail"),
                        user.email if user else "",
                        most=254,
                        problem=problem_id("email"),
                    ),
                    list_field(
                        field_id("role"),
                        _("Role"),
                        roles,
                        user.role if user else "viewer",
                        clearable=False,
                        problem=problem_id("role"),
                    ),
                ],
                className="nv-mapping nv-mapping-wide",
            ),
            html.H3(_("Sees only"), className="nv-card-title"),
            html.P(
                _(
                    "Leave empty to allow all rows. Users limited to some rows have no access to the stream, imports, "
                    "users and audit log."
                ),
                className="nv-card-subtitle",
            ),
            html.Div(
                [_scope_field(slug, values, scope.get(slug, ())) for slug, values in choices.items()],
                className="nv-mapping nv-mapping-wide",
            ),
            html.Div(
                button(_("Save") if user else _("Create"), id="user-save", kind="primary"),
                className="nv-form-actions",
            ),
        ],
        className="nv-stack",
    )


def _scope_field(slug: str, values: Sequence[tuple[str, str]], chosen: Sequence[str]) -> Component:
    known = dict(values) | {value: value_label(value) for value in chosen if value not in dict(values)}
    options = [{"label": label, "value": value or NOT_GIVEN} for value, label in known.items()]
    label = str(dimension(slug).label)
    return list_field(
        field_id(slug), label, options, [value or NOT_GIVEN for value in chosen], multi=True, placeholder=_("All")
    )


def draft_of(ids: object, values: object) -> tuple[str, UserDraft]:
    """Name and draft, of the form's fields; whatever else a browser says is left out, and where nothing is chosen."""
    sent = sent_values(ids, values)
    name, email, role = (value.strip() if isinstance(value := sent.pop(of, ""), str) else "" for of in _TEXTS)
    scope = {
        slug: ["" if value == NOT_GIVEN else value for value in chosen if isinstance(value, str)]
        for slug, chosen in sent.items()
        if isinstance(chosen, list) and chosen
    }
    return name, UserDraft(role, email, scope)


def user_facts(user: UserRecord) -> Component:
    """State and times, beside the form."""
    last = format_datetime(user.last_sign_in_at) if user.last_sign_in_at else _("never")
    facts: tuple[tuple[str, Any], ...] = (
        (_("State"), state_badge(user)),
        (_("Created"), format_datetime(user.created_at)),
        (_("Last sign-in"), last),
        (_("Second factor"), second_factor_badge(on=user.second_factor)),
    )
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)], className="nv-kpi") for name, value in facts], className="nv-kpis"
    )


def second_factor_badge(*, on: bool) -> Component:
    return badge(_("On"), "good", icon_name="shield-check") if on else badge(_("Off"), "neutral", icon_name="shield")


def user_actions(user: UserRecord, *, own: bool, may_look: bool, mails: bool) -> Component:
    """What can be done to a user at once; deleting asks first.

    `own`: whether it is the reader, who can neither disable nor delete the own account. `may_look`: whether the reader may look
    through the user's eyes. `mails`: whether the program can send e-mails.
    """
    disabled = user.state == "disabled"
    link_words = _("New invitation link") if user.state == "invited" else _("Reset password")
    mail_words = _("Invite by e-mail") if user.state == "invited" else _("Send a link by e-mail")
    return html.Div(
        [
            _look(user) if may_look and not disabled else None,
            None if disabled else button(link_words, id=act_id("link"), icon_name="key"),
            button(mail_words, id=act_id("mail"), icon_name="envelope")
            if mails and user.email and not disabled
            else None,
            button(_("Unlock"), id=act_id("unlock"), icon_name="unlock") if user.state == "locked" else None,
            button(_("Reset second factor"), id=act_id("second-factor"), icon_name="shield-x")
            if user.second_factor
            else None,
            button(_("End sessions"), id=act_id("sessions"), icon_name="box-arrow-right"),
            *([] if own else _ends(user)),
        ],
        className="nv-row",
    )


def _ends(user: UserRecord) -> list[Component]:
    """What shuts the user out."""
    switch = (
        button(_("Enable"), id=act_id("enable"), icon_name="check-circle")
        if user.state == "disabled"
        else button(_("Disable"), id=act_id("disable"), icon_name="slash-circle")
    )
    delete = dcc.ConfirmDialogProvider(
        button(_("Delete"), icon_name="trash", kind="danger"),
        id="user-delete",
        message=_("Delete {name}? This cannot be undone.", name=user.username),
    )
    return [switch, delete]


def _look(user: UserRecord) -> Component:
    words = [icon("eye"), html.Span(_("View as {name}", name=user.username))]
    look = html.Button(words, className="nv-button nv-button-plain")
    return html.Form(look, action=f"/view-as/{user.id}", method="post")


def offer_card(offer: PasswordOffer, origin: str) -> Component:
    """The one-time link, which is never shown again. `origin`: what the program's addresses begin with."""
    words = _(
        "Send this link to {name} to set a password. It works once, until {when}, and is not shown again.",
        name=offer.user.username,
        when=format_datetime(offer.expires_at),
    )
    row = once_field("user-link-address", _("One-time link"), origin + offer.path)
    return card(_("One-time link"), [html.P(words, className="nv-card-subtitle"), row], span=12)
