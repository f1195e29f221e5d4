"""One channel of notification: where it goes, what is told and when, a test. `/notifications/new` makes one."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import ChannelView, NotificationRule
from nebuloviz.services.notification_rules import MAX_RULES
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import card, link_button, page, page_header, sent_values, skeleton_table, toast
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import URL_ID, gets_an_address, news, number_of, stay_on_page
from nebuloviz.web.reading import asking, segments_to_choose
from nebuloviz.web.views import notifications as views
from nebuloviz.web.views.settings import outcome

_STORE, _VERSION, _CHANGED = "notification-id", "notification-version", "notification-changed"


def layout(channel_id: str = "", **_query: str) -> Component:
    stay_on_page()
    new = channel_id == views.NEW
    known = number_of(channel_id)
    title = _("New channel") if new else _("Channel")
    return page(
        [
            dcc.Store(id=_STORE, data=views.NEW if new else known),
            dcc.Store(id=_VERSION),
            dcc.Store(id=_CHANGED),
            html.Div(_header(title), id="notification-head", className="nv-span-12"),
            html.Div(id="notification-message", className="nv-span-12", role="status"),
            html.Div(id="notification-made", className="nv-span-12"),
            card(_("Where and when"), html.Div(skeleton_table(8, 2), id="notification-form"), span=12),
            html.Div(id="notification-rest", className="nv-span-12"),
        ],
        filtered=False,
    )


def _header(title: Any) -> Component:
    return page_header(title, actions=[link_button(_("All channels"), "/notifications", icon_name="send")])


@protected_callback(
    Permission.ALERTS_READ,
    Output("notification-head", "children"),
    Output("notification-form", "children"),
    Output("notification-rest", "children"),
    Output(_VERSION, "data"),
    Input(_STORE, "data"),
    Input(_CHANGED, "data"),
)
def show(number: Any, _changed: Any) -> tuple[Any, ...]:
    with asking(None):

        def build() -> tuple[Any, ...]:
            manager = may(Permission.SETTINGS_MANAGE)
            if number == views.NEW:
                return (
                    _header(_("New channel")),
                    views.channel_form(None, segments_to_choose(), manager=manager),
                    None,
                    None,
                )
            view = _channel(number)
            form = views.channel_form(view, segments_to_choose(), manager=manager)
            rest = card(_("Test"), views.actions(view), span=12)
            return _header(html.Bdi(view.draft.name)), form, rest, view.version

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (no_update, answer, None, None)


def _channel(number: object) -> ChannelView:
    return ask(services().notifications.channel, number_of(number))


@protected_callback(
    Permission.ALERTS_READ,
    Output("notification-target", "children"),
    Input(views.choice_id(ALL), "value"),
    State(views.choice_id(ALL), "id"),
    prevent_initial_call=True,
)
def show_target(values: Any, ids: Any) -> Any:
    """Another kind of channel goes elsewhere."""
    said = sent_values(ids, values)
    if not said:
        raise PreventUpdate
    return views.target_field(views.kind_of(said.get("kind")), None, shared=bool(said.get("shared")))


@protected_callback(
    Permission.ALERTS_READ,
    Output("notification-rules", "children"),
    Input("notification-rule-add", "n_clicks"),
    Input(views.remove_id(ALL), "n_clicks"),
    State(views.rule_id(ALL, ALL), "id"),
    State(views.rule_id(ALL, ALL), "value"),
    prevent_initial_call=True,
)
def change_rules(added: Any, removed: Any, ids: Any, values: Any) -> Any:
    """One rule more, or one less; what was typed stays."""
    asked, rules = ctx.triggered_id, views.rules_of(ids, values)
    if isinstance(asked, dict) and isinstance(removed, list) and any(removed):
        place = asked.get("rule")
        rules = [rule for number, rule in enumerate(rules) if number != place]
    elif added and asked == "notification-rule-add" and len(rules) < MAX_RULES:
        rules.append(NotificationRule())
    else:
        raise PreventUpdate
    with asking(None):
        return part_answer(lambda: views.rule_cards(rules, segments_to_choose()))


@protected_callback(
    Permission.ALERTS_READ,
    Output(_STORE, "data"),
    Output(_CHANGED, "data"),
    Output("notification-message", "children"),
    Output("notification-made", "children"),
    Input("notification-save", "n_clicks"),
    State(views.field_id(ALL), "id"),
    State(views.field_id(ALL), "value"),
    State(views.choice_id(ALL), "id"),
    State(views.choice_id(ALL), "value"),
    State(views.rule_id(ALL, ALL), "id"),
    State(views.rule_id(ALL, ALL), "value"),
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(clicks: Any, *said: Any) -> tuple[Any, ...]:
    """Make the channel, or store what has been changed; what somebody else changed meanwhile is not overwritten."""
    if not clicks:
        raise PreventUpdate
    ids, values, choice_ids, choices, rule_ids, rule_values, number, version = said
    draft, choice = views.draft_of(ids, values, rule_ids, rule_values), sent_values(choice_ids, choices)
    service = services().notifications
    try:
        if number == views.NEW:
            made = act(service.create, views.kind_of(choice.get("kind")), draft, shared=bool(choice.get("shared")))
            secret = views.made_secret(made.secret) if made.secret else None
            return (
                made.view.id,
                no_update,
                toast(_("{name} was created. Send a test.", name=made.view.draft.name), "good"),
                secret,
            )
        act(service.change, number_of(number), version if isinstance(version, int) else -1, draft)
    except NebuloVizError as error:
        return no_update, no_update, refusal(error), no_update
    return no_update, news(), toast(_("Saved. It takes effect now."), "good"), no_update


@protected_callback(
    Permission.ALERTS_READ,
    Output("notification-result", "children"),
    Input("notification-test", "n_clicks"),
    State(_STORE, "data"),
    prevent_initial_call=True,
)
def test_channel(clicks: Any, number: Any) -> Any:
    """Send a test, and say what the other side says."""
    if not clicks:
        raise PreventUpdate
    service = services().notifications
    try:
        service.send(act(service.trial, number_of(number)))
    except NebuloVizError as error:
        return outcome(error.message, good=False)
    return outcome(_("Sent and accepted. Check that it arrived."), good=True)


@protected_callback(
    Permission.ALERTS_READ,
    Output("notification-message", "children", allow_duplicate=True),
    Input("notification-delete", "submit_n_clicks"),
    State(_STORE, "data"),
    prevent_initial_call=True,
)
def delete(clicks: Any, number: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().notifications.delete, number_of(number))
    except NebuloVizError as error:
        return refusal(error)
    dash.set_props(URL_ID, {"pathname": "/notifications"})
    return no_update


gets_an_address(_STORE)


register_page(
    __name__, path_template="/notifications/<channel_id>", permission=Permission.ALERTS_READ, name=lazy("Channel")
)
