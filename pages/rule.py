"""One rule of detection: what it watches, and how. `/rules/new` makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dash
from dash import ALL, MATCH, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.detection.series import SeriesKey
from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.query import Filter
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import PlannedTime, RuleDraft
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import is_looked_at, part_answer, refusal
from nebuloviz.web.components import card, link_button, page, page_header, sent_values, skeleton_table, toast
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import THEME_ID, URL_ID, gets_an_address, news, number_of, stay_on_page
from nebuloviz.web.reading import asking, segments_to_choose
from nebuloviz.web.views import backtests
from nebuloviz.web.views import rules as views

_STORE, _VERSION, _CHANGED = "rule-id", "rule-version", "rule-changed"
_TRIED, _TICK = "rule-backtest-changed", "rule-backtest-tick"
_FORM = (
    State(views.field_id(ALL), "id"),
    State(views.field_id(ALL), "value"),
    State(views.parameter_id(ALL), "id"),
    State(views.parameter_id(ALL), "value"),
)


def layout(rule_id: str = "", **_query: str) -> Component:
    stay_on_page()
    new = rule_id == views.NEW
    known = number_of(rule_id)
    return page(
        [
            dcc.Store(id=_STORE, data=views.NEW if new else known),
            dcc.Store(id=_VERSION),
            dcc.Store(id=_CHANGED),
            html.Div(_header(_("New rule") if new else _("Rule")), id="rule-head", className="nv-span-12"),
            html.Div(id="rule-message", className="nv-span-12", role="status"),
            card(_("What to monitor, and how"), html.Div(skeleton_table(6, 2), id="rule-form"), span=12),
            dcc.Store(id=_TRIED),
            dcc.Interval(id=_TICK, interval=1000, disabled=True),
            html.Div(
                card(_("Backtest"), backtests.backtest_form(), span=12),
                className="nv-span-12",
                hidden=not may(Permission.ALERTS_MANAGE),  # all of it is there: a callback looks for all that it fills
            ),
            html.Div(id="rule-rest", className="nv-span-12"),
        ],
        filtered=False,
    )


def _header(title: Any) -> Component:
    return page_header(title, actions=[link_button(_("All rules"), "/rules", icon_name="signpost-split")])


@protected_callback(
    Permission.ALERTS_READ,
    Output("rule-head", "children"),
    Output("rule-form", "children"),
    Output("rule-rest", "children"),
    Output(_VERSION, "data"),
    Input(_STORE, "data"),
    Input(_CHANGED, "data"),
)
def show(rule: Any, _changed: Any) -> tuple[Any, ...]:
    with asking(None):

        def build() -> tuple[Any, ...]:
            manageable = may(Permission.ALERTS_MANAGE)
            if rule == views.NEW:
                form = views.rule_form(views.usual_draft(), _segments(), new=True, manageable=manageable)
                return _header(_("New rule")), form, None, None
            view = ask(services().rules.rule, number_of(rule))
            form = views.rule_form(view.draft, _segments(), new=False, manageable=manageable)
            rest = card(_("About this rule"), views.actions(view), span=12) if manageable else None
            return _header(html.Span([html.Bdi(view.draft.name), " ", views.state(view)])), form, rest, view.version

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (no_update, answer, None, None)


def _segments() -> dict[str, str]:
    """The values that can be watched, as the list has them: see `views.segment_of`."""
    return {key.replace("=", "==", 1): words for key, words in segments_to_choose(watched=True).items()}


@protected_callback(
    Permission.ALERTS_READ,
    Output("rule-parameters", "children"),
    Input(views.field_id(ALL), "value"),
    State(views.field_id(ALL), "id"),
    State(views.parameter_id(ALL), "value"),
    State(views.parameter_id(ALL), "id"),
    prevent_initial_call=True,
)
def show_parameters(values: Any, ids: Any, numbers: Any, names: Any) -> Any:
    """Another detector goes by other numbers."""
    detector = sent_values(ids, values).get("detector")
    known = {parameter.name for parameter in views.kind_of(detector).parameters}
    if detector is None or set(sent_values(names, numbers)) == known:
        raise PreventUpdate
    return views.parameter_fields(views.kind_of(detector).name, {})


@protected_callback(
    Permission.ALERTS_READ,
    Output(_STORE, "data"),
    Output(_CHANGED, "data"),
    Output("rule-message", "children"),
    Input("rule-save", "n_clicks"),
    *_FORM,
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def save(clicks: Any, *said: Any) -> tuple[Any, ...]:
    """Make the rule, or store what has been changed; what somebody else changed meanwhile is not overwritten."""
    if not clicks:
        raise PreventUpdate
    *form, rule, version = said
    return _saved(views.draft_of(*form), rule, version)


def _saved(draft: RuleDraft, rule: object, version: object) -> tuple[Any, ...]:
    service = services().rules
    try:
        if rule == views.NEW:
            made = act(service.create, draft)
            return made.id, no_update, toast(_("{name} is active from now on.", name=made.draft.name), "good")
        act(service.change, number_of(rule), version if isinstance(version, int) else -1, draft)
    except NebuloVizError as error:
        return no_update, no_update, refusal(error)
    return no_update, news(), toast(_("Saved. It takes effect now."), "good")


gets_an_address(_STORE)


@protected_callback(
    Permission.ALERTS_READ,
    Output("rule-message", "children", allow_duplicate=True),
    Input("rule-delete", "submit_n_clicks"),
    State(_STORE, "data"),
    prevent_initial_call=True,
)
def delete(clicks: Any, rule: Any) -> Any:
    if not clicks:
        raise PreventUpdate
    try:
        act(services().rules.delete, number_of(rule))
    except NebuloVizError as error:
        return refusal(error)
    dash.set_props(URL_ID, {"pathname": "/rules"})
    return no_update


@protected_callback(
    Permission.ALERTS_READ,
    Output("rule-other-parameters", "children"),
    Input("rule-other-detector", "value"),
    prevent_initial_call=True,
)
def show_other(detector: Any) -> Any:
    return backtests.other_parameters(detector)


@protected_callback(
    Permission.ALERTS_READ,
    Output("rule-backtest-result", "children"),
    Output(_TICK, "disabled"),
    Input(_TRIED, "data"),
    Input(_TICK, "n_intervals"),
    Input(THEME_ID, "data"),
)
def show_backtest(_tried: Any, _ticks: Any, theme: Any) -> tuple[Any, Any]:
    """The last one, wherever it was started; asked again each second while it runs."""
    with asking(None, theme) as asked:

        def build() -> tuple[Any, Any]:
            if not may(Permission.ALERTS_MANAGE):
                return None, True
            found = ask(services().backtests.latest)

            def planned(key: SeriesKey) -> Sequence[PlannedTime]:
                filters = tuple(Filter(name, "in", (value,)) for name, value in key.dimensions)
                span = {"start": found.start, "end": found.end} if found else {}
                return asked.planned(asked.query(**span, grain="hour", filters=filters, comparison=None))

            return backtests.result(found, asked.style(), planned), found is None or found.state != "running"

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, True)


@protected_callback(
    Permission.ALERTS_READ,
    Output(backtests.table_id("rows", MATCH, MATCH), "children"),
    Output(backtests.table_id("show", MATCH, MATCH), "aria-expanded"),
    Input(backtests.table_id("show", MATCH, MATCH), "n_clicks"),
    State(backtests.table_id("show", MATCH, MATCH), "id"),
    prevent_initial_call=True,
)
def show_table(clicks: Any, of: Any) -> tuple[Any, str]:
    """The table behind one of the charts, until the button is pressed again."""
    if not is_looked_at(clicks if isinstance(clicks, int) else None):
        return None, "false"
    with asking(None):
        return backtests.course_table(ask(services().backtests.latest), of), "true"


@protected_callback(
    Permission.ALERTS_READ,
    Output(_TRIED, "data"),
    Output("rule-backtest-message", "children"),
    Input("rule-backtest-start", "n_clicks"),
    *_FORM,
    State("rule-backtest-weeks", "value"),
    State("rule-other-detector", "value"),
    State(backtests.other_parameter_id(ALL), "id"),
    State(backtests.other_parameter_id(ALL), "value"),
    prevent_initial_call=True,
)
def start_backtest(clicks: Any, *said: Any) -> tuple[Any, Any]:
    if not clicks:
        raise PreventUpdate
    *form, weeks, other, other_ids, other_values = said
    draft = views.draft_of(*form)
    drafts = [draft]
    if other:
        numbers = views.draft_of([], [], other_ids, other_values).parameters
        drafts.append(replace(draft, detector=views.kind_of(other).name, parameters=numbers))
    try:
        act(services().backtests.start, drafts, number_of(weeks))
    except NebuloVizError as error:
        return no_update, refusal(error)
    return news(), None


@protected_callback(
    Permission.ALERTS_READ,
    Output(_TRIED, "data", allow_duplicate=True),
    Input("rule-backtest-stop", "n_clicks"),
    prevent_initial_call=True,
)
def stop_backtest(clicks: Any) -> Any:
    found = ask(services().backtests.latest) if clicks else None
    if found is None:
        raise PreventUpdate
    act(services().backtests.stop, found.id)
    return news()


@protected_callback(
    Permission.ALERTS_READ,
    Output(_TRIED, "data", allow_duplicate=True),
    Input(backtests.label_id(ALL, ALL, ALL), "n_clicks"),
    State(backtests.label_id(ALL, ALL, ALL), "id"),
    State(backtests.label_id(ALL, ALL, ALL), "aria-pressed"),
    prevent_initial_call=True,
)
def label(clicks: Any, ids: Any, labelled: Any) -> Any:
    """Say what a would-be alert was."""
    pressed = isinstance(clicks, list) and any(clicks)
    latest = ask(services().backtests.latest) if pressed else None
    chosen = backtests.chosen(latest, ctx.triggered_id, ids, labelled)
    if chosen is None:
        raise PreventUpdate
    view, alert, verdict = chosen
    act(services().backtests.label, view.id, alert, verdict)
    return news()


@protected_callback(
    Permission.ALERTS_READ,
    Output(_STORE, "data", allow_duplicate=True),
    Output(_CHANGED, "data", allow_duplicate=True),
    Output("rule-message", "children", allow_duplicate=True),
    Input(backtests.use_id(ALL), "n_clicks"),
    *_FORM,
    State(_STORE, "data"),
    State(_VERSION, "data"),
    prevent_initial_call=True,
)
def use(clicks: Any, *said: Any) -> tuple[Any, ...]:
    """Make the setting that was tried the live rule, under the name that is entered."""
    *form, rule, version = said
    found = ask(services().backtests.latest) if isinstance(clicks, list) and any(clicks) else None
    side = backtests.side_of(found, ctx.triggered_id)
    if side is None:
        raise PreventUpdate
    name = views.draft_of(*form).name or views.detector_label(side.draft.detector)
    return _saved(replace(side.draft, name=name, enabled=True), rule, version)


register_page(__name__, path_template="/rules/<rule_id>", permission=Permission.ALERTS_READ, name=lazy("Rule"))
