"""What can be done about an alert, and what was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.errors import NebuloVizError, NotFound
from nebuloviz.i18n import _, format_datetime, lazy, listed
from nebuloviz.metrics.line_figures import figure
from nebuloviz.services.interfaces import AlertHistoryEntry, AlertView
from nebuloviz.web.components import button, empty_state, icon, list_field, page, series_words, state_word
from nebuloviz.web.views import feedback
from nebuloviz.web.views.snoozes import snooze_list

NOTE_ID, OWNER_ID, SNOOZE_ID = "alert-note", "alert-owner", "alert-snooze-until"
NOBODY = "-"
_EVENTS = {
    "raised": (lazy("Raised"), "bell"),
    "worsened": (lazy("Got worse"), "graph-up-arrow"),
    "acknowledged": (lazy("Acknowledged"), "eye"),
    "assigned": (lazy("Assigned to {owner}"), "person"),
    "released": (lazy("Unassigned"), "person"),
    "commented": (lazy("Comment"), "chat-left-text"),
    "snoozed": (lazy("Snoozed until {time}"), "moon"),
    "woke": (lazy("Open again after its snooze"), "bell"),
    "resolved": (lazy("Resolved"), "check-circle"),
    "corrected": (lazy("Late sales brought it back into the expected range"), "check-circle"),
    "reopened": (lazy("Reopened"), "arrow-counterclockwise"),
    "closed": (lazy("Back to normal"), "check-circle"),
    **{verdict: (words, icon_name) for verdict, (words, icon_name, _means) in feedback.VERDICTS.items()},
    **{reason: (words, "calendar-check") for reason, words in feedback.REASON_WORDS.items()},
    "unjudged": (lazy("Verdict undone"), "arrow-counterclockwise"),
}


def decision(alert: AlertView, assignable: Sequence[str]) -> Component:
    """A note, and what can be done with it. A resolved one can be reopened, and its history added to."""
    note = dcc.Textarea(
        id=NOTE_ID,
        placeholder=_("What you found, for whoever looks at this next"),
        className="nv-input nv-note",
        maxLength=2000,
        rows=2,
    )
    label = html.Label([html.Span(_("Note"), className="visually-hidden"), note], className="nv-note-label")
    over = alert.state == "resolved"
    apart = html.Div([*_owner(alert, assignable), *_snooze()], className="nv-decision-row", hidden=over)
    buttons = html.Div(_buttons(alert, over=over), className="nv-decision-row")
    decide = html.Div([label, buttons, apart], className="nv-card nv-decision")
    return html.Div([decide, feedback.question(alert)], className="nv-decisions")


def _buttons(alert: AlertView, *, over: bool) -> list[Component]:
    """All of them whatever the state: a callback waits until all that it listens to are there."""
    known = alert.state == "acknowledged"
    return [
        button(_("Acknowledge"), id="alert-acknowledge", icon_name="eye", disabled=known, hidden=over),
        button(_("Resolve"), id="alert-resolve", icon_name="check-circle", kind="primary", hidden=over),
        button(_("Reopen"), id="alert-reopen", icon_name="arrow-counterclockwise", hidden=not over),
        button(_("Add note"), id="alert-comment", icon_name="chat-left-text"),
    ]


def _owner(alert: AlertView, assignable: Sequence[str]) -> list[Component]:
    names = dict.fromkeys([*([alert.owner] if alert.owner else []), *assignable])
    options = [{"label": _("Nobody"), "value": NOBODY}, *({"label": name, "value": name} for name in names)]
    return [list_field(OWNER_ID, _("Owner"), options, alert.owner or NOBODY, clearable=False)]


def _snooze() -> list[Component]:
    return [
        snooze_list(SNOOZE_ID),
        button(_("Snooze"), id="alert-snooze", icon_name="moon"),
    ]


def standing_words(alert: AlertView) -> str:
    """What a screen reader says once something was done about the alert: how it stands now."""
    said = [feedback.verdict_words(alert.verdict)] if alert.verdict else []
    standing = [state_word(alert.state), *([alert.owner] if alert.owner else []), *said]
    return _("Done. The alert is now: {standing}.", standing=listed(standing))


def timeline(entries: Sequence[AlertHistoryEntry]) -> Component:
    """What happened to the alert, newest first."""
    return html.Ol([_event(entry) for entry in reversed(entries)], className="nv-timeline")


def common_timeline(histories: Sequence[tuple[AlertView, Sequence[AlertHistoryEntry]]]) -> Component:
    """What happened to several alerts, newest first, each with which one it was."""
    entries = [(entry, alert) for alert, history in histories for entry in history]
    entries.sort(key=lambda pair: pair[0].at, reverse=True)
    return html.Ol([_event(entry, alert) for entry, alert in entries], className="nv-timeline")


def _event(entry: AlertHistoryEntry, alert: AlertView | None = None) -> html.Li:
    words, icon_name = _EVENTS.get(entry.kind, (entry.kind, "arrow-repeat"))
    note = "" if entry.kind in {"assigned", "released"} else entry.note
    what = str(words).format(owner=entry.note, time=format_datetime(entry.until))
    if entry.kind in feedback.REASON_WORDS:
        what = _("Expected: {reason}", reason=what)
    who = _("{what} by {who}", what=what, who=entry.username) if entry.username else what
    parts: list[Component] = [
        html.Span(icon(icon_name), className="nv-timeline-icon"),
        html.Div(
            [
                html.Div(html.Bdi(who), className="nv-timeline-what"),
                None
                if alert is None
                else dcc.Link(_subject(alert), href=f"/alerts/{alert.id}", className="nv-timeline-of"),
                html.Time(format_datetime(entry.at), dateTime=entry.at.isoformat(), className="nv-muted"),
                html.P(html.Bdi(note), className="nv-timeline-note") if note else None,
            ]
        ),
    ]
    return html.Li(parts, className="nv-timeline-item")


def _subject(alert: AlertView) -> str:
    return f"{series_words(alert)} · {figure(alert.metric).label}"


def gone(title: str, back: Component, look: Callable[[], object]) -> Component | None:
    """The page that says that there is nothing where `look` finds nothing for this reader.

    None where it is there, or where that cannot be said now: then the page itself says what is wrong.
    """
    try:
        look()
    except NotFound:
        hint = _("The link may be out of date or mistyped.")
        nothing = empty_state(title, back, icon_name="bell-slash", hint=hint)
        return page(html.Div(nothing, className="nv-span-12"), filtered=False)
    except NebuloVizError:
        return None
    return None
