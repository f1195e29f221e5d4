"""One's own profile: how one sees things, password and second factor, where one is signed in, tokens for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dash
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, current, format_locale, lazy, ngettext, number, use
from nebuloviz.permissions import Permission
from nebuloviz.settings import SUPPORTED_LANGUAGES
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import button, card, page, page_header, skeleton_table, toast
from nebuloviz.web.components.basic import given
from nebuloviz.web.context import act, ask, current_actor, current_user, installation, may, services
from nebuloviz.web.navigation import SAVED_ID, news, number_of, stay_on_page
from nebuloviz.web.reading import asking, now
from nebuloviz.web.sessions import remember_theme
from nebuloviz.web.views import profile as views

_SESSIONS, _TOKENS = "profile-sessions-changed", "profile-tokens-changed"
_DRAWN_ANEW = ("language", "time_zone", "format_region", "week_start", "theme", "display_name")


def layout(**_query: str) -> Component:
    stay_on_page()
    user = current_user()
    others = button(_("End all others"), id="profile-others", icon_name="box-arrow-right", kind="quiet")
    return page(
        [
            dcc.Store(id=_SESSIONS),
            dcc.Store(id=_TOKENS),
            html.Div(page_header(_("Profile"), subtitle=html.Bdi(user.username)), className="nv-span-12"),
            html.Div(id="profile-message", className="nv-span-12", role="status"),
            card(_("Display"), views.profile_form(user, installation(), _pages(), now()), span=7),
            card(_("Sign-in"), part_answer(_security), span=5),
            card(
                _("Where you are signed in"),
                html.Div(skeleton_table(2, 5), id="profile-sessions", **given(aria_live="polite")),
                actions=[others],
                flush=True,
            ),
            card(
                _("API tokens"),
                [
                    html.Div(id="profile-token-new"),
                    html.Div(skeleton_table(2, 5), id="profile-tokens", **given(aria_live="polite")),
                    html.Div(views.token_form(current_actor().permissions), className="nv-card-foot"),
                ],
                subtitle=_("For scripts and notebooks. Changing your password revokes them all."),
                flush=True,
            ),
        ],
        filtered=False,
    )


def _security() -> Component:
    due = services().second_factor.is_due(current_user())
    return views.security(ask(services().second_factor.state), required=due)


def _pages() -> Mapping[str, str]:
    """Path -> name of the pages in the rail that the reader may see."""
    return {
        page["path"]: str(page["name"])
        for page in dash.page_registry.values()
        if page["icon"] and may(page["permission"])
    }


@protected_callback(
    Permission.DATA_READ,
    Output("profile-message", "children"),
    Input("profile-save", "n_clicks"),
    State(views.field_id(ALL), "id"),
    State(views.field_id(ALL), "value"),
    prevent_initial_call=True,
)
def save(clicks: Any, ids: Any, values: Any) -> Any:
    """Store the form; what changes every word on the page draws it anew."""
    if not clicks:
        raise PreventUpdate
    before, changes = current_user(), views.changes_of(ids, values, _pages())
    try:
        after = act(services().profile.change, **changes)
    except NebuloVizError as error:
        return refusal(error)
    if after.theme != before.theme:
        remember_theme(after.theme)
    if any(getattr(before, name) != getattr(after, name) for name in _DRAWN_ANEW):
        dash.set_props(SAVED_ID, {"data": news()})
    return toast(_("Saved."), "good")


@protected_callback(
    Permission.DATA_READ,
    Output("profile-sample", "children"),
    Input(views.field_id("format_region"), "value"),
    Input(views.field_id("language"), "value"),
    prevent_initial_call=True,
)
def show_sample(region: Any, language: Any) -> Any:
    """How numbers and times would look with what is chosen, before it is saved."""
    reader = current()
    shown = language if language in SUPPORTED_LANGUAGES else reader.language
    with use(replace(reader, number_locale=format_locale(shown, str(region)) or shown)):
        return views.sample_words(now())


# ---------------------------------------------------------------- sessions


@protected_callback(Permission.DATA_READ, Output("profile-sessions", "children"), Input(_SESSIONS, "data"))
def show_sessions(_changed: Any) -> Any:
    with asking(None):
        return part_answer(
            lambda: views.session_table(ask(services().profile.sessions), current_user().session_id, now())
        )


@protected_callback(
    Permission.DATA_READ,
    Output(_SESSIONS, "data"),
    Output("profile-message", "children", allow_duplicate=True),
    Input(views.session_id(ALL), "n_clicks"),
    Input("profile-others", "n_clicks"),
    prevent_initial_call=True,
)
def end_sessions(clicks: Any, others: Any) -> tuple[Any, Any]:
    """End the session of the row, or all others."""
    asked = ctx.triggered_id
    try:
        if asked == "profile-others" and others:
            ended = act(services().profile.end_other_sessions, current_user().session_id)
        elif isinstance(asked, dict) and isinstance(clicks, list) and any(clicks):
            act(services().profile.end_session, str(asked["of"]))
            ended = 1
        else:
            raise PreventUpdate
    except NebuloVizError as error:
        return news(), refusal(error)
    words = ngettext("{count} session was ended.", "{count} sessions were ended.", ended, count=number(ended))
    return news(), toast(words, "good")


# ---------------------------------------------------------------- tokens


@protected_callback(Permission.DATA_READ, Output("profile-tokens", "children"), Input(_TOKENS, "data"))
def show_tokens(_changed: Any) -> Any:
    with asking(None):
        return part_answer(lambda: views.token_table(ask(services().api_tokens.list)))


@protected_callback(
    Permission.DATA_READ,
    Output(_TOKENS, "data"),
    Output("profile-token-new", "children"),
    Output("profile-token-name", "value"),
    Output("profile-message", "children", allow_duplicate=True),
    Input("profile-token-make", "n_clicks"),
    State("profile-token-name", "value"),
    State("profile-token-permissions", "value"),
    State("profile-token-days", "value"),
    prevent_initial_call=True,
)
def make_token(clicks: Any, name: Any, permissions: Any, days: Any) -> tuple[Any, ...]:
    if not clicks:
        raise PreventUpdate
    chosen = [item for item in Permission if isinstance(permissions, list) and item.value in permissions]
    life = int(days) if isinstance(days, str) and days in map(str, views.TOKEN_DAYS) else 0
    try:
        made = act(services().api_tokens.create, name if isinstance(name, str) else "", chosen, life)
    except NebuloVizError as error:
        return no_update, no_update, no_update, refusal(error)
    return news(), views.made_token(made), "", no_update


@protected_callback(
    Permission.DATA_READ,
    Output(_TOKENS, "data", allow_duplicate=True),
    Output("profile-message", "children", allow_duplicate=True),
    Input(views.token_id(ALL), "submit_n_clicks"),
    prevent_initial_call=True,
)
def revoke_token(clicks: Any) -> tuple[Any, Any]:
    asked = ctx.triggered_id
    if not isinstance(clicks, list) or not any(clicks) or not isinstance(asked, dict):
        raise PreventUpdate
    number_ = str(asked["of"])
    try:
        act(services().api_tokens.revoke, number_of(number_))
    except NebuloVizError as error:
        return news(), refusal(error)
    return news(), toast(_("Revoked: programs that use the token are refused from now on."), "good")


register_page(__name__, path="/profile", permission=Permission.DATA_READ, name=lazy("Profile"))
