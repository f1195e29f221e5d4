"""An incident: what it is in one sentence, its alerts along a common line of time, and what can be done about all of them."""

from __future__ import annotations

from datetime import datetime

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, duration, format_datetime, ngettext, number, relative
from nebuloviz.services.interfaces import IncidentView
from nebuloviz.web.components import alert_words, button, kpi_list, series_words, severity_badge, state_badge
from nebuloviz.web.components.basic import given
from nebuloviz.web.views.alerts import row

ACT = "incident-act"
_ACTS = {
    "acknowledge": ("eye", "plain"),
    "resolve": ("check-circle", "primary"),
}


def head(incident: IncidentView, now: datetime) -> Component:
    """What says most of it, since when, and how far it reaches."""
    lead, count = incident.lead, len(incident.alerts)
    facts = [
        (_("Alerts"), number(count)),
        (_("From"), format_datetime(incident.start)),
        (_("To"), format_datetime(incident.end)),
        (_("Duration"), duration((incident.end - incident.start).total_seconds())),
    ]
    when = html.Time(
        relative((now - incident.start).total_seconds()), dateTime=incident.start.isoformat(), className="nv-feed-time"
    )
    return html.Section(
        [
            html.Div([severity_badge(incident.severity), state_badge(incident.state), when], className="nv-feed-head"),
            html.H2(alert_words(lead), className="nv-alert-title"),
            html.P(html.Bdi(series_words(lead)), className="nv-card-subtitle"),
            kpi_list(facts),
        ],
        className=f"nv-card nv-alert nv-feed-{incident.severity}",
    )


def acts(incident: IncidentView) -> Component:
    """What can be done about all its alerts at once."""
    left = sum(alert.state != "resolved" for alert in incident.alerts)
    new = sum(alert.state in {"open", "snoozed"} for alert in incident.alerts)
    words = {
        "acknowledge": ngettext("Acknowledge {count} alert", "Acknowledge {count} alerts", new, count=number(new)),
        "resolve": ngettext("Resolve {count} alert", "Resolve {count} alerts", left, count=number(left)),
    }
    counts = {"acknowledge": new, "resolve": left}
    return html.Div(
        [
            button(
                words[act],
                id={"type": ACT, "of": act},
                icon_name=icon_name,
                kind="primary" if kind == "primary" else "plain",
                hidden=not counts[act],
            )
            for act, (icon_name, kind) in _ACTS.items()
        ],
        className="nv-row",
    )


def alerts_in_time(incident: IncidentView, now: datetime) -> Component:
    """Its alerts, each with a bar of when it was within the whole; a bar tells nothing that the words beside it do not."""
    whole = max((incident.end - incident.start).total_seconds(), 1.0)
    items = []
    for alert in sorted(incident.alerts, key=lambda each: (each.bucket_start, each.id)):
        begin = (alert.bucket_start - incident.start).total_seconds() / whole
        length = (alert.bucket_end - alert.bucket_start).total_seconds() / whole
        place = {"marginInlineStart": f"{begin * 100:.1f}%", "inlineSize": f"{max(length, 0.01) * 100:.1f}%"}
        bar = html.Span(style=place, className=f"nv-span-bar nv-feed-{alert.severity}")
        link = row(alert, now, href=f"/alerts/{alert.id}", severity=alert.severity, state=alert.state)
        items.append(html.Li([link, html.Div(bar, className="nv-span-track", **given(aria_hidden="true"))]))
    return html.Ol(items, className="nv-alerts")
