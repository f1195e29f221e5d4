"""One alert: what was expected, which segments carry it, the sales behind it, and what was done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.errors import Conflict, NebuloVizError
from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.line_figures import metric_behind
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import AlertFilter, AlertView
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.charts import chart_answer, chart_outputs, chart_slot, part_answer, refusal, table_input
from nebuloviz.web.components import (
    card,
    link_button,
    page,
    page_header,
    skeleton_feed,
    skeleton_table,
    skeleton_tile,
)
from nebuloviz.web.components.basic import badge, hidden
from nebuloviz.web.context import act, ask, may, services
from nebuloviz.web.navigation import STAMP_ID, THEME_ID, news, number_of, stay_on_page
from nebuloviz.web.question import comparison_words
from nebuloviz.web.reading import asking, now
from nebuloviz.web.views import alert_life as life
from nebuloviz.web.views import alerts as views
from nebuloviz.web.views import feedback, grids
from nebuloviz.web.views.snoozes import snooze_end

CHART = "alert-course"
_STORE = "alert-id"
#: What the parts of this page depend on: which alert, news, and a decision just made.
_INPUTS = (Input(_STORE, "data"), Input(STAMP_ID, "data"), Input("alert-version", "data"))


def layout(alert_id: str = "", **_query: str) -> Component:
    stay_on_page()
    known = number_of(alert_id)
    back = link_button(_("All alerts"), "/alerts", icon_name="bell")
    gone = life.gone(_("There is no such alert"), back, lambda: _alert(known))
    if gone is not None:
        return gone
    return page(
        [
            dcc.Store(id=_STORE, data=known),
            dcc.Store(id="alert-version"),
            html.Div(page_header(_("Alert {number}", number=known), actions=[back]), className="nv-span-12"),
            html.Div(id="alert-message", className="nv-span-12", role="status"),
            html.Div(skeleton_tile(), id="alert-head", className="nv-span-12"),
            chart_slot(CHART, _("Around that time"), span=8, height=320),
            card(_("History"), html.Div(skeleton_feed(3), id="alert-history"), span=4),
            card(_("Contribution by segment"), html.Div(skeleton_table(5, 4), id="alert-segments"), span=8),
            card(_("What drove revenue"), html.Div(skeleton_feed(4), id="alert-split"), span=4),
            card(_("Other alerts at that time"), html.Div(skeleton_feed(2), id="alert-others"), span=12),
            html.Div(id="alert-decision", className="nv-span-12"),
            *_lines_card(),
        ],
        filtered=False,
    )


def _lines_card() -> list[Component]:
    if not may(Permission.SALES_READ):
        return []
    return [card(_("Sales behind this alert"), html.Div(skeleton_table(6, 6), id="alert-lines"), span=12)]


def _alert(number: object) -> AlertView:
    """The alert of that number. Raises NotFound."""
    return ask(services().alerts.get, number_of(number))


@protected_callback(
    Permission.ALERTS_READ, Output("alert-head", "children"), Output("alert-history", "children"), *_INPUTS
)
def show(number: int, _stamp: str, _version: Any) -> tuple[Any, Any]:
    with asking(None) as asked:

        def head() -> Component:
            alert = _alert(number)
            together = len(ask(services().alerts.incident, alert.incident_id or alert.id).alerts)
            counted = ask(services().alerts.counted, alert.id)
            return views.head(alert, asked.now, together=together, counted=counted)

        return part_answer(head), part_answer(lambda: life.timeline(ask(services().alerts.history, number)))


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alert-decision", "children"),
    Output("alert-decision", "data-version"),
    Input(_STORE, "data"),
    Input("alert-version", "data"),
)
def show_decision(number: int, _version: Any) -> tuple[Any, Any]:
    """Not drawn anew by news: a note that is being written must not vanish under the writer's hands."""

    def build() -> tuple[Any, Any]:
        alert = _alert(number)
        return life.decision(alert, ask(services().alerts.assignable, number)), alert.version

    answer = part_answer(build)
    return answer if isinstance(answer, tuple) else (answer, no_update)


@protected_callback(
    Permission.ALERTS_READ,
    Input(_STORE, "data"),
    Input(STAMP_ID, "data"),
    Input(THEME_ID, "data"),
    table_input(CHART),
    output=chart_outputs(CHART),
)
def course(number: int, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(None, theme) as asked:

        def build() -> Any:
            alert = _alert(number)
            start, end = views.around(alert)
            query = asked.query(
                metrics=(metric_behind(alert.metric),),
                start=start,
                end=end,
                grain=alert.grain,
                filters=views.filters_of(alert),
                comparison="weekdays",
            )
            style = replace(asked.style(), comparison=comparison_words("weekdays"))
            return views.course(asked.frame(query), asked.expected(query), alert, style, asked.planned(query))

        return chart_answer(build, table_clicks)


@protected_callback(Permission.ALERTS_READ, Output("alert-segments", "children"), Input(_STORE, "data"))
def segments(number: int) -> Any:
    with asking(None):
        return part_answer(lambda: views.causes(ask(services().alerts.explanation, number), _alert(number)))


@protected_callback(Permission.ALERTS_READ, Output("alert-split", "children"), Input(_STORE, "data"))
def split(number: int) -> Any:
    with asking(None):
        return part_answer(lambda: views.split(ask(services().alerts.split, number)))


@protected_callback(
    Permission.ALERTS_READ, Output("alert-others", "children"), Input(_STORE, "data"), Input(STAMP_ID, "data")
)
def others(number: int, _stamp: str) -> Any:
    with asking(None) as asked:

        def build() -> Component:
            alert = _alert(number)
            then = AlertFilter(start=alert.bucket_start, end=alert.bucket_end)
            found = ask(services().alerts.list, then, None, views.OTHERS + 1).items
            return views.others([each for each in found if each.id != alert.id][: views.OTHERS], asked.now)

        return part_answer(build)


@protected_callback(Permission.SALES_READ, Output("alert-lines", "children"), Input(_STORE, "data"))
def lines(number: int) -> Any:
    with asking(None) as asked:

        def build() -> Component:
            alert = _alert(number)
            query = asked.query(
                start=alert.judged[0], end=alert.judged[1], filters=views.filters_of(alert), comparison=None
            )
            found = ask(services().data.sales, query, None, views.LINES, "-revenue")
            return grids.lines_table(found, ask(services().data.dimensions_in_use))

        return part_answer(build)


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alert-version", "data"),
    Output("alert-message", "children"),
    Input("alert-acknowledge", "n_clicks"),
    Input("alert-resolve", "n_clicks"),
    Input("alert-snooze", "n_clicks"),
    Input("alert-comment", "n_clicks"),
    Input("alert-reopen", "n_clicks"),
    State(life.NOTE_ID, "value"),
    State(life.SNOOZE_ID, "value"),
    State(_STORE, "data"),
    State("alert-decision", "data-version"),
    prevent_initial_call=True,
)
def decide(*given: Any) -> tuple[Any, Any]:
    """What the button says; what somebody else decided meanwhile is shown, not overwritten."""
    *clicks, note, until, number, version = given
    if not any(clicks):
        raise PreventUpdate
    note, seen = note if isinstance(note, str) else "", version if isinstance(version, int) else None
    alerts = services().alerts
    match ctx.triggered_id:
        case "alert-acknowledge":
            return _done(lambda: act(alerts.acknowledge, number, note, seen))
        case "alert-resolve":
            return _done(lambda: act(alerts.resolve, number, note, seen))
        case "alert-reopen":
            return _done(lambda: act(alerts.reopen, number, note, seen))
        case "alert-snooze":
            return _done(lambda: act(alerts.snooze, number, snooze_end(until, now()), note, seen))
        case _:
            return _done(lambda: act(alerts.comment, number, note))


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alert-version", "data", allow_duplicate=True),
    Output("alert-message", "children", allow_duplicate=True),
    Input(life.OWNER_ID, "value"),
    State(_STORE, "data"),
    State("alert-decision", "data-version"),
    prevent_initial_call=True,
)
def give(owner: Any, number: int, version: Any) -> tuple[Any, Any]:
    """To whom was chosen; nothing where that is who has it already, as when the list has just been drawn."""
    wanted = owner if isinstance(owner, str) and owner != life.NOBODY else ""
    if wanted == _alert(number).owner:
        raise PreventUpdate
    return _done(lambda: act(services().alerts.assign, number, wanted, version if isinstance(version, int) else None))


@protected_callback(
    Permission.ALERTS_MANAGE,
    Output("alert-version", "data", allow_duplicate=True),
    Output("alert-message", "children", allow_duplicate=True),
    Input(feedback.button_id(ALL), "n_clicks"),
    Input(feedback.UNJUDGE_ID, "n_clicks"),
    State(feedback.REASON_ID, "value"),
    State(feedback.UNTIL_ID, "value"),
    State(life.NOTE_ID, "value"),
    State(_STORE, "data"),
    State("alert-decision", "data-version"),
    prevent_initial_call=True,
)
def judge(*given: Any) -> tuple[Any, Any]:
    """Say what it was, or take that back."""
    clicks, back, reason, until, note, number, version = given
    asked, seen = ctx.triggered_id, version if isinstance(version, int) else None
    if asked == feedback.UNJUDGE_ID and back:
        return _done(lambda: act(services().alerts.unjudge, number, seen))
    if not isinstance(asked, dict) or not isinstance(clicks, list) or not any(clicks):
        raise PreventUpdate
    said = feedback.said(asked.get("of"), reason, until, now())
    return _done(lambda: act(services().alerts.judge, number, said, note if isinstance(note, str) else "", seen))


def _done(decision: Callable[[], AlertView]) -> tuple[Any, Any]:
    """Have it done; and what the page says to it."""
    try:
        alert = decision()
    except Conflict:
        changed = _(
            "Somebody else has changed this alert in the meantime. It is shown as it is now; please decide again."
        )
        return news(), badge(changed, "warn", icon_name="exclamation-triangle")
    except NebuloVizError as error:
        return no_update, refusal(error)
    return news(), hidden(life.standing_words(alert))


register_page(__name__, path_template="/alerts/<alert_id>", permission=Permission.ALERTS_READ, name=lazy("Alert"))
