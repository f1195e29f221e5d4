"""Rules of detection: the list, and the form of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from nebuloviz.detection.registry import series_detectors
from nebuloviz.detection.series_detector import Parameter, SeriesDetector
from nebuloviz.i18n import _, format_datetime, lazy, number, quantity
from nebuloviz.metrics.line_figures import figure
from nebuloviz.metrics.registry import dimension
from nebuloviz.models import ROLLED_DIMENSIONS
from nebuloviz.services.interfaces import RuleDraft, RuleGrain, RuleView
from nebuloviz.services.rule_words import detector_words
from nebuloviz.services.rules import rule_metrics
from nebuloviz.web.components import (
    badge,
    button,
    empty_state,
    icon,
    link_button,
    list_field,
    number_field,
    sent_values,
    table,
    text_field,
)

NEW = "new"  # in the place of the number of a rule that is to be made
ALL, EACH = "", "*"
GRAIN_WORDS = {"hour": lazy("Each hour"), "day": lazy("Each day")}
_PARTS = {
    "category": lazy("Each category separately"),
    "region": lazy("Each region separately"),
    "country": lazy("Each country separately"),
    "channel": lazy("Each channel separately"),
    "store": lazy("Each store separately"),
}


# ---------------------------------------------------------------- the list


def rule_table(rules: Sequence[RuleView]) -> Component:
    if not rules:
        return empty_state(
            _("No rule yet"),
            link_button(_("New rule"), f"/rules/{NEW}", icon_name="plus-lg"),
            icon_name="signpost-split",
            hint=_("Everything is monitored without rules. A rule monitors one metric the way you choose."),
        )
    heads = (
        _("Name"),
        _("What is monitored"),
        _("Detector"),
        _("Alerts, last 30 days"),
        _("Checked until"),
        _("State"),
    )
    return table(_("Rules"), heads, [_row(view) for view in rules])


def _row(view: RuleView) -> Component:
    draft = view.draft
    words = [str(figure(draft.metric).label), " · ", segment_words(draft), " · ", str(GRAIN_WORDS[draft.grain])]
    return html.Tr(
        [
            html.Th(dcc.Link(html.Bdi(draft.name), href=f"/rules/{view.id}"), scope="row"),
            html.Td(words, className="nv-cell-words"),
            html.Td([html.Div(detector_label(draft.detector)), html.Div(numbers(draft), className="nv-muted")]),
            html.Td(number(view.alerts), className="nv-num"),
            html.Td(format_datetime(view.judged_until) if view.judged_until else _("Nothing yet")),
            html.Td(state(view)),
        ]
    )


def state(view: RuleView) -> Component:
    if not view.draft.enabled:
        return badge(_("Off"), "neutral")
    if view.problem:
        return badge(_("Cannot check"), "bad", icon_name="exclamation-octagon")
    if view.open:
        return badge(_("Alert open"), "warn", icon_name="bell")
    return badge(_("On"), "good", icon_name="check-circle")


def segment_words(draft: RuleDraft) -> Component | str:
    if not draft.dimension:
        return _("All sales")
    if draft.value is None:
        return str(_PARTS[draft.dimension])
    return html.Span([f"{dimension(draft.dimension).label}: ", html.Bdi(draft.value or _("Not given"))])


def detector_label(name: str) -> str:
    return next((detector_words(kind.label) for kind in series_detectors() if kind.name == name), name)


def numbers(draft: RuleDraft) -> list[Component]:
    """The parameters that are given, a line each."""
    labels = {each.name: detector_words(each.label) for each in (kind_of(draft.detector).parameters)}
    return [
        html.Div(f"{labels.get(name, name)}: {quantity(value)}")
        for name, value in draft.parameters
        if value is not None
    ]


# ---------------------------------------------------------------- the form of one


def field_id(name: Any) -> dict[str, Any]:
    return {"type": "rule-field", "of": name}


def parameter_id(name: Any) -> dict[str, Any]:
    return {"type": "rule-parameter", "of": name}


def rule_form(draft: RuleDraft, segments: Mapping[str, str], *, new: bool, manageable: bool) -> Component:
    """What is decided of a rule. `segments`: the values that can be watched by themselves, with their words."""
    fields = [
        text_field(field_id("name"), _("Name"), draft.name, most=80),
        _list("metric", _("Metric"), {slug: str(figure(slug).label) for slug in rule_metrics()}, draft.metric),
        _list("segment", _("Segment"), _segments(draft, segments), segment_of(draft), searchable=True),
        _list("grain", _("Interval"), {slug: str(words) for slug, words in GRAIN_WORDS.items()}, draft.grain),
        _list(
            "detector",
            _("Detector"),
            {kind.name: detector_words(kind.label) for kind in series_detectors()},
            draft.detector,
        ),
        html.Div(
            dbc.Switch(id=field_id("enabled"), label=_("On"), value=draft.enabled, className="nv-switch"),
            className="nv-field nv-field-end",
        ),
    ]
    save = button(_("Create") if new else _("Save"), id="rule-save", kind="primary", hidden=not manageable)
    return html.Div(
        [
            html.Div(fields, className="nv-mapping nv-mapping-wide"),
            html.Div(parameter_fields(draft.detector, dict(draft.parameters)), id="rule-parameters"),
            html.Div([save], className="nv-form-actions"),
        ],
        className="nv-stack",
    )


def _list(name: str, label: str, options: Mapping[str, str], value: str, *, searchable: bool = False) -> Component:
    choices = [{"label": words, "value": key} for key, words in options.items()]
    return list_field(field_id(name), label, choices, value, clearable=False, searchable=searchable, maxHeight=280)


def _segments(draft: RuleDraft, segments: Mapping[str, str]) -> dict[str, str]:
    parts = {f"{name}={EACH}": str(words) for name, words in _PARTS.items() if name in ROLLED_DIMENSIONS}
    chosen = segment_of(draft)
    known = {ALL: _("All sales"), **parts, **segments}
    return known if chosen in known else known | {chosen: chosen.replace("=", ": ", 1)}


def segment_of(draft: RuleDraft) -> str:
    """As the list has it: '' for all sales, `dimension=*` for each value, `dimension==value` for one."""
    if not draft.dimension:
        return ALL
    return f"{draft.dimension}={EACH}" if draft.value is None else f"{draft.dimension}=={draft.value}"


def parameter_fields(
    detector: str, values: Mapping[str, float | None], id_of: Callable[[str], dict[str, Any]] = parameter_id
) -> Component:
    """What the detector does, and its numbers; those of `values` that it does not know are left out."""
    kind = kind_of(detector)
    fields = [_parameter(id_of(each.name), each, values.get(each.name, each.default)) for each in kind.parameters]
    about: list[Component | str] = [icon("info-circle"), " ", detector_words(kind.about)] if kind.about else []
    return html.Div(
        [html.P(about, className="nv-help"), html.Div(fields, className="nv-mapping nv-mapping-wide")],
        className="nv-stack",
    )


def _parameter(id: dict[str, Any], parameter: Parameter, value: float | None) -> Component:
    return number_field(
        id,
        detector_words(parameter.label),
        value,
        least=parameter.least,
        most=parameter.most,
        whole=parameter.whole,
    )


def kind_of(name: object) -> type[SeriesDetector]:
    kinds = series_detectors()
    return next((kind for kind in kinds if kind.name == name), kinds[0])


def usual_draft() -> RuleDraft:
    """What a new rule begins with."""
    return RuleDraft("", series_detectors()[0].name, "orders")


def draft_of(ids: object, values: object, parameter_ids: object, parameter_values: object) -> RuleDraft:
    """What the form says; whatever else a browser says is left out."""
    said, numbers = sent_values(ids, values), sent_values(parameter_ids, parameter_values)
    usual = usual_draft()
    segment = said.get("segment")
    name, _equals, value = segment.partition("=") if isinstance(segment, str) else ("", "", "")
    grain: RuleGrain = "day" if said.get("grain") == "day" else "hour"
    metric = said.get("metric")
    return RuleDraft(
        _text(said.get("name")),
        kind_of(said.get("detector")).name,
        metric if isinstance(metric, str) else usual.metric,
        grain,
        name,
        value.removeprefix("=") if value.startswith("=") else None,
        tuple((name, _float(value)) for name, value in numbers.items()),
        bool(said.get("enabled")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def actions(view: RuleView) -> Component:
    delete = dcc.ConfirmDialogProvider(
        button(_("Delete"), icon_name="trash", kind="danger"),
        id="rule-delete",
        message=_("Delete {name}? Its alerts stay, resolved.", name=view.draft.name),
    )
    problem = (
        html.P([icon("exclamation-octagon"), " ", html.Bdi(view.problem)], className="nv-error")
        if view.problem
        else None
    )
    made = _("Created by {name}, {when}.", name=view.made_by, when=format_datetime(view.made_at))
    return html.Div(
        [problem, html.Span(made, className="nv-help"), html.Div([delete], className="nv-row")], className="nv-stack"
    )
