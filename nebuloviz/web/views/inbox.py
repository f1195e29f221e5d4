"""The list of alerts as an inbox: what can be done from a row, why it is snoozed, and the keys for all of it (assets/inbox.js)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy, ngettext, number, relative
from nebuloviz.services.interfaces import IncidentView
from nebuloviz.web.components import alert_words, button, series_words
from nebuloviz.web.components.basic import given
from nebuloviz.web.views.snoozes import snooze_list

ACT = "inbox-act"
DIALOG_ID, REASON_ID, UNTIL_ID, CONFIRM_ID = "inbox-snooze", "inbox-reason", "inbox-until", "inbox-confirm"
_ACTS = {
    "acknowledge": (lazy("Acknowledge"), "eye"),
    "resolve": (lazy("Resolve"), "check-circle"),
    "snooze": (lazy("Snooze"), "moon"),
}
KEYS = (
    ("j k", lazy("Next and previous alert in the list")),
    ("a", lazy("Acknowledge")),
    ("r", lazy("Resolve")),
    ("s", lazy("Snooze")),
)


def act_id(act: object, of: object) -> dict[str, object]:
    return {"type": ACT, "do": act, "of": of}


def acts(incident: IncidentView) -> Component:
    """What can be done about all alerts of an incident; each button says of which to those who cannot see it."""
    about = series_words(incident.lead)
    buttons = [
        button(
            _("{act}: {series}", act=str(words), series=about),
            id=act_id(act, incident.id),
            icon_name=icon_name,
            kind="quiet",
            icon_only=True,
            disabled=act == "acknowledge" and incident.state == "acknowledged",
            **given(data_nv_does=act),
        )
        for act, (words, icon_name) in _ACTS.items()
    ]
    return html.Div(buttons, className="nv-inbox-acts")


def shown_words(incidents: Sequence[IncidentView], now: datetime) -> str:
    """All that a list of these shows, as text: the same as long as it would be drawn the same."""
    ages = [relative((now - incident.lead.bucket_start).total_seconds()) for incident in incidents]
    return repr((incidents, ages))


def status_words(incidents: Sequence[IncidentView]) -> str:
    """What a screen reader says when the list has changed."""
    count = len(incidents)
    shown = ngettext("{count} incident is shown.", "{count} incidents are shown.", count, count=number(count))
    if not incidents:
        return shown
    newest = incidents[0].lead
    words = _("Newest: {series}, {words}", series=series_words(newest), words=alert_words(newest))
    return f"{shown} {words}"


def keys_line() -> Component:
    """The keys, for those who have some."""
    parts: list[Component] = []
    for keys, words in (*KEYS[:1], ("Enter", _("Show it")), *KEYS[1:], ("?", _("This help"))):
        marks = [html.Kbd(key) for key in keys.split()]
        parts.append(html.Span([html.Span(marks, dir="ltr"), " ", str(words)], className="nv-key"))
    return html.P(parts, className="nv-keys")


def snooze_dialog() -> Component:
    """Asks why, and until when."""
    reason = dcc.Input(id=REASON_ID, className="nv-input", maxLength=2000, autoComplete="off")
    head = html.Header(
        [
            html.H2(_("Snooze"), className="nv-card-title"),
            button(_("Close"), icon_name="x-lg", kind="quiet", icon_only=True, **given(data_nv_action="close")),
        ],
        className="nv-card-head",
    )
    why = html.Div([html.Label(_("Why it can wait"), htmlFor=REASON_ID), reason], className="nv-field")
    confirm = button(_("Snooze"), id=CONFIRM_ID, icon_name="moon", kind="primary", **given(data_nv_action="close"))
    body = html.Div([why, snooze_list(UNTIL_ID), confirm], className="nv-inbox-snooze")
    return html.Dialog([head, body], id=DIALOG_ID, className="nv-dialog", **given(aria_label=_("Snooze")))
