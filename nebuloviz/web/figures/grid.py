"""Figures on a grid: bars over time, and a table of two dimensions drawn as colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.shown import pair_matrix
from nebuloviz.services.wording import value_text
from nebuloviz.web.figures.axes import time_axis, value_axis, wall
from nebuloviz.web.figures.base import Style, drawing, empty, mark
from nebuloviz.web.figures.text import (
    difference_text,
    escape,
    short_labels,
    shorten,
    title_of,
)
from nebuloviz.web.theme import comparison_color, heat_scale

_CELL_HEIGHT = 26


def columns(frame: pd.DataFrame, metric: Metric, grain: str, *, style: Style | None = None) -> go.Figure:
    """`metric` over time as bars from zero; the comparison as a ghost behind each, the unfinished bucket hatched."""
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric), style, _("No sales in this range"))
    rows = frame.sort_values("bucket")
    at, color = wall(rows["bucket"]), style.tokens.series[0]
    drawn = drawing(title_of(metric), style, hovermode="x unified", barmode="overlay", bargap=0.25, hoverdistance=-1)
    before = rows.get(f"{metric.slug}:comparison", pd.Series(math.nan, index=rows.index)).tolist()
    drawn.add(
        "bar", x=at, y=before, marker={"color": comparison_color(color, style.theme), "opacity": 0.4}, hoverinfo="skip"
    )
    running = rows["unfinished"].tolist() if "unfinished" in rows else [False] * len(rows)
    values = rows[metric.slug].astype(float).tolist()
    drawn.add(
        "bar",
        x=at,
        y=values,
        width=None,
        marker={"color": color, "pattern": {"shape": ["/" if still else "" for still in running], "size": 5}},
        customdata=[
            mark(bucket.to_pydatetime(), (), None, _column_text(metric, value, earlier, style, still=still))
            for bucket, value, earlier, still in zip(rows["bucket"], values, before, running, strict=True)
        ],
        hovertemplate="%{customdata[3]}<extra></extra>",
    )
    drawn.x_axis(time_axis(at, grain, bars=True), showspikes=False)
    drawn.y_axis(value_axis(metric, [*values, *before]))
    return drawn.done()


def _column_text(metric: Metric, value: float, before: float, style: Style, *, still: bool) -> str:
    parts = [f"<b>{value_text(metric, value)}</b>", difference_text(metric, value, before, style.comparison)]
    return " · ".join(part for part in [*parts, _("so far") if still else ""] if part)


def matrix(frame: pd.DataFrame, metric: Metric, dimensions: Sequence[str], *, style: Style | None = None) -> go.Figure:
    """`metric` of each combination of two dimensions as colours: the first down, the second across, the largest first."""
    style = style or Style()
    title = title_of(metric, dimensions[0])
    if frame.empty:
        return empty(title, style, _("No sales in this range"))
    pairs = pair_matrix(frame, dimensions, metric.slug)
    down, across = pairs.rows, pairs.columns
    names = [
        dict(zip(down, pairs.row_words, strict=True)),
        dict(zip(across, pairs.column_words, strict=True)),
    ]
    short = short_labels(names[0]), short_labels(names[1], 14)
    cells = pairs.cells
    drawn = drawing(title, style, hovermode="closest", dragmode=False, height=_CELL_HEIGHT * max(len(down), 6) + 60)
    drawn.add(
        "heatmap",
        x=across,
        y=down,
        z=[[None if math.isnan(value) else float(value) for value in row] for row in cells],
        customdata=[
            [
                mark(
                    None,
                    ((dimensions[0], one), (dimensions[1], other)),
                    None,
                    _cell_text(names[0][one], names[1][other], metric, float(value)),
                )
                for other, value in zip(across, row, strict=True)
            ]
            for one, row in zip(down, cells, strict=True)
        ],
        hovertemplate="%{customdata[3]}<extra></extra>",
        colorscale=heat_scale(style.theme),
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
    )
    drawn.x_axis(
        type="category", tickmode="array", tickvals=across, side="top", fixedrange=True,
        ticktext=[escape(short[1][value]) for value in across],
    )  # fmt: skip
    drawn.y_axis(
        type="category", autorange="reversed", tickmode="array", tickvals=down, showgrid=False, fixedrange=True,
        ticktext=[escape(short[0][value]) for value in down],
    )  # fmt: skip
    return drawn.done()


def _cell_text(one: str, other: str, metric: Metric, value: float) -> str:
    return f"{escape(shorten(one, 80))} · {escape(shorten(other, 80))}<br><b>{value_text(metric, value)}</b>"
