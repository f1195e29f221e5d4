"""Settings of the whole installation, in sections, each saved by itself."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, MATCH, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import InvalidSettings, NebuloVizError
from nebuloviz.i18n import _, current, lazy
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AuditAction
from nebuloviz.services.mail_texts import trial_mail
from nebuloviz.services.setting_entries import SECTIONS
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import part_answer, refusal
from nebuloviz.web.components import page, page_header, skeleton_table, toast
from nebuloviz.web.components.basic import icon
from nebuloviz.web.context import act, ask, installation, services
from nebuloviz.web.navigation import stay_on_page
from nebuloviz.web.views import settings as views

_VERSION = "settings-version"


def layout(**_query: str) -> Component:
    stay_on_page()
    subtitle = _("These apply to everyone, immediately and without a restart.")
    return page(
        [
            dcc.Store(id=_VERSION),
            html.Div(
                page_header(_("Settings"), subtitle=subtitle, actions=[_first_questions()]), className="nv-span-12"
            ),
            html.Div(views.section_links(), className="nv-span-12"),
            html.Div(
                html.Div(html.Div(skeleton_table(8, 2), className="nv-card-body"), className="nv-card"),
                id="settings-sections",
                className="nv-span-12 nv-sections",
            ),
        ],
        filtered=False,
    )


def _first_questions() -> Component:
    """The way to the form of the first sign-in, which an unattended installation has never shown."""
    words = [icon("magic"), html.Span(_("Setup questions"))]
    return html.A(words, href="/first-run", className="nv-button nv-button-plain")


@protected_callback(
    Permission.SETTINGS_MANAGE,
    Output("settings-sections", "children"),
    Output(_VERSION, "data"),
    Input("settings-sections", "id"),
)
def show(_id: Any) -> tuple[Any, Any]:
    def build() -> tuple[Any, Any]:
        record = ask(services().settings.get)
        cards = [views.section_card(section, record, _beside(section)) for section in SECTIONS]
        return cards, record.version

    answer = part_answer(build)
    return answer if isinstance(answer, tuple) else (answer, no_update)


def _beside(section: str) -> Component | None:
    """What stands below a section's form, and is not saved with it."""
    return views.mail_test_form() if section == "mail" else None


@protected_callback(
    Permission.SETTINGS_MANAGE,
    Output(views.part_id("body", MATCH), "children"),
    Input(views.part_id("save", MATCH), "n_clicks"),
    Input(views.part_id("reset", MATCH), "n_clicks"),
    State(views.field_id(MATCH, ALL), "id"),
    State(views.field_id(MATCH, ALL), "value"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(saved: Any, reset: Any, ids: Any, values: Any, version: Any) -> Any:
    """Store one section, or take its decisions back. What somebody else has changed meanwhile is not overwritten."""
    trigger = ctx.triggered_id if isinstance(ctx.triggered_id, dict) else {}
    section = str(trigger.get("section", ""))
    if section not in SECTIONS or not (saved or reset):
        raise PreventUpdate
    typed = views.typed_of(ids, values, section)
    back = trigger.get("type") == views.part_id("reset", section)["type"]
    record = ask(services().settings.get)
    changes = {
        name: None if back else typed.get(name)
        for name in views.entries_of(section)
        if name not in record.fixed and (back or name in typed)
    }
    try:
        record = act(services().settings.change, version if isinstance(version, int) else -1, changes)
    except InvalidSettings as error:
        return views.section_form(section, record, typed, error.problems)
    except NebuloVizError as error:
        dash.set_props("nv-toasts", {"children": refusal(error)})
        return no_update
    dash.set_props(_VERSION, {"data": record.version})
    dash.set_props("nv-toasts", {"children": toast(_("Saved. It takes effect now."), "good")})
    return views.section_form(section, record)


@protected_callback(
    Permission.SETTINGS_MANAGE,
    Output(views.field_id(MATCH, MATCH), "value"),
    Output(views.picture_id("shown", MATCH, MATCH), "children"),
    Input(views.picture_id("upload", MATCH, MATCH), "contents"),
    Input(views.picture_id("remove", MATCH, MATCH), "n_clicks"),
    prevent_initial_call=True,
)
def choose_picture(contents: Any, removed: Any) -> tuple[Any, Any]:
    """Show the picture that was chosen; saving says whether it can be taken."""
    trigger = ctx.triggered_id if isinstance(ctx.triggered_id, dict) else {}
    if str(trigger.get("type", "")).endswith("remove"):
        if not removed:
            raise PreventUpdate
        return "", views.picture_shown("")
    if not isinstance(contents, str) or "," not in contents:
        raise PreventUpdate
    value = contents.partition(",")[2]
    return value, views.picture_shown(value)


@protected_callback(
    Permission.SETTINGS_MANAGE,
    Output("settings-mail-result", "children"),
    Input("settings-mail-test", "n_clicks"),
    State("settings-mail-to", "value"),
    prevent_initial_call=True,
)
def test_mail(clicks: Any, to: Any) -> Any:
    """Send a mail by the stored settings, and say what the server says."""
    if not clicks:
        raise PreventUpdate
    address = to.strip() if isinstance(to, str) else ""
    try:
        act(services().audit.record, AuditAction.MAIL_TRIED, address)  # first, as it is refused to who only looks
        services().mail.send(trial_mail(address, current().language, installation()))
    except NebuloVizError as error:
        return views.outcome(error.message, good=False)
    return views.outcome(_("Sent. Check the inbox of {address}.", address=address), good=True)


register_page(
    __name__, path="/settings", permission=Permission.SETTINGS_MANAGE, name=lazy("Settings"), icon="gear", order=10,
)  # fmt: skip
