"""What watches sales: the watches with what they know, and all that is watched, by segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from dash import html
from dash.development.base_component import Component

from nebuloviz.detection.alerts import LINES
from nebuloviz.detection.series import SeriesKey
from nebuloviz.i18n import _, format_date, format_datetime, lazy, listed, local, number, quantity
from nebuloviz.metrics.line_figures import figure
from nebuloviz.services.interfaces import DetectorView, InstallationSettings, WatchedView
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.setting_entries import Choice
from nebuloviz.services.shown import value_label
from nebuloviz.web.components import badge, button, card, empty_state, link_button, table
from nebuloviz.web.components.basic import kpi_list
from nebuloviz.web.views.common import dimension_words

#: Watch -> its name, and what it does.
_WATCHES = {
    "series": (
        lazy("Hours"),
        lazy(
            "Checks each hour once it is over, and each quarter hour where enough is sold: orders, revenue, units and lines."
        ),
    ),
    "days": (
        lazy("Days"),
        lazy("Checks each day once it is over: average order value, discount rate, margin, returns and customers."),
    ),
    "lines": (lazy("Sale lines"), lazy("Checks each sale line as it arrives: prices, quantities, repeated orders.")),
}
#: Grain -> the head of its column; few shops have anything that is judged by the quarter of an hour.
_GRAINS = {
    "quarter_hour": lazy("Every quarter hour"),
    "hour": lazy("Hourly"),
    "day": lazy("Daily"),
}
Segment = tuple[tuple[str, str], ...]


SWITCH_ID = "detectors-switch"


def sensitivity(decided: InstallationSettings, *, manageable: bool, switchable: bool) -> Component:
    """How strictly sales are watched, in figures, and whether they are; who may decide on it finds the way to."""
    kind = ENTRIES["detector"].kind
    options = kind.options() if isinstance(kind, Choice) else {}
    facts = [
        (
            str(ENTRIES["detection"].label),
            badge(_("On"), "good", icon_name="check-circle") if decided.detection else badge(_("Off"), "warn"),
        ),
        (str(ENTRIES["false_alerts_per_week"].label), quantity(decided.false_alerts_per_week)),
        (str(ENTRIES["detector"].label), options.get(decided.detector, decided.detector)),
        (str(ENTRIES["watched_series"].label), number(decided.watched_series)),
    ]
    about = _("All detectors together set their thresholds by how many false alerts per week you accept.")
    if not decided.detection:
        about = _("Detection is turned off: nothing is checked, and no alerts are raised.")
    acts = html.Div(_acts(decided, switchable=switchable), className="nv-row") if manageable else None
    return card(
        _("Sensitivity"), html.Div([kpi_list(facts), html.P(about, className="nv-help"), acts], className="nv-stack")
    )


def _acts(decided: InstallationSettings, *, switchable: bool) -> list[Component]:
    words, icon_name = (_("Turn off"), "pause-circle") if decided.detection else (_("Turn on"), "play-circle")
    then = "off" if decided.detection else "on"
    switch = button(words, id=SWITCH_ID, icon_name=icon_name, hidden=not switchable, value=then)
    return [link_button(_("Change"), "/settings#settings-detection", icon_name="sliders"), switch]


def watches(found: Sequence[DetectorView]) -> Component:
    """A card for each watch, beside each other."""
    return html.Div([_watch(each) for each in found], className="nv-grid")


def _watch(view: DetectorView) -> Component:
    name, does = _WATCHES[view.name]
    facts = kpi_list(list(_facts(view)))
    about = html.Div([html.P(str(does), className="nv-help"), facts], className="nv-stack")
    return card(str(name), about, span=4)


def _facts(view: DetectorView) -> Iterator[tuple[str, str]]:
    if view.name != LINES:
        yield _("Series monitored"), number(len(view.watched))
    learning = _("Still learning")
    yield _("Last trained"), format_datetime(view.trained_at) if view.version and view.trained_at else learning
    if view.name != LINES:
        yield _("Checked until"), format_datetime(view.judged_until) if view.judged_until else _("Nothing yet")


def watched_table(found: Sequence[DetectorView], now: datetime) -> Component:
    """The segments that are watched, each with its metrics by grain, and since when; new ones say from when on."""
    by_segment: dict[Segment, list[WatchedView]] = {}
    for watched in (each for view in found for each in view.watched):
        by_segment.setdefault(SeriesKey.parse(watched.series).dimensions, []).append(watched)
    if not by_segment:
        hint = _("A series is monitored once it has four weeks of history, as long as it sells enough.")
        return empty_state(_("Nothing is monitored yet"), icon_name="binoculars", hint=hint)
    used = {each.grain for watched in by_segment.values() for each in watched}
    shown = [grain for grain in _GRAINS if grain in used or grain != "quarter_hour"]
    heads = (_("Segment"), *(str(_GRAINS[grain]) for grain in shown), _("Can alert since"))
    rows = [_row(segment, by_segment[segment], shown, now) for segment in sorted(by_segment)]
    return table(_("What is monitored"), heads, rows)


def _row(segment: Segment, watched: Sequence[WatchedView], grains: Sequence[str], now: datetime) -> html.Tr:
    since = min(each.since for each in watched)
    day = format_date(local(since).date())
    when = day if since <= now else _("from {day} on", day=day)
    return html.Tr(
        [
            html.Th(_segment_words(segment), scope="row"),
            *(html.Td(_metrics(each for each in watched if each.grain == grain)) for grain in grains),
            html.Td(when),
        ]
    )


def _segment_words(segment: Segment) -> Component:
    if not segment:
        return html.Span(_("All sales"))
    words: list[Component | str] = []
    for name, value in segment:
        words += [" · ", dimension_words(name), " ", html.Bdi(value_label(value))]
    return html.Span(words[1:])


def _metrics(watched: Iterable[WatchedView]) -> str:
    return listed(figure(SeriesKey.parse(each.series).metric).label for each in watched) or "–"
