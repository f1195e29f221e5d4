"""Explore: any metric by any dimension at any grain. Which charts suit a question, what they ask, and how they are drawn."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from dash.development.base_component import Component

from nebuloviz.i18n import _, lazy
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import METRICS, metric
from nebuloviz.services.interfaces import Frame
from nebuloviz.web.charts import ChartView
from nebuloviz.web.figures import Style, bars, heat_map, scatter, stacked, title_of, treemap, trend
from nebuloviz.web.figures.grid import columns, matrix
from nebuloviz.web.reading import Asking
from nebuloviz.web.state import Chart, State
from nebuloviz.web.views import common
from nebuloviz.web.views.grids import frame_grid

CHART_WORDS = {
    "line": lazy("Line"),
    "area": lazy("Area"),
    "bar": lazy("Bars"),
    "stacked": lazy("Stacked"),
    "heatmap": lazy("Heat map"),
    "treemap": lazy("Treemap"),
    "scatter": lazy("Scatter"),
    "table": lazy("Table"),
}
CHART_ICONS = {
    "line": "graph-up",
    "area": "activity",
    "bar": "bar-chart",
    "stacked": "bar-chart-steps",
    "heatmap": "grid-3x3",
    "treemap": "columns-gap",
    "scatter": "dot",
    "table": "table",
}
MOST_COMBINATIONS = 400
MOST_POINTS = 200
MOST_ROWS = 2_000


def charts_for(state: State) -> tuple[Chart, ...]:
    """The charts that suit the question, the usual one first."""
    additive = metric(state.metric).additive
    if state.over_time:
        if not state.by:
            return ("line", "area", "bar", "heatmap", "table")
        return ("line", "area", "stacked", "table") if additive else ("line", "table")
    if len(state.by) == 2:
        return ("heatmap", "treemap", "table") if additive else ("heatmap", "table")
    return ("bar", "treemap", "scatter", "table") if additive else ("bar", "scatter", "table")


def chart_of(state: State) -> Chart:
    """The chosen chart where it suits, else the usual one."""
    suiting = charts_for(state)
    return state.chart if state.chart in suiting else suiting[0]


def normal(state: State) -> State:
    """The state as Explore understands it: what is not over time has a dimension."""
    return state if state.over_time or state.by else state.with_(over_time=True)


def query_for(asked: Asking, state: State) -> Query:
    """The one question behind the chart, its table and its downloads."""
    chart, additive = chart_of(state), metric(state.metric).additive
    if chart == "heatmap" and state.over_time:
        return asked.hours()
    if chart == "scatter":
        return asked.query(metrics=pair(state), dimensions=state.by[:1], limit=MOST_POINTS, order=f"-{state.metric}")
    if len(state.by) == 2 and not state.over_time:
        comparison = state.comparison if chart == "table" else None
        return asked.query(
            dimensions=state.by, limit=MOST_COMBINATIONS, order=f"-{state.metric}", comparison=comparison
        )
    if not state.by:
        return asked.query(grain="fitting")
    split = {"dimensions": state.by[:1], "limit": state.top, "other": additive, "order": f"-{state.metric}"}
    if not state.over_time:
        return asked.query(**split)
    comparison = state.comparison if chart == "table" else None
    return asked.query(grain="fitting", **{**split, "comparison": comparison})


def pair(state: State) -> tuple[str, str]:
    """The two metrics of a scatter: the chosen second one, or one that tells something beside the first."""
    if len(state.metrics) == 2:
        return state.metrics[0], state.metrics[1]
    other = next(item.slug for item in METRICS if item.slug != state.metric)
    return state.metric, "orders" if state.metric != "orders" else other


def title_for(state: State) -> str:
    shown = metric(state.metric)
    if chart_of(state) == "scatter":
        across, up = (metric(slug) for slug in pair(state))
        return _("{up} against {across}", up=title_of(up), across=title_of(across))
    return title_of(shown, state.by[0] if state.by else None)


def chart_view(frame: Frame, expected: pd.DataFrame | None, state: State, style: Style) -> ChartView:
    """The chart, its table and its downloads, all of the same rows."""
    title, query = title_for(state), frame.query
    if common.is_empty(frame):
        return ChartView(title, instead=common.nothing(state, "/explore"))
    data = common.happened(frame)
    if chart_of(state) == "table":
        return ChartView(title, instead=frame_grid(frame, data, 520), links=common.downloads(query, title))
    figure = _figure(data, expected, query, state, style)
    return ChartView(
        title,
        figure,
        common.table_of(frame, data, title),
        common.by_words(query.grain) if query.grain else None,
        common.downloads(query, title),
    )


def _figure(data: pd.DataFrame, expected: pd.DataFrame | None, query: Query, state: State, style: Style) -> go.Figure:
    if state.over_time:
        return _figure_over_time(data, expected, query, state, style)
    shown, chart = metric(state.metric), chart_of(state)
    if chart == "scatter":
        across, up = (metric(slug) for slug in pair(state))
        return scatter(data, across, up, state.by[0], size=shown, style=style)
    if chart == "treemap":
        return treemap(data, shown, state.by, style=style)
    return matrix(data, shown, state.by, style=style) if chart == "heatmap" else _bars(data, state, style)


def _figure_over_time(
    data: pd.DataFrame, expected: pd.DataFrame | None, query: Query, state: State, style: Style
) -> go.Figure:
    shown, chart, grain = metric(state.metric), chart_of(state), query.grain or "day"
    if chart == "heatmap":
        return heat_map(data, shown, style=style)
    if chart == "bar":
        return columns(data, shown, grain, style=style)
    if state.by and chart in {"stacked", "area"}:
        return stacked(data, shown, state.by[0], grain, kind="area" if chart == "area" else "bar", style=style)
    banded = data if state.by else common.with_expected(data, expected, state.metric)
    split = state.by[0] if state.by else None
    return trend(banded, shown, grain, split=split, kind="area" if chart == "area" else "line", style=style)


def _bars(data: pd.DataFrame, state: State, style: Style) -> go.Figure:
    slug = state.by[0]
    return common.pale_others(bars(data, metric(state.metric), slug, style=style), state.values_of(slug))


def with_axis(state: State, axis: str) -> State:
    """The state after choosing what runs along the chart: 'time', or a dimension."""
    if axis == "time":
        return state.with_(over_time=True)
    rest = tuple(slug for slug in state.by if slug != axis)[: 1 if not state.over_time else 0]
    return state.with_(over_time=False, by=(axis, *rest))


def with_split(state: State, split: str) -> State:
    """The state after choosing the dimension that splits the chart; '' for none."""
    if state.over_time:
        return state.with_(by=(split,) if split else ())
    first = state.by[:1]
    return state.with_(by=first if split in {"", *first} else (*first, split))


def axis_of(state: State) -> str:
    return "time" if state.over_time else state.by[0]


def split_of(state: State) -> str:
    rest = state.by if state.over_time else state.by[1:]
    return rest[0] if rest else ""


def legend_note(state: State) -> Component | None:
    """Why there is no 'Other', where a reader would look for it."""
    if state.by and not metric(state.metric).additive:
        return common.small(_("The rest is left out: values of this metric do not add up."))
    return None
