"""A rule's settings tried on the past: what is asked, how far it is, and what would have been alerted, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.detection.lessons import Verdict
from nebuloviz.detection.registry import series_detectors
from nebuloviz.detection.series import SeriesKey
from nebuloviz.i18n import _, lazy, local, moment_range, ngettext, number
from nebuloviz.metrics.line_figures import figure
from nebuloviz.services.interfaces import (
    BACKTEST_WEEKS,
    BacktestCourse,
    BacktestSide,
    BacktestView,
    PlannedTime,
    WouldBeAlert,
)
from nebuloviz.services.rule_words import detector_words
from nebuloviz.services.shown import value_label
from nebuloviz.web.components import button, empty_state, list_field, progress, severity_badge, table
from nebuloviz.web.components.basic import given
from nebuloviz.web.figures import AnomalyMark, Style, config, title_of, trend, value_text
from nebuloviz.web.views import calendar, grids, rules

NOTHING = ""
LISTED = 15  # of a setting's alerts, the latest
USUAL_WEEKS = 4
_CHART_HEIGHT = 260
_VERDICTS = {
    Verdict.REAL: (lazy("Real"), "check-circle"),
    Verdict.EXPECTED: (lazy("Expected"), "calendar-check"),
    Verdict.FALSE_ALARM: (lazy("False alarm"), "x-circle"),
}
_WHY = {
    "too_long": lazy("It took longer than five minutes. Choose a shorter range, or fewer series."),
    "lost": lazy("The process running it has ended. Start it again."),
}


def other_parameter_id(name: Any) -> dict[str, Any]:
    return {"type": "rule-other-parameter", "of": name}


def label_id(side: Any, alert: Any, verdict: Any) -> dict[str, Any]:
    return {"type": "rule-label", "side": side, "alert": alert, "of": verdict}


def use_id(side: Any) -> dict[str, Any]:
    return {"type": "rule-use", "side": side}


def table_id(part: str, side: Any, course: Any) -> dict[str, Any]:
    """Of the button that shows the table behind a chart (`show`), and of the place where it comes (`rows`)."""
    return {"type": f"rule-course-{part}", "side": side, "course": course}


def backtest_form() -> Component:
    """On which range, and beside which other setting of the same series."""
    weeks = [
        {"label": ngettext("the last {count} week", "the last {count} weeks", each, count=number(each)), "value": each}
        for each in BACKTEST_WEEKS
    ]
    others = [{"label": _("Nothing"), "value": NOTHING}]
    others += [{"label": detector_words(kind.label), "value": kind.name} for kind in series_detectors()]
    fields = [
        list_field("rule-backtest-weeks", _("Past period"), weeks, USUAL_WEEKS, clearable=False, searchable=False),
        list_field("rule-other-detector", _("Compare with"), others, NOTHING, clearable=False, searchable=False),
    ]
    start = button(_("Run the backtest"), id="rule-backtest-start", icon_name="clock-history")
    return html.Div(
        [
            html.P(
                _("What the settings above, saved or not, would have alerted on, with another setting to compare."),
                className="nv-help",
            ),
            html.Div(fields, className="nv-mapping nv-mapping-wide"),
            html.Div(id="rule-other-parameters"),
            html.Div([start], className="nv-form-actions"),
            html.Div(id="rule-backtest-message", role="status"),
            html.Div(html.Div(id="rule-backtest-result"), **given(aria_live="polite")),
        ],
        className="nv-stack",
    )


def other_parameters(detector: object) -> Component | None:
    """The numbers of the setting beside it."""
    if not any(kind.name == detector for kind in series_detectors()):
        return None
    return rules.parameter_fields(str(detector), {}, other_parameter_id)


#: What was planned for a series, by its key, in the time of the backtest.
PlannedFor = Callable[[SeriesKey], Sequence[PlannedTime]]


def result(view: BacktestView | None, style: Style, planned: PlannedFor = lambda _key: ()) -> Component | None:
    """How far it is, or what came of it."""
    if view is None:
        return None
    if view.state == "running":
        stop = button(_("Stop"), id="rule-backtest-stop", icon_name="stop-circle")
        bar = progress(view.done, view.total or None, label=_("Running the backtest"), unit=_("series"))
        return html.Div([bar, html.Div([stop], className="nv-form-actions")], className="nv-stack")
    if view.state == "stopped":
        return empty_state(_("Stopped"), icon_name="stop-circle", hint=_("It was stopped before the end."))
    if view.state == "failed":
        why = _WHY.get(view.message)
        return empty_state(_("It could not be run"), icon_name="exclamation-octagon", hint=str(why or view.message))
    sides = [_side(number, side, view, style, planned) for number, side in enumerate(view.sides)]
    return html.Div(sides, className="nv-grid")


def _side(place: int, side: BacktestSide, view: BacktestView, style: Style, planned: PlannedFor) -> Component:
    draft = side.draft
    would = ngettext(
        "Would have alerted {count} time", "Would have alerted {count} times", side.count, count=number(side.count)
    )
    save = button(_("Save as the live rule"), id=use_id(place), icon_name="check2", kind="primary")
    setting = [html.Strong(rules.detector_label(draft.detector)), html.Div(rules.numbers(draft), className="nv-muted")]
    about = [
        str(figure(draft.metric).label),
        " · ",
        rules.segment_words(draft),
        " · ",
        moment_range(view.start, view.end),
    ]
    parts: list[Component | None] = [
        html.Div([html.H3(would, className="nv-card-title"), save], className="nv-row nv-between"),
        html.Div(setting),
        html.P(about, className="nv-help"),
        _labelled(side),
        *(_chart(each, (place, number), side, style, planned) for number, each in enumerate(side.courses[:2])),
        _alerts(place, side) if side.alerts else None,
    ]
    wide = "nv-span-6" if len(view.sides) > 1 else "nv-span-12"
    return html.Section(parts, className=f"nv-stack nv-rule {wide}", **given(aria_label=would))


def _labelled(side: BacktestSide) -> Component | None:
    """What people have said of these."""
    counts = {verdict: sum(alert.label == verdict for alert in side.alerts) for verdict in _VERDICTS}
    said = [f"{_VERDICTS[verdict][0]}: {number(count)}" for verdict, count in counts.items() if count]
    return html.P(" · ".join(said)) if said else None


def _frame_of(course: BacktestCourse, side: BacktestSide) -> pd.DataFrame:
    slug = figure(side.draft.metric).slug
    here = pd.DatetimeIndex([local(start) for start in course.starts])  # on the reader's clock, as in the list
    frame = pd.DataFrame({"bucket": here, slug: course.values, f"{slug}:low": course.low, f"{slug}:high": course.high})
    numbers = list(frame.columns[1:])
    frame[numbers] = frame[numbers].astype(float)
    return frame


def _title_of(course: BacktestCourse, side: BacktestSide) -> str:
    return f"{title_of(figure(side.draft.metric))} · {_series_words(course.series)}"


def _chart(
    course: BacktestCourse, where: tuple[int, int], side: BacktestSide, style: Style, planned: PlannedFor
) -> Component:
    """A drawn course; its table is made once somebody asks for it."""
    metric, frame = figure(side.draft.metric), _frame_of(course, side)
    values = dict(zip(course.starts, course.values, strict=True))
    marks = [
        AnomalyMark(local(alert.start), float(values[alert.start] or 0), alert.severity, 0, _words(alert))  # type: ignore[arg-type]
        for alert in side.alerts
        if alert.series == course.series and alert.start in values
    ]
    days = calendar.marks(planned(SeriesKey.parse(course.series)))
    drawn = trend(frame, metric, side.draft.grain, anomalies=marks, planned=days, style=style)
    name = _title_of(course, side)
    label = _("Show as table: {title}", title=name)
    show = button(
        label,
        id=table_id("show", *where),
        icon_name="table",
        kind="quiet",
        icon_only=True,
        **given(aria_expanded="false"),
    )
    graph = html.Div(
        dcc.Graph(figure=drawn, config=config(), style={"height": _CHART_HEIGHT}),
        dir="ltr",
        role="group",
        **given(aria_label=name),
    )
    head = html.Div([html.Figcaption(name, className="nv-label"), show], className="nv-row nv-between")
    return html.Figure([head, graph, html.Div(id=table_id("rows", *where))], className="nv-stack")


def course_table(view: BacktestView | None, id: object) -> Component | None:
    """The figures behind the chart of which the button `id` is."""
    side, place = side_of(view, id), id.get("course") if isinstance(id, dict) else None
    if side is None or not isinstance(place, int) or not _inside(place, side.courses):
        return None
    course = side.courses[place]
    grid = grids.course_grid(_frame_of(course, side), figure(side.draft.metric), side.draft.grain)
    return html.Div(grid, role="region", **given(aria_label=_title_of(course, side)))


def _alerts(place: int, side: BacktestSide) -> Component:
    latest = list(enumerate(side.alerts))[-LISTED:][::-1]
    heads = (_("When"), _("Severity"), _("What was it?"))
    name = _("Alerts it would have raised")
    rows = [_row(place, index, each) for index, each in latest]
    listed = table(f"{name} · {number(place + 1)}", heads, rows)  # two settings have a table each
    if len(side.alerts) <= LISTED:
        return listed
    return html.Div([html.P(_("The latest {count} of them:", count=number(LISTED)), className="nv-help"), listed])


def _row(place: int, number: int, alert: WouldBeAlert) -> Component:
    said = [
        button(
            str(words), id=label_id(place, number, str(verdict)), icon_name=icon_name, kind="quiet", icon_only=True,
            **given(aria_pressed=str(alert.label == verdict).lower()),
        )
        for verdict, (words, icon_name) in _VERDICTS.items()
    ]  # fmt: skip
    about: list[Component | str] = [html.Bdi(_series_words(alert.series)), ": ", _words(alert)]
    return html.Tr(
        [
            html.Th(
                [moment_range(alert.start, alert.end), html.Div(about, className="nv-muted")],
                scope="row",
                className="nv-cell-words",
            ),
            html.Td(severity_badge(alert.severity)),
            html.Td(html.Span(said), className="nv-cell-time"),
        ]
    )


def _words(alert: WouldBeAlert) -> str:
    metric = figure(SeriesKey.parse(alert.series).metric)
    observed = value_text(metric, alert.observed)
    if alert.expected is None:
        return observed
    return _("{observed}, usually {expected}", observed=observed, expected=value_text(metric, alert.expected))


def _series_words(series: str) -> str:
    return " · ".join(value_label(value) for _name, value in SeriesKey.parse(series).dimensions) or _("All sales")


def chosen(
    view: BacktestView | None, id: object, ids: object, pressed: object
) -> tuple[BacktestView, WouldBeAlert, str] | None:
    """The alert that a label's button is about, and what is said of it: pressing a pressed one takes it back.

    Which of `ids` are `pressed` is as the reader saw it: Dash may send the same press twice, which must not take back at once.
    """
    if view is None or not isinstance(id, dict) or not isinstance(ids, list) or not isinstance(pressed, list):
        return None
    place, verdict = id.get("alert"), str(id.get("of"))
    alerts: Sequence[WouldBeAlert] = found.alerts if (found := side_of(view, id)) else ()
    if not _inside(place, alerts):
        return None
    alert = alerts[int(str(place))]
    taken_back = (id, "true") in zip(ids, pressed, strict=False)
    return view, alert, "" if taken_back else verdict


def side_of(view: BacktestView | None, id: object) -> BacktestSide | None:
    """The setting that a button to save one is about."""
    place = id.get("side") if isinstance(id, dict) else None
    if view is None or not isinstance(place, int) or not _inside(place, view.sides):
        return None
    return view.sides[place]


def _inside(place: object, items: Sequence[object]) -> bool:
    return isinstance(place, int) and 0 <= place < len(items)
