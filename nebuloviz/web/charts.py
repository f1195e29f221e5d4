"""A chart on a page: its place in the layout, and what a callback fills it with.

A chart's parts keep their identity while figures come and go, so that a refresh loses neither zoom nor focus. Where an
answer fails, the old figure stays, is marked as old, and a note says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
from dash import Input, Output, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import MissingCallbackContextException

from nebuloviz.errors import NebuloVizError, StaleVersion
from nebuloviz.i18n import _
from nebuloviz.web.components import button, chart_actions, error_state, toast
from nebuloviz.web.components.basic import Children, given
from nebuloviz.web.figures import config
from nebuloviz.web.navigation import INTERVAL_ID, STAMP_ID

WAITING = "nv-slot nv-waiting"
READY = "nv-slot nv-ready"
OLD = "nv-slot nv-failed"
NOTHING = "nv-slot nv-nothing"

#: Drawn until there is a figure, and where none could be made: no axes around nothing.
_BLANK = {
    "data": [],
    "layout": {
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    },
}

Id = str | dict[str, Any]
Outline = Literal["columns", "bars", "grid"]


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
    """The id of a part (figure, head, table, note, view, body) of the chart `name`; `of` for one of several."""
    return f"{name}-{part}" if of is None else {"type": f"{name}-{part}", "of": of}


def chart_slot(
    name: str,
    title: str,
    *,
    of: str | None = None,
    span: int = 6,
    height: int = 280,
    outline: Outline = "columns",
    answer: Mapping[str, Any] | None = None,
) -> html.Section:
    """The place of a chart with what `answer` (of `chart_answer`) fills it with, or else the outline of what comes.

    It is `height` pixels high, unless a figure has a height of its own. It has few parts on purpose: Dash visits every one
    of them whenever anything on the page changes.
    """
    empty: dict[str, Any] = {
        "figure": _BLANK,
        "head": chart_head(ChartView(title)),
        "table": None,
        "note": None,
        "body": f"{WAITING} nv-outline-{outline}",
        "style": _tall(height),
    }
    shown = empty | {name: value for name, value in (answer or {}).items() if value is not no_update}

    def part(which: str) -> Id:
        return part_id(name, which, of)

    parts = _slot_parts(name, title, part, shown)
    place = html.Div(parts, id=part("body"), className=shown["body"], style=shown["style"])
    return html.Section(
        [_slot_header(title, part, shown["head"]), html.Div(place, className="nv-card-body")],
        className=f"nv-card nv-span-{span}",
    )


def _slot_header(title: str, part: Callable[[str], Id], head: Children) -> html.Header:
    actions = [_table_button(title, part("view")), *chart_actions(title, table=False)]
    return html.Header(
        [
            html.Div(head, id=part("head"), className="nv-slot-head"),
            html.Div(actions, className="nv-card-actions"),
        ],
        className="nv-card-head",
    )


def _slot_parts(name: str, title: str, part: Callable[[str], Id], shown: Mapping[str, Any]) -> list[Component]:
    """Note, figure and the table behind it."""
    graph = dcc.Graph(
        id=part("figure"),
        config=config(f"nebuloviz-{name}", mode_bar=False),
        className="nv-graph",
        **given(figure=shown["figure"]),
    )
    named = given(aria_label=title)
    return [
        html.Div(shown["note"], id=part("note"), className="nv-slot-note"),
        # time runs from left to right in every language
        html.Div(graph, className="nv-chart nv-chart-grows", dir="ltr", role="group", **named),
        html.Div(shown["table"], id=part("table"), className="nv-behind", tabIndex=0, role="region", **named),
    ]


def chart_outline(title: str, *, span: int = 6, height: int = 280, outline: Outline = "columns") -> html.Section:
    """What stands where a chart will be: its title and the outline of its figure, and nothing that can be used yet."""
    head = html.Header(html.H2(title, className="nv-card-title"), className="nv-card-head")
    place = html.Div(className=f"{WAITING} nv-outline-{outline}", style=_tall(height), **given(aria_busy="true"))
    return html.Section([head, html.Div(place, className="nv-card-body")], className=f"nv-card nv-span-{span}")


def chart_head(view: ChartView) -> list[Component]:
    """Title, line below it, and downloads."""
    head: list[Component] = [html.H2(view.title, className="nv-card-title")]
    if view.subtitle is not None:
        head.append(html.P(view.subtitle, className="nv-card-subtitle"))
    if view.links:
        head.append(html.Div(list(view.links), className="nv-card-links"))
    return head


def _table_button(title: str, id: Id) -> Component:
    label = _("Show as table: {title}", title=title)
    attributes = given(data_nv_action="table", aria_pressed="false")
    return button(label, id=id, icon_name="table", kind="quiet", icon_only=True, **attributes)


def table_input(name: str, of: Any = None) -> Input:
    """Clicks on the button that turns chart into table and back, the last of a chart's inputs; see `chart_answer`."""
    return Input(part_id(name, "view", of), "n_clicks")


def chart_outputs(name: str, of: Any = None) -> dict[str, Output]:
    """The outputs that `chart_answer` fills, for a callback's `output`."""
    return {
        "figure": Output(part_id(name, "figure", of), "figure"),
        "head": Output(part_id(name, "head", of), "children"),
        "table": Output(part_id(name, "table", of), "children"),
        "note": Output(part_id(name, "note", of), "children"),
        "body": Output(part_id(name, "body", of), "className"),
        "style": Output(part_id(name, "body", of), "style"),
    }


Failures = list[NebuloVizError]


def chart_answer(
    build: Callable[[], ChartView], table_clicks: int | None = None, failures: Failures | None = None
) -> dict[str, Any]:
    """What `build` shows; or, where it fails, the old figure with a note on what failed and what to do.

    After an odd number of `table_clicks` the table is what is looked at. A failure is added to `failures`.
    """
    untouched = dict.fromkeys(("figure", "head", "table", "note", "body", "style"), no_update)
    try:
        return untouched | _drawn(build(), looked_at=is_looked_at(table_clicks))
    except NebuloVizError as error:
        return untouched | {"note": _failed(error, failures), "body": OLD}


def is_looked_at(table_clicks: int | None) -> bool:
    """Whether it is the table behind a chart that is seen after so many clicks."""
    return (table_clicks or 0) % 2 == 1


def _drawn(view: ChartView, *, looked_at: bool) -> dict[str, Any]:
    """The parts of a chart's place that `view` changes."""
    drawn: dict[str, Any] = {"head": chart_head(view), "body": READY if view.figure is not None else NOTHING}
    if view.figure is not None:
        drawn["figure"] = view.figure
        if view.figure.layout.height:
            drawn["style"] = _tall(view.figure.layout.height)
    if view.table is not None and looked_at:
        drawn["table"] = view.table()
    if view.instead is not None:
        drawn["note"] = view.instead
    return drawn


def _tall(height: int) -> dict[str, str]:
    """At least that high. Plotly itself would grow with its box, and the box with it."""
    return {"minBlockSize": f"{height}px"}


def part_answer(build: Callable[[], Children], failures: Failures | None = None) -> Any:
    """What `build` shows, for a part that is no chart; or, where it fails, a note, and the failure is added to `failures`.

    Raises:
        NebuloVizError: nothing but news was asked for, and the server could not say: then what is shown stays, and the shell says why.
    """
    try:
        return build()
    except NebuloVizError as error:
        if failures is None and error.status >= 500 and _for_news():
            raise
        return _failed(error, failures)


def _for_news() -> bool:
    """Whether the browser only asks whether there is something new to what it shows."""
    try:
        asked = {name.rpartition(".")[0] for name in ctx.triggered_prop_ids}
    except MissingCallbackContextException:  # a layout, which shows nothing yet
        return False
    return bool(asked) and asked <= {STAMP_ID, INTERVAL_ID}


def _failed(error: NebuloVizError, failures: Failures | None) -> Component:
    if failures is not None:
        failures.append(error)
    return failure_note(error)


def failure_note(error: NebuloVizError) -> Component:
    """What failed and what to do: a question that cannot be answered is put differently, anything else comes back by itself."""
    if error.status < 500:
        return error_state(_("This cannot be shown"), error.message)
    return error_state(_("These figures could not be refreshed"), [error.message, " ", _("Retrying shortly.")])


def told_beside(error: NebuloVizError, fields: Sequence[str]) -> tuple[Any, ...]:
    """What a form says of `error`: above it, and beside each of `fields`; one place says it, the others nothing."""
    beside = (error.message if field == error.field else None for field in fields)
    return (None if error.field in fields else refusal(error), *beside)


def refusal(error: NebuloVizError) -> Component:
    """What was not done, and why; where somebody else was faster, with the way to what they made of it."""
    anew = html.A(_("Show it as it is now"), href="") if isinstance(error, StaleVersion) else None
    return toast([error.message, " ", anew], "bad", title=_("This was not done"))
