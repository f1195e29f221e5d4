"""Stacked bars and areas over time."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.shown import by_size, value_labels
from nebuloviz.web.figures.axes import time_axis, value_axis, wall
from nebuloviz.web.figures.base import Drawing, Style, drawing, empty, mark
from nebuloviz.web.figures.series import Series, hover_text
from nebuloviz.web.figures.text import escape, shorten, title_of
from nebuloviz.web.theme import alpha


def stacked(
    frame: pd.DataFrame,
    metric: Metric,
    dimension: str,
    grain: str,
    *,
    kind: Literal["bar", "area"] = "bar",
    style: Style | None = None,
) -> go.Figure:
    """An additive `metric` over time as bars (or areas) stacked by `dimension`: the largest at the bottom, 'Other' on top.

    `frame` has `bucket`, the dimension and the metric; combinations that are missing count as zero.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric, dimension), style, _("No sales in this range"))
    values = by_size(frame, dimension, metric.slug)
    colors, labels = style.colors(dimension, values), value_labels(frame, dimension)
    table = _wide(frame, metric, dimension, values)
    drawn = drawing(
        title_of(metric, dimension), style, hovermode="x unified", barmode="relative", bargap=0.25, hoverdistance=-1
    )
    running = _running(frame, table)
    for value in values:
        add = _add_area if kind == "area" else _add_bars
        line = Series(table, colors[value], labels[value], ((dimension, value),))
        add(drawn, line, value, metric, running)
    drawn.x_axis(time_axis(wall(table.index.to_series()), grain, bars=kind == "bar"), showspikes=False)
    drawn.y_axis(value_axis(metric, [*table.clip(lower=0).sum(axis=1), *table.clip(upper=0).sum(axis=1)]))
    drawn.layout["showlegend"] = True
    return drawn.done()


def _wide(frame: pd.DataFrame, metric: Metric, dimension: str, values: list[str]) -> pd.DataFrame:
    """Buckets down, values across, nothing missing."""
    table = frame.pivot_table(index="bucket", columns=dimension, values=metric.slug, aggfunc="sum", observed=True)
    return table.reindex(columns=values).fillna(0.0).sort_index()


def _running(frame: pd.DataFrame, table: pd.DataFrame) -> list[bool]:
    if "unfinished" not in frame:
        return [False] * len(table)
    ends = frame.groupby("bucket")["unfinished"].any()
    return [bool(ends.get(bucket, False)) for bucket in table.index]


def _stack_marks(line: Series, value: str, metric: Metric, running: list[bool]) -> list[list[Any]]:
    marks = []
    for (bucket, amount), unfinished in zip(line.rows[value].items(), running, strict=True):
        row = {metric.slug: amount, "unfinished": unfinished}
        text = hover_text(row, line, metric, Style(), dot=False)
        marks.append(mark(pd.Timestamp(str(bucket)).to_pydatetime(), line.filters, None, text))
    return marks


def _add_bars(drawn: Drawing, line: Series, value: str, metric: Metric, running: list[bool]) -> None:
    drawn.add(
        "bar",
        x=wall(line.rows.index.to_series()),
        y=line.rows[value].tolist(),
        customdata=_stack_marks(line, value, metric, running),
        marker={
            "color": line.color,
            "line": {"width": 0},
            "pattern": {
                "shape": ["/" if part else "" for part in running],
                "size": 6,
                "solidity": 0.55,
                "fillmode": "replace",
            },
        },
        hovertemplate="%{customdata[3]}<extra></extra>",
        name=escape(shorten(line.label)),
    )


def _add_area(drawn: Drawing, line: Series, value: str, metric: Metric, running: list[bool]) -> None:
    drawn.add(
        "scatter",
        x=wall(line.rows.index.to_series()),
        y=line.rows[value].tolist(),
        customdata=_stack_marks(line, value, metric, running),
        mode="lines",
        stackgroup="all",
        line={"color": line.color, "width": 1},
        fillcolor=alpha(line.color, 0.72),
        hovertemplate="%{customdata[3]}<extra></extra>",
        name=escape(shorten(line.label)),
    )
