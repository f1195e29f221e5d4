"""A chart on a page: its place in the layout, and what a callback fills it with.

A chart's parts keep their identity while figures come and go, so that a refresh loses neither zoom nor focus. Where an
answer fails, the old figure stays, is marked as old, and a note says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from dash import Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import _
from nebuloviz.web.components import button, card, chart_actions, error_state, skeleton_chart
from nebuloviz.web.components.basic import Children, given
from nebuloviz.web.figures import config

READY = "nv-slot nv-ready"
WAITING = "nv-slot nv-waiting"
OLD = "nv-slot nv-ready nv-old"

Id = str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChartView:
    """All that a chart's place shows. `instead` stands where there is nothing to draw; `links` are downloads.

    `table` makes the table behind the chart when somebody looks at it: Dash carries every cell through every update.
    """

    title: str
    figure: go.Figure | None = None
    table: Callable[[], Component] | None = None
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
) -> html.Section:
    """The place of a chart, showing the outline of what comes; `height` pixels, unless a figure has a height of its own."""

    def part(which: str) -> Id:
        return part_id(name, which, of)

    graph = dcc.Graph(id=part("figure"), config=config(f"nebuloviz-{name}"), className="nv-graph")
    drawing = html.Div(
        graph,
        id=part("drawing"),
        className="nv-chart nv-chart-grows",
        style={"minBlockSize": f"{height}px"},
        dir="ltr",  # time runs from left to right in every language
        role="group",
        **given(aria_label=title),
    )
    body = [
        html.Div(skeleton or skeleton_chart(height), className="nv-slot-skeleton"),
        drawing,
        html.Div(id=part("table"), className="nv-behind", tabIndex=0, role="region", **given(aria_label=title)),
    ]
    return card(
        html.Span(title, id=part("title")),
        [html.Div(id=part("note")), html.Div(body, id=part("body"), className=WAITING)],
        actions=[_table_button(title, part("view")), *chart_actions(title, table=False), _links(part("links"))],
        subtitle=html.Span(id=part("subtitle")),
        span=span,
    )


def _table_button(title: str, id: Id) -> Component:
    label = _("Show as table: {title}", title=title)
    attributes = given(data_nv_action="table", aria_pressed="false")
    return button(label, id=id, icon_name="table", kind="quiet", icon_only=True, **attributes)


def _links(id: Id) -> html.Span:
    return html.Span(id=id, className="nv-card-links")


def table_input(name: str, of: Any = None) -> Input:
    """Clicks on the button that turns chart into table and back, the last of a chart's inputs; see `chart_answer`."""
    return Input(part_id(name, "view", of), "n_clicks")


def chart_outputs(name: str, of: Any = None) -> dict[str, Output]:
    """The outputs that `chart_answer` fills, for a callback's `output`."""
    return {
        "figure": Output(part_id(name, "figure", of), "figure"),
        "style": Output(part_id(name, "drawing", of), "style"),
        "title": Output(part_id(name, "title", of), "children"),
        "subtitle": Output(part_id(name, "subtitle", of), "children"),
        "table": Output(part_id(name, "table", of), "children"),
        "links": Output(part_id(name, "links", of), "children"),
        "note": Output(part_id(name, "note", of), "children"),
        "body": Output(part_id(name, "body", of), "className"),
    }


def chart_answer(build: Callable[[], ChartView], table_clicks: int | None = None) -> dict[str, Any]:
    """What `build` shows; or, where it fails, the old figure with a note on what failed and what to do.

    After an odd number of `table_clicks` the table is what is looked at.
    """
    try:
        view = build()
    except NebuloVizError as error:
        kept = dict.fromkeys(("figure", "style", "title", "subtitle", "table", "links"), no_update)
        return {**kept, "note": failure_note(error), "body": OLD}
    empty = view.figure is None
    return {
        "figure": no_update if view.figure is None else view.figure,
        "style": _style(view.figure),
        "title": view.title,
        "subtitle": view.subtitle,
        "table": view.table() if view.table is not None and (table_clicks or 0) % 2 else None,
        "links": list(view.links),
        "note": view.instead,
        "body": "nv-slot nv-nothing" if empty else READY,
    }


def _style(figure: go.Figure | None) -> Any:
    """The height that a figure asks for, as bars do; Plotly itself would grow with its box, and the box with it."""
    height = figure.layout.height if figure is not None else None
    return {"minBlockSize": f"{height}px"} if height else no_update


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
