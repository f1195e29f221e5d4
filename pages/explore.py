"""Explore: any metric by any dimension at any grain, drawn as it suits, down to the sale lines behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dash import MATCH, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from nebuloviz.i18n import _, lazy, number
from nebuloviz.metrics.registry import METRICS, dimension, metric
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import Frame
from nebuloviz.web.access import protected_callback, register_page
from nebuloviz.web.chart_kinds import pair
from nebuloviz.web.charts import ChartView, chart_answer, chart_outputs, chart_slot, part_answer, part_id, table_input
from nebuloviz.web.components import card, dropdown_texts, page, page_header
from nebuloviz.web.components.basic import given, icon
from nebuloviz.web.context import ask, may, services
from nebuloviz.web.figures import clicked, title_of
from nebuloviz.web.navigation import REFRESH, URL_ID, go, number_of, stay_on_page
from nebuloviz.web.question import GRAIN_WORDS, bounds, grain_of, grains_for
from nebuloviz.web.reading import Asking, asking
from nebuloviz.web.state import TOPS, PageState
from nebuloviz.web.views import common, grids
from nebuloviz.web.views import explore as views

CHART, TOTAL = "explore-chart", "explore-total"
METRIC, SECOND, AXIS, SPLIT, GRAIN, TOP = (
    "explore-metric",
    "explore-second",
    "explore-axis",
    "explore-split",
    "explore-grain",
    "explore-top",
)
_AUTOMATIC, _NOTHING = "auto", "none"


def layout(**_query: str) -> Component:
    stay_on_page()
    lines = card(_("Sale lines"), html.Div(id="explore-lines"), subtitle=html.Span(id="explore-lines-count"))
    return page(
        [
            html.Div(page_header(_("Explore"), actions=[html.Div(id="explore-kinds")]), className="nv-span-12"),
            html.Div(_controls(), className="nv-controls nv-span-12"),
            html.Div(id=TOTAL, className="nv-span-12"),
            chart_slot(CHART, title_of(metric("revenue")), span=12, height=440),
            *([lines] if may(Permission.SALES_READ) else []),
        ]
    )


def _controls() -> list[Component]:
    """What the chart shows; `show_controls` fills in choices and values."""
    return [
        _control(_("Metric"), METRIC),
        _control(_("Plot against"), SECOND),
        _control(_("Group by"), AXIS),
        _control(_("Time grain"), GRAIN),
        _control(_("Split by"), SPLIT),
        _control(_("Show"), TOP),
    ]


def _control(label: str, id: str) -> html.Div:
    dropdown = dcc.Dropdown(
        id=id, clearable=False, searchable=False, labels=dropdown_texts(), className="nv-select nv-select-control"
    )
    words = html.Span(label, className="nv-label")
    return html.Div([words, dropdown], id=f"{id}-box", className="nv-field", role="group", **given(aria_label=label))


@protected_callback(
    Permission.DATA_READ,
    *(Output(id, "options") for id in (METRIC, SECOND, AXIS, SPLIT, GRAIN, TOP)),
    *(Output(id, "value") for id in (METRIC, SECOND, AXIS, SPLIT, GRAIN, TOP)),
    *(Output(f"{id}-box", "hidden") for id in (SECOND, GRAIN, TOP)),
    Output("explore-kinds", "children"),
    Input(URL_ID, "search"),
)
def show_controls(search: str | None) -> tuple[Any, ...]:
    """Put the controls where the URL says."""
    with asking(search) as asked:
        state = views.normal(asked.state)
        used = ask(services().data.dimensions_in_use)
        start, end = bounds(state, asked.now)
        chart = views.chart_of(state)
        values = (
            state.metric,
            pair(state)[1],
            views.axis_of(state),
            views.split_of(state) or _NOTHING,
            grain_of(state, start, end) if state.grain else _AUTOMATIC,
            state.top,
        )
        hidden = (chart.metrics < 2, not state.over_time, not state.by)
        return *choices(asked, state, used), *values, *hidden, chart_kinds(state)


def choices(asked: Asking, state: PageState, used: Sequence[str]) -> tuple[list[dict[str, Any]], ...]:
    """The options of each control, in the controls' order."""
    metrics = [{"label": str(item.label), "value": item.slug} for item in METRICS]
    dimensions = [{"label": str(dimension(slug).label), "value": slug} for slug in used]
    axis = [{"label": _("Time"), "value": "time"}, *dimensions]
    split = [{"label": _("Nothing"), "value": _NOTHING}, *(d for d in dimensions if d["value"] != views.axis_of(state))]
    grains = [{"label": str(GRAIN_WORDS[grain]), "value": grain} for grain in grains_for(*bounds(state, asked.now))]
    tops = [{"label": _("Top {count}", count=number(top)), "value": top} for top in TOPS]
    return metrics, metrics, axis, split, [{"label": _("Automatic"), "value": _AUTOMATIC}, *grains], tops


def chart_kinds(state: PageState) -> Component:
    """A link for each chart that suits the question."""
    shown = views.chart_of(state)
    links = [
        dcc.Link(
            [icon(kind.icon), html.Span(str(kind.label))],
            href=state.with_(chart=kind.slug).to_url("/explore"),
            className="nv-kind" + (" nv-active" if kind is shown else ""),
            title=str(kind.label),
        )
        for kind in views.charts_for(state)
    ]
    return html.Div(links, className="nv-kinds", role="group", **given(aria_label=_("Chart")))


@protected_callback(
    Permission.DATA_READ,
    *(Input(id, "value") for id in (METRIC, SECOND, AXIS, SPLIT, GRAIN, TOP)),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def choose(*given_values: Any) -> None:
    """A choice in a control is a new URL."""
    *values, search = given_values
    changed = dict(zip((METRIC, SECOND, AXIS, SPLIT, GRAIN, TOP), values, strict=True))
    state = views.normal(PageState.from_search(search))
    go(with_choice(state, ctx.triggered_id, changed.get(str(ctx.triggered_id))), search)


def with_choice(state: PageState, control: object, value: Any) -> PageState:
    """The state after `value` was chosen in `control`; read back through the URL, so that nonsense changes nothing."""
    second, two = pair(state)[1], views.chart_of(state).metrics == 2
    changes: dict[str, Any] = {
        METRIC: {"metrics": (value, second) if two and second != value else (value,)},
        SECOND: {"metrics": (state.metric, value)} if second != value else {},
        GRAIN: {"grain": None if value == _AUTOMATIC else value},
        TOP: {"top": value},
    }
    if control == AXIS:
        changed = views.with_axis(state, str(value))
    elif control == SPLIT:
        changed = views.with_split(state, "" if value == _NOTHING else str(value))
    else:
        changed = state.with_(**changes.get(str(control), {}))
    return PageState.from_search(changed.to_search())


@protected_callback(Permission.DATA_READ, *REFRESH, table_input(CHART), output=chart_outputs(CHART))
def draw(search: str | None, _stamp: str, theme: str, table_clicks: int | None) -> dict[str, Any]:
    with asking(search, theme) as asked:

        def build() -> Any:
            state = views.normal(asked.state)
            query = views.query_for(asked, state)
            more = views.expects(state)
            expected, alerts = (asked.expected(query), asked.alerts(query)) if more else (None, ())
            coming = asked.forecast(query) if more else None
            planned = asked.planned(query, coming) if views.chart_of(state).expected else ()
            frame, style = asked.frame(query), asked.style(*state.by)
            sold = common.is_empty(frame) and asked.sold(query)
            if common.is_empty(frame) and not ask(services().data.freshness).lines:
                return ChartView(views.chart_of(state).title(state), instead=common.no_sales_yet())
            part = views.chart_of(state).shape(state) == "pairs"
            whole = float(in_all(asked, state).data[state.metric].iloc[0]) if part else math.nan
            return views.chart_view(
                frame, expected, alerts, state, style, coming=coming, planned=planned, sold=sold, whole=whole
            )

        return chart_answer(build, table_clicks)


def in_all(asked: Asking, state: PageState) -> Frame:
    """What the whole range comes to, and what it is compared with."""
    return asked.frame(asked.query(metrics=(state.metric,)))


@protected_callback(Permission.DATA_READ, Output(TOTAL, "children"), *REFRESH)
def show_total(search: str | None, _stamp: str, _theme: str) -> Any:
    with asking(search) as asked:

        def build() -> Any:
            return views.total(in_all(asked, views.normal(asked.state)), ask(services().data.freshness))

        return part_answer(build)


@protected_callback(
    Permission.DATA_READ,
    Input(part_id(CHART, "figure"), "clickData"),
    State(URL_ID, "search"),
    prevent_initial_call=True,
)
def click(data: Any, search: str | None) -> None:
    """A click on a bar or a point filters by it; on an alert it opens that."""
    found = clicked(data)
    if found is None:
        return
    set_props(part_id(CHART, "figure"), {"clickData": None})
    if found.alert_id:
        set_props(URL_ID, {"pathname": f"/alerts/{found.alert_id}", "search": ""})
        return
    with asking(search) as asked:
        state = views.normal(asked.state)
        grain = views.query_for(asked, state).grain
        go(common.after_click(state, found, grain), search)


# ---------------------------------------------------------------- sale lines


def lines_id(search: Any) -> dict[str, Any]:
    return {"type": "explore-grid", "search": search}


@protected_callback(
    Permission.SALES_READ,
    Output("explore-lines", "children"),
    Output("explore-lines-count", "children"),
    Input(URL_ID, "search"),
)
def show_lines(search: str | None) -> tuple[Any, Any]:
    """A grid for the lines behind what the URL asks; a new one for each question, so that no old row stays in it."""
    with asking(search) as asked:

        def build() -> Any:
            query = asked.query(comparison=None)
            total = ask(services().data.sales, query, None, 1).total
            used = ask(services().data.dimensions_in_use)
            if not total:
                begun = ask(services().data.freshness).lines
                return common.nothing(asked.state, "/explore") if begun else common.no_sales_yet(), ""
            cursors = dcc.Store(id={"type": "explore-cursors", "search": search or ""}, data={})
            links = html.Div(common.line_downloads(query), className="nv-card-links")
            return [links, grids.lines_grid(lines_id(search or ""), used), cursors], common.lines_words(total)

        answer = part_answer(build)
        return answer if isinstance(answer, tuple) else (answer, "")


@protected_callback(
    Permission.SALES_READ,
    Output(lines_id(MATCH), "getRowsResponse"),
    Output({"type": "explore-cursors", "search": MATCH}, "data"),
    Input(lines_id(MATCH), "getRowsRequest"),
    State({"type": "explore-cursors", "search": MATCH}, "data"),
    State(lines_id(MATCH), "id"),
)
def load_lines(request: Any, cursors: Any, id: dict[str, str]) -> tuple[Any, Any]:
    """The next block of lines, as one scrolls. The store holds where each block begins, not the lines."""
    if not isinstance(request, dict) or not isinstance(cursors, dict):
        raise PreventUpdate
    first, order = number_of(request.get("startRow")), grids.order_of(request.get("sortModel"))
    known_cursor = cursors.get(f"{order} {first}")
    cursor = known_cursor if isinstance(known_cursor, str) else None
    if first and cursor is None:  # a block that does not follow one that was loaded
        return {"rowData": [], "rowCount": first}, no_update
    with asking(id["search"]) as asked:
        found = ask(services().data.sales, asked.query(comparison=None), cursor, grids.BLOCK, order)
        rows = [grids.line_row(line) for line in found.lines]
        following = first + len(rows)
        known = {**cursors, f"{order} {following}": found.next_cursor} if found.next_cursor else no_update
        return {"rowData": rows, "rowCount": following + 1 if found.next_cursor else following}, known


register_page(
    __name__, path="/explore", permission=Permission.DATA_READ, name=lazy("Explore"), icon="bar-chart-line", shortcut="g e", order=2,
)  # fmt: skip
