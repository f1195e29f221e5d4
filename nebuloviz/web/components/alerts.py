"""Alerts: severity, state, the sentence that says what is unusual, cards and the feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime, relative
from nebuloviz.metrics.line_figures import figure
from nebuloviz.services.interfaces import AlertView
from nebuloviz.services.wording import alert_words, series_words, severity_word, value_text
from nebuloviz.web.components.basic import Id, Kind, badge, given, icon
from nebuloviz.web.components.states import empty_state

_SEVERITY: dict[str, tuple[Kind, str]] = {
    "low": ("neutral", "dash-circle"),
    "medium": ("warn", "exclamation-circle"),
    "high": ("bad", "exclamation-triangle"),
    "critical": ("bad", "exclamation-octagon-fill"),
}
_STATE: dict[str, tuple[Kind, str]] = {
    "open": ("accent", "circle"),
    "acknowledged": ("neutral", "eye"),
    "snoozed": ("neutral", "moon"),
    "resolved": ("good", "check-circle"),
}


def severity_badge(severity: str) -> html.Span:
    """The severity as word and icon, so that it needs no colour."""
    kind, icon_name = _SEVERITY[severity]
    return badge(severity_word(severity), kind, icon_name=icon_name)


def state_word(state: str) -> str:
    words = {
        "open": _("Open"),
        "acknowledged": _("Acknowledged"),
        "snoozed": _("Snoozed"),
        "resolved": _("Resolved"),
    }
    return words[state]


def state_badge(state: str) -> html.Span:
    kind, icon_name = _STATE[state]
    return badge(state_word(state), kind, icon_name=icon_name)


def feed_item(
    alert: AlertView, *, href: str, now: datetime, actions: Sequence[Component] = (), id: Id = None
) -> html.Li:
    """One alert in a feed, a link to its page."""
    return html.Li(
        [
            html.Div(
                [
                    severity_badge(alert.severity),
                    html.Time(
                        relative((now - alert.bucket_start).total_seconds()),
                        dateTime=alert.bucket_start.isoformat(),
                        title=format_datetime(alert.bucket_start),
                        className="nv-feed-time",
                    ),
                    state_badge(alert.state) if alert.state != "open" else None,
                ],
                className="nv-feed-head",
            ),
            dcc.Link(alert_words(alert), href=href, className="nv-feed-words"),
            html.Div([html.Bdi(series_words(alert))], className="nv-feed-series"),
            html.Div(list(actions), className="nv-feed-actions") if actions else None,
        ],
        className=f"nv-feed-item nv-feed-{alert.severity}",
        **given(id=id),
    )


def feed(items: Sequence[html.Li], *, id: Id = None) -> Component:
    """Alerts, newest first, announced by screen readers as they come; or the news that all is normal."""
    if not items:
        return empty_state(
            _("Nothing unusual"),
            icon_name="check2-circle",
            hint=_("Alerts appear here as soon as a series leaves its expected range."),
        )
    return html.Ul(
        list(items), className="nv-feed", **given(aria_live="polite", aria_label=_("Alerts")), **given(id=id)
    )


def alert_card(
    alert: AlertView,
    *,
    now: datetime,
    actions: Sequence[Component] = (),
    span: int = 12,
    counted: float | None = None,
) -> html.Section:
    """The head of an alert's own page: sentence, series, times, figures, and what can be done.

    `counted`, what its time comes to by now, is told where that is not what was observed.
    """
    metric = figure(alert.metric)
    facts: list[tuple[str, str]] = [
        (_("Observed"), value_text(metric, alert.observed)),
        (_("Expected"), value_text(metric, alert.expected)),
        (_("Expected range"), _range(alert)),
        (_("From"), format_datetime(alert.judged[0])),
        (_("To"), format_datetime(alert.judged[1])),
    ]
    if alert.judged != (alert.bucket_start, alert.bucket_end):
        facts.append((_("Unusual since"), format_datetime(alert.bucket_start)))
        facts.append((_("Unusual until"), format_datetime(alert.bucket_end)))
    if alert.owner:
        facts.append((_("Owner"), alert.owner))
    if alert.snoozed_until:
        facts.append((_("Snoozed until"), format_datetime(alert.snoozed_until)))
    return html.Section(
        [
            html.Div(
                [
                    severity_badge(alert.severity),
                    state_badge(alert.state),
                    html.Time(
                        relative((now - alert.bucket_start).total_seconds()),
                        dateTime=alert.bucket_start.isoformat(),
                        title=format_datetime(alert.bucket_start),
                        className="nv-feed-time",
                    ),
                    html.Div(list(actions), className="nv-card-actions"),
                ],
                className="nv-feed-head",
            ),
            html.H2(alert_words(alert), className="nv-alert-title"),
            html.P(html.Bdi(series_words(alert)), className="nv-card-subtitle"),
            _changed(alert, counted),
            html.Dl(
                [
                    html.Div([html.Dt(name), html.Dd(html.Bdi(value), className="nv-num")], className="nv-kpi")
                    for name, value in facts
                ],
                className="nv-kpis",
            ),
        ],
        className=f"nv-card nv-alert nv-feed-{alert.severity} nv-span-{span}",
    )


def _changed(alert: AlertView, counted: float | None) -> Component | None:
    """What late sales have made of it; None where nobody would see a difference."""
    metric = figure(alert.metric)
    now, then = value_text(metric, counted), value_text(metric, alert.observed)
    if counted is None or now == then:
        return None
    words = _("More sales from this time have arrived since: the figure is now {now}, not {then}.", now=now, then=then)
    if alert.expected_low is not None and alert.expected_high is not None:
        if alert.expected_low <= counted <= alert.expected_high:
            words += " " + _("That is within the expected range.")
        else:
            words += " " + _("That is still outside the expected range.")
    return html.P([icon("clock-history"), html.Span(words)], className="nv-changed")


def _range(alert: AlertView) -> str:
    metric = figure(alert.metric)
    if alert.expected_low is None or alert.expected_high is None:
        return value_text(metric, None)
    low, high = value_text(metric, alert.expected_low), value_text(metric, alert.expected_high)
    return _("{low} to {high}", low=low, high=high)
