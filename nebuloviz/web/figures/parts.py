"""Figures of parts: bars, treemap, and the heat map of weekday and hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _, hour_label, percent, weekday_name
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.shown import by_size, value_labels, week_matrix
from nebuloviz.services.wording import value_text
from nebuloviz.web.figures.axes import hour_step, value_axis
from nebuloviz.web.figures.base import Drawing, Style, drawing, empty, mark
from nebuloviz.web.figures.margins import text_width
from nebuloviz.web.figures.text import (
    difference_text,
    escape,
    short_labels,
    shorten,
    title_of,
    with_unit,
)
from nebuloviz.web.theme import comparison_color, contrast, heat_scale, mix

_BAR_HEIGHT = 28
#: Large areas are drawn a little paler than lines and bars of the same value.
_SOFTER = 0.2
MAX_AREA_LABEL_LENGTH = 40
_READABLE = 4.5  # the least contrast of text that WCAG 2.2 takes for enough
_VALUE_SIZE = 11
_NEGATIVE_ROOM = 0.22  # of the axis, for values of bars that reach to the left
_VALUE_STANDOFF = 8  # pixels between a bar and its value, and behind that


def bars(frame: pd.DataFrame, metric: Metric, dimension: str, *, style: Style | None = None) -> go.Figure:
    """`metric` by `dimension` as horizontal bars from zero, largest on top, 'Other' at the bottom; comparison as a ghost.

    `frame` has one row per value. The figure's height follows the number of bars.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric, dimension), style, _("No sales in this range"))
    values = by_size(frame, dimension, metric.slug)
    amounts, before = (_amounts(frame, dimension, name, values) for name in (metric.slug, f"{metric.slug}:comparison"))
    labels, colors = value_labels(frame, dimension), style.colors(dimension, values)
    short = short_labels(labels)
    drawn = drawing(
        title_of(metric, dimension), style, hovermode="closest", barmode="overlay", bargap=0.3, dragmode=False,
        height=_BAR_HEIGHT * len(values) + 12,
    )  # fmt: skip
    if before:
        ghosts = [comparison_color(colors[value], style.theme) for value in values]
        _add_ghosts(drawn, values, before, ghosts)
    marks = [
        mark(None, ((dimension, value),), None, _part_hover(labels[value], metric, amount, earlier, style))
        for value, amount, earlier in zip(values, amounts, before or [math.nan] * len(values), strict=True)
    ]
    _add_bars(drawn, values, amounts, marks, metric, [colors[value] for value in values], style)
    drawn.y_axis(
        type="category", categoryorder="array", categoryarray=values[::-1], tickmode="array", tickvals=values,
        ticktext=[escape(short[value]) for value in values],
        showgrid=False, fixedrange=True, tickfont={"color": style.tokens.text, "size": 12},
    )  # fmt: skip
    _bar_axis(drawn, metric, [*amounts, *(before or [])], style)
    return drawn.done()


def _add_ghosts(drawn: Drawing, values: list[str], before: list[float], colors: list[str]) -> None:
    drawn.add("bar",
        y=values, x=before, orientation="h", width=0.78, hoverinfo="skip",
        marker={"color": colors, "opacity": 0.45, "line": {"width": 0}},
    )  # fmt: skip


def _amounts(frame: pd.DataFrame, dimension: str, measured: str, values: list[str]) -> list[float]:
    """What is in the column `measured` for each of `values`; nothing where there is no such column."""
    if measured not in frame:
        return []
    found: dict[str, float] = {}
    for value, amount in zip(frame[dimension].tolist(), frame[measured].tolist(), strict=True):
        found.setdefault(value, float(amount))
    return [found[value] for value in values]


def _add_bars(
    drawn: Drawing,
    values: list[str],
    amounts: list[float],
    marks: list[Any],
    metric: Metric,
    colors: list[str],
    style: Style,
) -> None:
    drawn.add("bar",
        y=values, x=amounts, orientation="h", width=0.5,
        marker={"color": colors, "line": {"width": 0}},
        customdata=marks,
        hovertemplate="%{customdata[3]}<extra></extra>",
        text=[value_text(metric, amount, short=True) for amount in amounts],
        textposition="outside", textangle=0, cliponaxis=False, textfont={"color": style.tokens.muted, "size": _VALUE_SIZE},
    )  # fmt: skip


def _bar_axis(drawn: Drawing, metric: Metric, amounts: Sequence[float], style: Style) -> None:
    """No ticks, for each bar bears its value, which has its room beside the drawing; and a line at zero."""
    widths = [text_width(value_text(metric, amount, short=True), _VALUE_SIZE) for amount in amounts]
    drawn.layout["margin"] = {"r": max(widths) + _VALUE_STANDOFF}
    low, high = value_axis(metric, amounts, headroom=0.0)["range"]
    if min((amount for amount in amounts if math.isfinite(amount)), default=0) < 0:  # its value stands before its bar
        low -= (high - low) * _NEGATIVE_ROOM
    drawn.x_axis(
        range=[low, high],
        visible=True, showticklabels=False, showgrid=False, fixedrange=True,
        zeroline=True, zerolinecolor=style.tokens.line_strong,
    )  # fmt: skip


def _part_hover(label: str, metric: Metric, value: float, before: float, style: Style) -> str:
    parts = [f"{escape(shorten(label, 80))}", f"<b>{value_text(metric, value)}</b>"]
    return "<br>".join([*parts, *filter(None, [difference_text(metric, value, before, style.comparison)])])


def treemap(frame: pd.DataFrame, metric: Metric, dimensions: Sequence[str], *, style: Style | None = None) -> go.Figure:
    """An additive `metric` as nested areas, by one dimension or by several, outermost first.

    `frame` has one row per combination. What is zero or negative has no area and is left out.
    """
    style = style or Style()
    title = title_of(metric, dimensions[0])
    kept = frame[frame[metric.slug] > 0] if not frame.empty else frame
    if kept.empty:
        return empty(title, style, _("No sales in this range"))
    drawn = drawing(
        title,
        style,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        hovermode="closest",
        uniformtext={"minsize": 11, "mode": "hide"},
    )
    outer = by_size(kept, dimensions[0], metric.slug)
    colors = {value: area_color(color, style) for value, color in style.colors(dimensions[0], outer).items()}
    nodes = [node for depth in range(1, len(dimensions) + 1) for node in _nodes(kept, metric, dimensions[:depth])]
    total = float(kept[metric.slug].sum())
    inks = [readable(colors[node["path"][0][1]], style) for node in nodes]
    drawn.add(
        "treemap",
        ids=[node["id"] for node in nodes],
        parents=[node["parent"] for node in nodes],
        labels=[escape(node["short"]) for node in nodes],
        values=[node["amount"] for node in nodes],
        text=[value_text(metric, node["amount"], short=True) for node in nodes],
        customdata=[_node_mark(node, metric, total) for node in nodes],
        branchvalues="total",
        textinfo="label+text",
        hovertemplate="%{customdata[3]}<extra></extra>",
        marker={
            "colors": [colors[node["path"][0][1]] for node in nodes],
            "line": {"width": 1.5, "color": style.tokens.raised},
            "cornerradius": 3,
            "pad": {"t": 20, "l": 2, "r": 2, "b": 2} if len(dimensions) > 1 else {"t": 0, "l": 0, "r": 0, "b": 0},
        },
        insidetextfont={"size": 12, "color": inks},
        outsidetextfont={"size": 12, "color": inks},  # of an area that is alone; it is drawn inside all the same
        pathbar={"visible": False, "textfont": {"size": 12, "color": style.tokens.text}},
        root={"color": "rgba(0,0,0,0)"},
        sort=True,
        tiling={"pad": 2, "packing": "squarify"},
    )
    return drawn.done()


def area_color(color: str, style: Style) -> str:
    """`color` a little paler, and as much more as it takes for words on it to be read."""
    shades = [mix(color, style.tokens.raised, share / 20) for share in range(round(_SOFTER * 20), 20)]
    return next(shade for shade in shades if contrast(readable(shade, style), shade) >= _READABLE)


def readable(color: str, style: Style) -> str:
    """Of the theme's text and card colours the one that reads better on `color`."""
    return max((style.tokens.text, style.tokens.raised), key=lambda ink: contrast(ink, color))


def _nodes(frame: pd.DataFrame, metric: Metric, dimensions: Sequence[str]) -> list[dict[str, Any]]:
    """The nodes at the depth of `dimensions`; ids hold the raw values, so equal labels stay apart."""
    labels = value_labels(frame, dimensions[-1])
    short = short_labels(labels, MAX_AREA_LABEL_LENGTH)
    sums = frame.groupby(list(dimensions), sort=False, observed=True)[metric.slug].sum()
    nodes = []
    for key, amount in sums.items():
        values = [str(value) for value in key] if isinstance(key, tuple) else [str(key)]
        nodes.append(
            {
                "id": "\x1f".join(values),
                "parent": "\x1f".join(values[:-1]),
                "label": labels[values[-1]],
                "short": short[values[-1]],
                "amount": float(amount),
                "path": tuple(zip(dimensions, values, strict=True)),
            }
        )
    return nodes


def _node_mark(node: dict[str, Any], metric: Metric, total: float) -> list[Any]:
    share = _("{percent} of all", percent=percent(node["amount"] / total))
    text = f"{escape(shorten(node['label'], 80))}<br><b>{value_text(metric, node['amount'])}</b> · {share}"
    return mark(None, node["path"], None, text)


def heat_map(frame: pd.DataFrame, metric: Metric, *, style: Style | None = None) -> go.Figure:
    """The mean of `metric` in an hour, by weekday (down, from the reader's first) and hour of day (across).

    `frame` has a `bucket` per hour, in the viewer's zone; hours that it lacks do not count. An unfinished hour is left out.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric), style, _("No sales in this range"))
    week = week_matrix(frame, metric.slug)
    hours, ticks = list(range(24)), list(range(0, 24, hour_step()))
    clock = [f"{hour_label(hour)}–{hour_label(hour + 1)}" for hour in hours]
    drawn = drawing(with_unit(week.title, metric), style, hovermode="closest", dragmode=False)
    drawn.add(
        "heatmap",
        x=hours,
        y=week.row_words,
        z=[[_or_none(value) for value in row] for row in week.cells],
        customdata=[
            [_cell_text(value, weekday_name(int(day), "wide"), clock[hour], metric) for hour, value in enumerate(row)]
            for day, row in zip(week.rows, week.cells, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=heat_scale(style.theme),
        zmin=0 if metric.unit != "ratio" else None,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        colorbar=_color_bar(week.cells, metric, style),
    )
    drawn.x_axis(
        tickmode="array", tickvals=ticks, ticktext=[week.column_words[hour] for hour in ticks], fixedrange=True,
        tickangle=0,
    )  # fmt: skip
    drawn.y_axis(
        tickmode="array", tickvals=week.row_words, ticktext=week.row_words, autorange="reversed", showgrid=False,
        fixedrange=True, type="category",
    )  # fmt: skip
    return drawn.done()


def _or_none(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cell_text(value: float, day: str, hours: str, metric: Metric) -> str:
    return f"{day} {hours}<br><b>{value_text(metric, float(value))}</b>"


def _color_bar(cells: np.ndarray, metric: Metric, style: Style) -> dict[str, Any]:
    known = cells[np.isfinite(cells)]
    most = float(known.max()) if known.size else math.nan
    least = float(known.min()) if known.size and metric.unit == "ratio" else 0.0
    return {
        "thickness": 8,
        "len": 0.7,
        "outlinewidth": 0,
        "tickvals": [least, most],
        "ticktext": [value_text(metric, least, short=True), value_text(metric, most, short=True)],
        "tickfont": {"size": 11, "color": style.tokens.muted},
        "x": 1.0,
        "xpad": 6,
    }
