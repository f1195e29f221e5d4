"""One user: role, e-mail and row scope; one-time links, sessions, shutting out and deleting. `/users/new` creates one."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, Input, Output, State, ctx, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy, ngettext, number
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import PasswordOffer, UserDraft, UserRecord
from nebuloviz.services.password_mails import MailedOffer, mail_password_link
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal, told_beside
from nebuloviz.web.components import card, link_button, page_header, record_page, toast
from nebuloviz.web.context import act, ask, current_actor, current_user, origin, services
from nebuloviz.web.navigation import URL_ID, gets_an_address, news, stay_on_page
from nebuloviz.web.reading import asking
from nebuloviz.web.views import users as views
from nebuloviz.web.views.roles import role_options

_NEW = 0  # the id of a user that is to be created
_STORE, _VERSION, _CHANGED = "user-id", "user-version", "user-changed"
_SCOPED = ("region", "country", "channel", "store", "category")
_MAX_VALUES = 500
_NO_PROBLEMS = (None,) * len(views.WITH_PROBLEMS)


def layout(user_id: str = "", **_query: str) -> Component:
    stay_on_page()
    known = int(user_id) if user_id.isdecimal() and len(user_id) < 18 else _NEW if user_id == "new" else -1
    header = _header(_("User") if known else _("New user"))
    link = html.Div(id="user-link", className="nv-span-12")
    return record_page("user", header, _("Role and row access"), {_STORE: known, _VERSION: None, _CHANGED: None}, link)


def _header(title: Any) -> Component:
    return page_header(title, actions=[link_button(_("All users"), "/users", icon_name="people")])


@protected_callback(
    Permission.USERS_MANAGE,
    Output("user-head", "children"),
    Output("user-form", "children"),
    Output("user-rest", "children"),
    Output(_VERSION, "data"),
    Input(_STORE, "data"),
    Input(_CHANGED, "data"),
)
def show(user_id: Any, _changed: Any) -> tuple[Any, ...]:
    with asking(None):

        def build() -> tuple[Any, ...]:
            user = None if user_id == _NEW else _user(user_id)
            form = views.user_form(user, _roles(user), _choices(user))
            if user is None:
                return _header(_("New user")), form, None, None
            return _header(html.Bdi(user.username)), form, _rest(user), user.version

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (no_update, answer, None, None)


def _user(user_id: object) -> UserRecord:
    return ask(services().users.get, user_id if isinstance(user_id, int) else -1)


def _roles(user: UserRecord | None) -> list[dict[str, Any]]:
    return role_options(ask(services().roles.list), current_actor().permissions, user.role if user else "")


def _choices(user: UserRecord | None) -> dict[str, Any]:
    """The values that rows can be confined to, of the dimensions that tell sales apart or are chosen already."""
    present = {*ask(services().data.dimensions_in_use), *(slug for slug, _values in (user.scope if user else ()))}
    return {slug: ask(services().data.values, slug, "", _MAX_VALUES) for slug in _SCOPED if slug in present}


def _rest(user: UserRecord) -> Component:
    own, mails = user.id == current_user().id, services().mail.is_set_up
    actions = views.user_actions(user, own=own, may_look=_may_look(user), mails=mails)
    body = [views.user_facts(user), actions]
    return card(_("Account"), html.Div(body, className="nv-stack"), span=12)


def _may_look(user: UserRecord) -> bool:
    """Whether the reader may look through the user's eyes: at somebody else, who may nothing more."""
    included = {role.slug: set(role.permissions) for role in ask(services().roles.list)}
    return user.id != current_user().id and included.get(user.role, set()) <= current_actor().permissions


@protected_callback(
    Permission.USERS_MANAGE,
    Output(_STORE, "data"),
    Output(_CHANGED, "data"),
    Output("user-message", "children"),
    Output("user-link", "children"),
    *(Output(views.problem_id(field), "children") for field in views.WITH_PROBLEMS),
    Input("user-save", "n_clicks"),
    State(views.field_id(ALL), "id"),
    State(views.field_id(ALL), "value"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(clicks: Any, ids: Any, values: Any, user_id: Any, version: Any) -> tuple[Any, ...]:
    """Create the user, or store what has been changed; what somebody else changed meanwhile is not overwritten."""
    if not clicks:
        raise PreventUpdate
    name, draft = views.draft_of(ids, values)
    try:
        return *_saved(user_id, version, name, draft), *_NO_PROBLEMS
    except NebuloVizError as error:
        message, *beside = told_beside(error, views.WITH_PROBLEMS)
        return no_update, no_update, message, no_update, *beside


def _saved(user_id: object, version: object, name: str, draft: UserDraft) -> tuple[Any, Any, Any, Any]:
    """The page's user, whether there is news of it, what to say, and the link of a new one."""
    if user_id == _NEW:
        offer = act(services().users.create, name, draft)
        words = _("{name} was created.", name=offer.user.username)
        return offer.user.id, no_update, toast(words, "good"), _offered(offer)
    act(services().users.change, _number(user_id), _number(version), draft)
    return no_update, news(), toast(_("Saved. It takes effect from the user's next request."), "good"), None


gets_an_address(_STORE)


@protected_callback(
    Permission.USERS_MANAGE,
    Output(_CHANGED, "data", allow_duplicate=True),
    Output("user-message", "children", allow_duplicate=True),
    Output("user-link", "children", allow_duplicate=True),
    Input(views.act_id(ALL), "n_clicks"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def do(clicks: Any, user_id: Any, version: Any) -> tuple[Any, Any, Any]:
    """One of the buttons beside the form."""
    what = ctx.triggered_id["do"] if isinstance(ctx.triggered_id, dict) else ""
    if not isinstance(clicks, list) or not any(clicks):
        raise PreventUpdate
    try:
        words, link = _done(str(what), _number(user_id), _number(version))
    except NebuloVizError as error:
        return no_update, refusal(error), no_update
    return news(), toast(words, "good"), link


def _done(what: str, user_id: int, version: int) -> tuple[str, Component | None]:
    """What was done, in words, and the link if there is one."""
    users = services().users
    if what == "link":
        return _("There is a new link; older ones no longer work."), _offered(act(users.offer_password, user_id))
    if what == "mail":
        return _mailed(mail_password_link(services(), act, user_id, origin()))
    if what == "unlock":
        act(users.unlock, user_id)
        return _("Unlocked: the user can sign in again right away."), None
    if what == "second-factor":
        act(services().second_factor.reset, user_id)
        return _("The second factor is off: the password is enough, until the user sets up another."), None
    if what == "sessions":
        count = act(users.end_sessions, user_id)
        return ngettext("{count} session was ended.", "{count} sessions were ended.", count, count=number(count)), None
    if what not in {"enable", "disable"}:
        raise PreventUpdate
    act(users.set_disabled, user_id, version, disabled=what == "disable")
    return (_("Disabled, and signed out everywhere.") if what == "disable" else _("Enabled.")), None


@protected_callback(
    Permission.USERS_MANAGE,
    Output("user-message", "children", allow_duplicate=True),
    Input("user-delete", "submit_n_clicks"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def delete(clicks: Any, user_id: Any, version: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().users.delete, _number(user_id), _number(version))
    except NebuloVizError as error:
        return refusal(error)
    dash.set_props(URL_ID, {"pathname": "/users"})
    return no_update


def _mailed(mailed: MailedOffer) -> tuple[str, Component | None]:
    """What came of sending the link; where that failed, it is shown, so that it can be sent in another way."""
    if mailed.failure is None:
        return _("Sent to {address}.", address=mailed.offer.user.email), None
    reason = mailed.failure.message
    words = _("The e-mail was not sent. {reason} Here is the link, to send another way.", reason=reason)
    return words, _offered(mailed.offer)


def _offered(offer: PasswordOffer) -> Component:
    return views.offer_card(offer, origin())


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


register_page(__name__, path_template="/users/<user_id>", permission=Permission.USERS_MANAGE, name=lazy("User"))
