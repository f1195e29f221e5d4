"""Alerts: the list, and all about a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.detection.alerts import rule_of
from nebuloviz.i18n import _, change, format_datetime, listed, ngettext, number, percent, relative
from nebuloviz.metrics.line_figures import figure, metric_behind
from nebuloviz.metrics.query import Filter
from nebuloviz.metrics.registry import metric
from nebuloviz.services.interfaces import (
    AlertView,
    Contribution,
    Explanation,
    Frame,
    IncidentView,
    PlannedTime,
    RevenueSplit,
)
from nebuloviz.services.shown import happened, told_apart
from nebuloviz.web.charts import ChartView
from nebuloviz.web.components import (
    alert_card,
    alert_words,
    empty_state,
    judged_hours,
    link_button,
    series_words,
    severity_badge,
    state_badge,
    state_word,
)
from nebuloviz.web.components.basic import given, hidden, icon
from nebuloviz.web.figures import Style, severity_word, title_of, trend, value_text, with_planned
from nebuloviz.web.question import filter_words
from nebuloviz.web.state import ALERT_STATES, SEVERITIES, AlertState, PageState, Severity
from nebuloviz.web.views import calendar, common, inbox

_Choice = TypeVar("_Choice", AlertState, Severity)

PAGE = 50
LINES = 200
#: So many other alerts of an alert's time are listed.
OTHERS = 10
MEMBERS = 4  # alerts of an incident that the list names besides the one that says most
_WORTH_A_ROW = 0.005


def state_pills(state: PageState, counts: Mapping[str, int]) -> Component:
    """A link for each state, with how many alerts are in it; pressed ones are shown."""
    links = [
        _pill(
            state_word(name),
            state.with_(alert_states=_flipped(state.alert_states, name, ALERT_STATES)),
            pressed=name in state.alert_states,
            count=counts.get(name, 0),
        )
        for name in ALERT_STATES
    ]
    return html.Div(links, className="nv-pills", role="group", **given(aria_label=_("State")))


def severity_pills(state: PageState) -> Component:
    """A link for each severity; without any pressed all are shown."""
    links = [
        _pill(
            severity_word(name),
            state.with_(severities=_flipped(state.severities, name, SEVERITIES)),
            pressed=name in state.severities,
        )
        for name in reversed(SEVERITIES)
    ]
    return html.Div(links, className="nv-pills", role="group", **given(aria_label=_("Severity")))


def _flipped(chosen: tuple[_Choice, ...], name: _Choice, order: tuple[_Choice, ...]) -> tuple[_Choice, ...]:
    return tuple(item for item in order if (item in chosen) != (item == name))


def _pill(words: str, then: PageState, *, pressed: bool, count: int | None = None) -> dcc.Link:
    parts: list[Component] = [html.Span(words)]
    if count is not None:
        parts.append(html.Span(number(count), className="nv-pill-count nv-num"))
    if pressed:
        parts.append(hidden(_("shown")))
    return dcc.Link(parts, href=then.to_url("/alerts"), className="nv-pill" + (" nv-active" if pressed else ""))


def incident_list(
    incidents: Sequence[IncidentView],
    state: PageState,
    now: datetime,
    *,
    resolved: int = 0,
    manageable: bool = False,
    learning: bool = False,
    watching: bool = True,
) -> Component:
    """The incidents, newest first: a link to the page of each, what can be done, and its alerts; or what leaves none.

    `resolved` alerts of the range may be left out; while the watches are `learning` or not `watching`, there can be none.
    """
    if not incidents:
        title, hint = _why_none(state, resolved, learning=learning, watching=watching)
        everything = PageState(preset="all", alert_states=ALERT_STATES).to_url("/alerts")
        return empty_state(title, link_button(_("Show all alerts"), everything), icon_name="check2-circle", hint=hint)
    items = [_incident(incident, now, manageable=manageable) for incident in incidents]
    return html.Ol(items, className="nv-alerts", **given(data_nv_inbox=""))


def _why_none(state: PageState, resolved: int, *, learning: bool, watching: bool) -> tuple[str, str]:
    usual = PageState()
    if not watching:
        return _("Sales are not monitored"), _("Detection is turned off: nothing is checked, and no alerts are raised.")
    if learning and not state.filters:
        hint = _("A series is monitored once it has four weeks of history, as long as it sells enough.")
        return _("Still learning what is normal"), hint
    if (state.alert_states, state.severities, state.search, state.filters) == (usual.alert_states, (), "", ()):
        if not resolved:
            return _("Nothing unusual"), _("There were no alerts in this period.")
        return _("Nothing open"), resolved_words(resolved)
    filters = listed(filter_words(state.filters))
    title = _("No alerts match {filters}", filters=filters) if filters else _("No alerts match")
    return title, _("Choose other states or severities, or a longer range.")


def resolved_words(count: int) -> str:
    return ngettext(
        "{count} alert in this range is resolved.",
        "{count} alerts in this range are resolved.",
        count,
        count=number(count),
    )


def _incident(incident: IncidentView, now: datetime, *, manageable: bool) -> html.Li:
    several = len(incident.alerts) > 1
    link = row(
        incident.lead,
        now,
        href=f"/incidents/{incident.id}" if several else f"/alerts/{incident.lead.id}",
        severity=incident.severity,
        state=incident.state,
        count=len(incident.alerts),
    )
    acts = inbox.acts(incident) if manageable and incident.state != "resolved" else None
    parts: list[Component] = [html.Div([link, acts], className="nv-inbox-row")]
    if several:
        rest = sorted((each for each in incident.alerts if each is not incident.lead), key=lambda each: -each.score)
        members = [html.Li(_member(alert)) for alert in rest[:MEMBERS]]
        left = len(rest) - MEMBERS
        if left > 0:
            words = ngettext("and {count} more", "and {count} more", left, count=number(left))
            members.append(html.Li(dcc.Link(words, href=f"/incidents/{incident.id}")))
        parts.append(html.Ul(members, className="nv-incident-alerts"))
    return html.Li(parts, id=f"incident-{incident.id}", className="nv-inbox-item")


def row(alert: AlertView, now: datetime, *, href: str, severity: str, state: str, count: int = 1) -> Component:
    """An alert in a list, or an incident of `count` alerts by the one that says most."""
    age = relative((now - alert.bucket_start).total_seconds())
    when = html.Time(age, dateTime=alert.bucket_start.isoformat(), title=format_datetime(alert.bucket_start))
    what: list[Component] = [
        html.Span(alert_words(alert), className="nv-alert-words"),
        html.Bdi(series_words(alert), className="nv-muted"),
    ]
    if count > 1:
        alerts = ngettext("{count} alert", "{count} alerts", count, count=number(count))
        what.append(html.Span([icon("collection"), alerts], className="nv-muted nv-incident-count"))
    standing: list[Component] = [state_badge(state)]
    if alert.owner:
        standing.append(html.Span([icon("person"), html.Bdi(alert.owner)], className="nv-muted"))
    cells: list[Component] = [
        html.Span(severity_badge(severity), className="nv-alert-severity"),
        html.Span(what, className="nv-alert-what"),
        html.Span(when, className="nv-alert-when"),
        html.Span(standing, className="nv-alert-state"),
    ]
    return dcc.Link(cells, href=href, className="nv-alert-row")


def _member(alert: AlertView) -> Component:
    words: list[Component | str] = [html.Bdi(series_words(alert)), " · ", alert_words(alert)]
    return html.Span(
        [
            severity_badge(alert.severity),
            dcc.Link(html.Span(words), href=f"/alerts/{alert.id}"),
            state_badge(alert.state),
        ],
        className="nv-incident-alert",
    )


#: Before and after an alert, by the grain of its buckets.
_AROUND = {
    "quarter_hour": (timedelta(days=1), timedelta(hours=6)),
    "hour": (timedelta(days=4), timedelta(days=1)),
    "day": (timedelta(days=28), timedelta(days=3)),
}


def around(alert: AlertView) -> tuple[datetime, datetime]:
    """The time around the alert that its chart shows."""
    before, after = _AROUND[alert.grain]
    return alert.bucket_start - before, alert.bucket_end + after


def filters_of(alert: AlertView) -> tuple[Filter, ...]:
    return tuple(Filter(slug, "in", (value,)) for slug, value in alert.dimensions.items())


def explore_state(alert: AlertView) -> PageState:
    """Explore's state for the alert's own series, around its time."""
    start, end = around(alert)
    state = PageState(filters=filters_of(alert), metrics=(metric_behind(alert.metric),), comparison="weekdays")
    return state.within(start, end).with_(grain=alert.grain)


def head(alert: AlertView, now: datetime, *, together: int = 1, counted: float | None = None) -> Component:
    """The sentence, the figures, what is `counted` by now, the way to Explore, and to the incident where it is one of several."""
    explore = link_button(_("Open in Explore"), explore_state(alert).to_url("/explore"), icon_name="bar-chart-line")
    others = ngettext("{count} alert at that time", "{count} alerts at that time", together, count=number(together))
    incident = link_button(others, f"/incidents/{alert.incident_id}", icon_name="collection")
    rule = rule_of(alert.detector)
    raised_by = [link_button(_("The rule"), f"/rules/{rule}", icon_name="signpost-split")] if rule else []
    actions = [*raised_by, *([incident] if together > 1 else []), explore]
    return alert_card(alert, now=now, actions=actions, counted=counted)


def course(
    frame: Frame, expected: pd.DataFrame | None, alert: AlertView, style: Style, planned: Sequence[PlannedTime] = ()
) -> ChartView:
    """The series around the alert, with what was expected of it, what was planned, and the alert ringed."""
    shown = metric(metric_behind(alert.metric))
    title = title_of(shown)
    data = happened(frame)
    banded = common.with_expected(data, expected, shown.slug)
    marks, days = common.anomaly_marks(data, [alert], shown.slug, alert.grain), calendar.marks(planned)
    return ChartView(
        title,
        trend(banded, shown, alert.grain, anomalies=marks, planned=days, style=style),
        common.table_of(frame, with_planned(banded, days, alert.grain), title),
        course_words(alert),
        common.downloads(frame.query, title, beside=["expected", "calendar"]),
    )


def course_words(alert: AlertView) -> str:
    """Which series; and of hours that were judged together what they came to, for the chart shows them one by one."""
    hours = judged_hours(alert)
    if hours < 2 or alert.expected_low is None or alert.expected_high is None:
        return series_words(alert)
    shown = figure(alert.metric)
    words = _(
        "The {hours} shaded hours were checked together: {observed} in total, expected {low} to {high}. "
        "The thick line is their average.",
        hours=number(hours),
        observed=value_text(shown, alert.observed),
        low=value_text(shown, alert.expected_low),
        high=value_text(shown, alert.expected_high),
    )
    return f"{series_words(alert)} · {words}"


def causes(found: Explanation, alert: AlertView) -> Component:
    """The segments that the alert comes from, the most surprising first, as bars with figures, and what is left."""
    if not found.causes:
        title, hint = _("No segment stands out"), _("They all moved alike.")
        if figure(alert.metric).denominator:
            title = _("This metric cannot be broken down")
            hint = _(
                "The overall rate is not the sum of its segments' rates, so it cannot be attributed to any of them."
            )
        return empty_state(title, icon_name="pie-chart", hint=hint)
    shown, labels = metric(metric_behind(alert.metric)), _labels(found)
    rows = [
        _cause_row(
            _segment_words(cause, labels),
            cause.share,
            value_text(shown, cause.observed),
            value_text(shown, cause.expected),
        )
        for cause in found.causes
    ]
    if found.unexplained >= _WORTH_A_ROW:
        rows.append(_cause_row(html.Span(_("In no segment"), className="nv-muted"), found.unexplained, "", ""))
    figures = [html.Th(words, scope="col", className="nv-num") for words in (_("Share"), _("Observed"), _("Expected"))]
    head_row = html.Tr([html.Th(_("Segment"), scope="col"), html.Td(className="nv-share-cell"), *figures])
    return html.Div(
        html.Table([html.Thead(head_row), html.Tbody(rows)], className="nv-table"), className="nv-table-wrap"
    )


def _cause_row(segment: Component, share: float, observed: str, expected: str) -> Component:
    return html.Tr(
        [
            html.Th(segment, scope="row"),
            html.Td(_share_bar(share), className="nv-share-cell"),
            html.Td(percent(share, 0), className="nv-num"),
            html.Td(observed, className="nv-num"),
            html.Td(expected, className="nv-num"),
        ]
    )


def _segment_words(cause: Contribution, labels: Mapping[str, Mapping[str, str]]) -> Component:
    if not cause.segment:
        return html.Span(_("All sales"))
    words: list[Component | str] = []
    for part in cause.segment:
        label = labels[part.dimension][part.value]
        words += [" · ", common.dimension_words(part.dimension), " ", html.Bdi(label)]
    return html.Span(words[1:])


def _labels(found: Explanation) -> dict[str, dict[str, str]]:
    """Dimension -> value -> what it is called; those of one name are told apart by what identifies them."""
    named: dict[str, dict[str, str]] = {}
    for cause in found.causes:
        for part in cause.segment:
            named.setdefault(part.dimension, {})[part.value] = part.name
    return {dimension: told_apart(names) for dimension, names in named.items()}


def split(found: RevenueSplit | None) -> Component:
    """How much of the difference of revenue comes of volume, of prices and of what was sold; they add up to it."""
    if found is None:
        hint = _("This needs sales with a product, and sales at the same time in the previous four weeks.")
        return empty_state(_("Nothing to compare with"), icon_name="sliders", hint=hint)
    units, revenue = metric("units"), metric("revenue")
    volume = _(
        "Units: {count} instead of {before}",
        count=value_text(units, found.units),
        before=value_text(units, found.units_before),
    )
    dearer = _("the same products cost more") if found.price > 0 else _("the same products cost less")
    kinds = _("more higher-priced products") if found.mix > 0 else _("more lower-priced products")
    rows = [
        _split_row(_("Volume"), volume, found.volume, found.before),
        _split_row(_("Price"), dearer, found.price, found.before),
        _split_row(_("Mix"), kinds, found.mix, found.before),
    ]
    whole = _(
        "{revenue} instead of {before}",
        revenue=value_text(revenue, found.revenue),
        before=value_text(revenue, found.before),
    )
    rows.append(_split_row(metric("revenue").label, whole, found.revenue - found.before, found.before))
    about = _(
        "Compared with the average of the same time in the previous four weeks. The first three add up to the last."
    )
    listed_parts = html.Dl(rows, className="nv-split")
    return html.Div([html.P(about, className="nv-help"), listed_parts], className="nv-stack")


def _split_row(name: object, words: str, amount: float, before: float) -> Component:
    """A part; of one that is none only that."""
    is_none = abs(amount) < _WORTH_A_ROW * before / 10
    amount = 0.0 if is_none else amount
    part = html.Dt([html.Span(str(name)), html.Span(_("as before") if is_none else words, className="nv-muted")])
    size = html.Span(change(amount / before), className="nv-muted")
    return html.Div(
        [part, html.Dd([html.Span(value_text(metric("revenue"), amount)), size], className="nv-num")],
        className="nv-split-part",
    )


def others(found: Sequence[AlertView], now: datetime) -> Component:
    """What else stood out at an alert's time, newest first."""
    if not found:
        return html.P(_("No other alert overlaps it in time."), className="nv-help")
    rows = [row(each, now, href=f"/alerts/{each.id}", severity=each.severity, state=each.state) for each in found]
    return html.Ul([html.Li(each) for each in rows], className="nv-alerts")


def _share_bar(share: float) -> Component:
    size = f"{min(abs(share), 1) * 100:.0f}%"
    return html.Span(html.Span(style={"inlineSize": size}), className="nv-share", **given(aria_hidden="true"))
