"""A chart on a page: its place in the layout, and what a callback fills it with.

A chart's parts keep their identity while figures come and go, so that a refresh loses neither zoom nor focus. Where an
answer fails, the old figure stays, is marked as old, and a note says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from dash import Output, dcc, html, no_update
from dash.development.base_component import Component

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _
from nebuloviz.web.components import card, chart_actions, error_state, skeleton_chart
from nebuloviz.web.components.basic import Children, given
from nebuloviz.web.figures import config

READY = "nv-slot nv-ready"
WAITING = "nv-slot nv-waiting"
OLD = "nv-slot nv-ready nv-old"

Id = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChartView:
    """All that a chart's place shows. `instead` stands where there is nothing to draw; `links` are downloads."""

    title: str
    figure: go.Figure | None = None
    table: Component | None = None
    subtitle: Children = None
    links: Sequence[Component] = ()
    instead: Component | None = None


def part_id(name: str, part: str, of: Any = None) -> Id:
    """The id of a part (figure, title, subtitle, table, links, note, body) of the chart `name`; `of` for one of several."""
    return f"{name}-{part}" if of is None else {"type": f"{name}-{part}", "of": of}


def chart_slot(
    name: str,
    title: str,
    *,
    of: str | None = None,
    span: int = 6,
    height: int = 280,
    skeleton: Component | None = None,
    fixed: bool = True,
) -> html.Section:
    """The place of a chart, showing the outline of what comes. `fixed`: `height` pixels, whatever the figure says."""

    def part(which: str) -> Id:
        return part_id(name, which, of)

    graph = dcc.Graph(
        id=part("figure"),
        config=config(f"nebuloviz-{name}"),
        className="nv-graph",
        style={"height": f"{height}px"} if fixed else {},
    )
    body = [
        html.Div(skeleton or skeleton_chart(height), className="nv-slot-skeleton"),
        html.Div(graph, className="nv-chart", dir="ltr"),
        html.Div(id=part("table"), className="nv-behind", tabIndex=0, role="region", **given(aria_label=title)),
    ]
    return card(
        html.Span(title, id=part("title")),
        [html.Div(id=part("note")), html.Div(body, id=part("body"), className=WAITING)],
        actions=[html.Span(id=part("links"), className="nv-card-links"), *chart_actions(title)],
        subtitle=html.Span(id=part("subtitle")),
        span=span,
    )


def chart_outputs(name: str, of: Any = None) -> dict[str, Output]:
    """The outputs that `chart_answer` fills, for a callback's `output`."""
    return {
        "figure": Output(part_id(name, "figure", of), "figure"),
        "title": Output(part_id(name, "title", of), "children"),
        "subtitle": Output(part_id(name, "subtitle", of), "children"),
        "table": Output(part_id(name, "table", of), "children"),
        "links": Output(part_id(name, "links", of), "children"),
        "note": Output(part_id(name, "note", of), "children"),
        "body": Output(part_id(name, "body", of), "className"),
    }


def chart_answer(build: Callable[[], ChartView]) -> dict[str, Any]:
    """What `build` shows; or, where it fails, the old figure with a note on what failed and what to do."""
    try:
        view = build()
    except NebuloVizError as error:
        kept = dict.fromkeys(("figure", "title", "subtitle", "table", "links"), no_update)
        return {**kept, "note": failure_note(error), "body": OLD}
    empty = view.figure is None
    return {
        "figure": no_update if empty else view.figure,
        "title": view.title,
        "subtitle": view.subtitle,
        "table": view.table,
        "links": list(view.links),
        "note": view.instead,
        "body": "nv-slot nv-nothing" if empty else READY,
    }


def part_answer(build: Callable[[], Children]) -> Any:
    """What `build` shows, for a part that is no chart; or, where it fails, a note on what failed and what to do."""
    try:
        return build()
    except NebuloVizError as error:
        return failure_note(error)


def failure_note(error: NebuloVizError) -> Component:
    """What failed and what to do: a question that cannot be answered is put differently, anything else comes back by itself."""
    if error.status < 500:
        return error_state(_("This cannot be shown"), error.message)
    return error_state(
        _("These figures could not be refreshed"), [error.message, " ", _("They are asked for again soon.")]
    )
