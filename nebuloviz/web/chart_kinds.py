"""The charts that Explore offers, as data: each says which questions it suits, what it asks, and how it is drawn.

To add one, add an entry to `CHARTS`; an extension of your own calls `add_chart` (docs/how-to/add-a-chart.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
from dash.development.base_component import Component

from nebuloviz.errors import ConfigurationError
from nebuloviz.i18n import LazyText, _, lazy
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.metrics.registry import METRICS, Metric, metric
from nebuloviz.services.interfaces import OTHER, Frame
from nebuloviz.services.shown import Shape, largest
from nebuloviz.web.figures import (
    AnomalyMark,
    PlannedMark,
    Style,
    bars,
    heat_map,
    scatter,
    stacked,
    title_of,
    treemap,
    trend,
)
from nebuloviz.web.figures.grid import columns, matrix
from nebuloviz.web.reading import Asking
from nebuloviz.web.state import PageState
from nebuloviz.web.views import common
from nebuloviz.web.views.grids import frame_grid

MAX_COMBINATIONS = 400
_TABLE_HEIGHT = 520
_SLUG = re.compile(r"[a-z][a-z_]*")


def usual_query(asked: Asking, state: PageState) -> Query:
    """The state's question: over time or by its dimensions, the largest values and what is left as 'Other'."""
    query = _compared_query(asked, state)
    split = state.by if state.over_time else state.by[1:]
    return query.with_(comparison=None) if split else query  # two things told apart leave no room to show what was


def usual_title(state: PageState) -> str:
    """The metric with its unit, and the first dimension."""
    return title_of(metric(state.metric), state.by[0] if state.by else None)


@dataclass(frozen=True)
class Drawing:
    """What a chart is drawn from. `data` are the rows of `frame`, with figures missing where a bucket has not begun.

    The columns are those of `nebuloviz.services.interfaces.Frame.data`. `expected` is the range that is normal, `ahead` a
    forecast as `figures.ahead` draws it, or None; `marks` say what was unusual, `planned` what the calendar says.
    """

    frame: Frame
    data: pd.DataFrame
    state: PageState
    style: Style
    expected: pd.DataFrame | None = None
    marks: Sequence[AnomalyMark] = ()
    ahead: pd.DataFrame | None = None
    planned: Sequence[PlannedMark] = ()

    @property
    def metric(self) -> Metric:
        """The metric that the chart is about."""
        return metric(self.state.metric)

    @property
    def grain(self) -> Grain:
        return self.frame.query.grain or "day"

    @property
    def by(self) -> str | None:
        """The first dimension told apart, if any."""
        return self.state.by[0] if self.state.by else None


@dataclass(frozen=True)
class Chart:
    """A way to show an answer.

    `suits` says for which questions; the first chart of `CHARTS` that suits is the usual one. `draw` gives a figure, or a
    component to stand in its place. `icon` is a name of Bootstrap Icons. `metrics` is 2 for a chart of one metric against
    another (see `pair`); `expected` asks for the range that is normal, where the question is one line over time.
    `shape` says how its table and its file arrange the rows, where that is not a row of the answer a line. A chart that `spares`
    draws no 'Other' that would press all else to the floor: what that comes to is told in words.
    """

    slug: str
    label: LazyText
    icon: str
    suits: Callable[[PageState], bool]
    draw: Callable[[Drawing], go.Figure | Component]
    ask: Callable[[Asking, PageState], Query] = usual_query
    title: Callable[[PageState], str] = usual_title
    metrics: int = 1
    expected: bool = False
    spares: bool = False
    shape: Callable[[PageState], Shape | None] = lambda _state: None


def pair(state: PageState) -> tuple[str, str]:
    """The two metrics of a scatter: the chosen second one, or one that tells something beside the first."""
    if len(state.metrics) == 2:
        return state.metrics[0], state.metrics[1]
    other = next(item.slug for item in METRICS if item.slug != state.metric)
    return state.metric, "orders" if state.metric != "orders" else other


def additive(state: PageState) -> bool:
    """Whether the metric's values of parts add up to the whole's, so that they can be stacked."""
    return metric(state.metric).additive


# ---------------------------------------------------------------- what the built-in ones ask


def _compared_query(asked: Asking, state: PageState) -> Query:
    order = f"-{state.metric}"
    if len(state.by) == 2 and not state.over_time:
        return asked.query(dimensions=state.by, limit=MAX_COMBINATIONS, other=additive(state), order=order)
    if not state.by:
        return asked.query(grain="fitting")
    split = {"dimensions": state.by[:1], "limit": state.top, "other": additive(state), "order": order}
    return asked.query(grain="fitting", **split) if state.over_time else asked.query(**split)


def _heat_query(asked: Asking, state: PageState) -> Query:
    """Of two dimensions all that there is between the largest values of each, so that no cell looks empty where there are sales."""
    if state.over_time:
        return asked.hours()
    query = usual_query(asked, state).with_(limit=None, other=False)
    return query.with_(filters=(*query.filters, *(_largest_of(asked, query, slug, state.top) for slug in state.by)))


def _largest_of(asked: Asking, query: Query, slug: str, top: int) -> Filter:
    values = asked.frame(query.with_(dimensions=(slug,), limit=top)).data[slug]
    return Filter(slug, "in", tuple(values) or (OTHER,))  # no sale has that


def _pair_query(asked: Asking, state: PageState) -> Query:
    return asked.query(metrics=pair(state), dimensions=state.by[:1], limit=state.top, order=f"-{state.metric}")


def _pair_title(state: PageState) -> str:
    across, up = (metric(slug) for slug in pair(state))
    return _("{up} against {across}", up=title_of(up), across=title_of(across))


# ---------------------------------------------------------------- how they are drawn


def _line(of: Drawing) -> go.Figure:
    return _trend(of, "line")


def _area(of: Drawing) -> go.Figure:
    if of.by:
        return stacked(of.data, of.metric, of.by, of.grain, kind="area", style=of.style)
    return _trend(of, "area")


def _trend(of: Drawing, kind: Literal["line", "area"]) -> go.Figure:
    banded = of.data if of.by else common.with_expected(of.data, of.expected, of.metric.slug)
    said: dict[str, Any] = {"anomalies": of.marks, "ahead": of.ahead, "planned": of.planned, "style": of.style}
    return trend(banded, of.metric, of.grain, split=of.by, kind=kind, **said)


def _bar(of: Drawing) -> go.Figure:
    if of.by is None:
        return columns(of.data, of.metric, of.grain, style=of.style)
    return common.pale_others(bars(of.data, of.metric, of.by, style=of.style), of.state.values_of(of.by), of.style)


def _stacked(of: Drawing) -> go.Figure:
    return stacked(of.data, of.metric, of.state.by[0], of.grain, kind="bar", style=of.style)


def _heat_map(of: Drawing) -> go.Figure:
    if of.state.over_time:
        return heat_map(of.data, of.metric, style=of.style)
    return matrix(largest(of.data, of.state.by, of.state.metric, of.state.top), of.metric, of.state.by, style=of.style)


def _treemap(of: Drawing) -> go.Figure:
    return treemap(of.data, of.metric, of.state.by, style=of.style)


def _scatter(of: Drawing) -> go.Figure:
    across, up = (metric(slug) for slug in pair(of.state))
    return scatter(of.data, across, up, of.state.by[0], size=of.metric, style=of.style)


def _table(of: Drawing) -> Component:
    return frame_grid(of.frame, of.data, _TABLE_HEIGHT)


CHARTS: list[Chart] = [
    Chart("line", lazy("Line"), "graph-up", lambda state: state.over_time, _line, expected=True, spares=True),
    Chart(
        "area",
        lazy("Area"),
        "activity",
        lambda state: state.over_time and (not state.by or additive(state)),
        _area,
        expected=True,
    ),
    Chart("bar", lazy("Bars"), "bar-chart", lambda state: len(state.by) == (0 if state.over_time else 1), _bar),
    Chart(
        "stacked",
        lazy("Stacked"),
        "bar-chart-steps",
        lambda state: state.over_time and bool(state.by) and additive(state),
        _stacked,
    ),
    Chart(
        "heatmap",
        lazy("Heat map"),
        "grid-3x3",
        lambda state: len(state.by) == (0 if state.over_time else 2),
        _heat_map,
        ask=_heat_query,
        shape=lambda state: "week" if state.over_time else "pairs",
    ),
    Chart("treemap", lazy("Treemap"), "columns-gap", lambda state: not state.over_time and additive(state), _treemap),
    Chart(
        "scatter",
        lazy("Scatter"),
        "dot",
        lambda state: not state.over_time and len(state.by) == 1,
        _scatter,
        ask=_pair_query,
        title=_pair_title,
        metrics=2,
    ),
    Chart("table", lazy("Table"), "table", lambda _state: True, _table, ask=_compared_query),
]


def add_chart(entry: Chart) -> None:
    """Let Explore offer `entry` like the built-in charts, after them.

    Raises:
        ConfigurationError: its slug is taken or malformed.
    """
    if not _SLUG.fullmatch(entry.slug):
        raise ConfigurationError(f"A chart's slug is made of a to z and _, as in 'slope'; {entry.slug!r} is not.")
    if any(known.slug == entry.slug for known in CHARTS):
        raise ConfigurationError(f"There is a chart {entry.slug!r} already; choose another slug.")
    CHARTS.append(entry)
