"""Figures of parts: bars, treemap, and the heat map of weekday and hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _, current, percent
from nebuloviz.i18n.formats import locale
from nebuloviz.metrics.registry import Metric
from nebuloviz.web.figures.axes import hour_step, hour_text, value_axis
from nebuloviz.web.figures.base import Drawing, Style, drawing, empty, mark
from nebuloviz.web.figures.series import by_size
from nebuloviz.web.figures.text import (
    difference_text,
    escape,
    shorten,
    title_of,
    unit_text,
    value_labels,
    value_text,
)
from nebuloviz.web.theme import comparison_color, contrast, heat_scale, mix

_BAR_HEIGHT = 28
#: Large areas are drawn a little paler than lines and bars of the same value.
_SOFTER = 0.2
#: What a letter beside a bar takes of the width that a narrow chart has for its bars.
_LETTER_SHARE = 0.024


def bars(frame: pd.DataFrame, metric: Metric, dimension: str, *, style: Style | None = None) -> go.Figure:
    """`metric` by `dimension` as horizontal bars from zero, largest on top, 'Other' at the bottom; comparison as a ghost.

    `frame` has one row per value. The figure's height follows the number of bars.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric, dimension), style, _("No sales in this range"))
    values = by_size(frame, dimension, metric.slug)
    rows = frame.drop_duplicates(dimension).set_index(dimension).reindex(values)
    labels, colors = value_labels(frame, dimension), style.colors(dimension, values)
    drawn = drawing(
        title_of(metric, dimension), style, hovermode="closest", barmode="overlay", bargap=0.3, dragmode=False,
        height=_BAR_HEIGHT * len(values) + 12,
    )  # fmt: skip
    before = rows.get(f"{metric.slug}:comparison")
    if before is not None:
        ghosts = [comparison_color(colors[value], style.theme) for value in values]
        _add_ghosts(drawn, values, before.tolist(), ghosts)
    _add_bars(drawn, values, rows, metric, labels, colors, style)
    drawn.y_axis(
        type="category", categoryorder="array", categoryarray=values[::-1], tickmode="array", tickvals=values,
        ticktext=[escape(shorten(labels[value])) for value in values],
        showgrid=False, fixedrange=True, tickfont={"color": style.tokens.text, "size": 12},
    )  # fmt: skip
    _bar_axis(drawn, metric, [*rows[metric.slug], *(before if before is not None else [])], style)
    return drawn.done()


def _add_ghosts(drawn: Drawing, values: list[str], before: list[float], colors: list[str]) -> None:
    drawn.add("bar",
        y=values, x=before, orientation="h", width=0.78, hoverinfo="skip",
        marker={"color": colors, "opacity": 0.45, "line": {"width": 0}},
    )  # fmt: skip


def _add_bars(
    drawn: Drawing,
    values: list[str],
    rows: pd.DataFrame,
    metric: Metric,
    labels: dict[str, str],
    colors: dict[str, str],
    style: Style,
) -> None:
    amounts = [float(amount) for amount in rows[metric.slug]]
    dimension = str(rows.index.name)
    before = rows.get(f"{metric.slug}:comparison", pd.Series(math.nan, index=rows.index))
    hovers = [
        _part_hover(labels[value], metric, amount, float(earlier), style)
        for value, amount, earlier in zip(values, amounts, before, strict=True)
    ]
    drawn.add("bar",
        y=values, x=amounts, orientation="h", width=0.5,
        marker={"color": [colors[value] for value in values], "line": {"width": 0}},
        customdata=[mark(None, ((dimension, value),), None, hover) for value, hover in zip(values, hovers, strict=True)],
        hovertemplate="%{customdata[3]}<extra></extra>",
        text=[value_text(metric, amount, short=True) for amount in amounts],
        textposition="outside", textangle=0, cliponaxis=False, textfont={"color": style.tokens.muted, "size": 11},
    )  # fmt: skip


def _bar_axis(drawn: Drawing, metric: Metric, amounts: Sequence[float], style: Style) -> None:
    """No ticks, for each bar bears its value; room for that on the right, and a line at zero."""
    axis = value_axis(metric, amounts)
    low, high = axis["range"]
    room = max(0.16, _LETTER_SHARE * max(len(value_text(metric, amount, short=True)) for amount in amounts))
    drawn.x_axis(
        range=[low, high + (high - low) * room], visible=True, showticklabels=False, showgrid=False, fixedrange=True,
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
    colors = {
        value: mix(color, style.tokens.raised, _SOFTER) for value, color in style.colors(dimensions[0], outer).items()
    }
    nodes = [node for depth in range(1, len(dimensions) + 1) for node in _nodes(kept, metric, dimensions[:depth])]
    total = float(kept[metric.slug].sum())
    drawn.add(
        "treemap",
        ids=[node["id"] for node in nodes],
        parents=[node["parent"] for node in nodes],
        labels=[escape(shorten(node["label"], 40)) for node in nodes],
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
        insidetextfont={"size": 12, "color": [readable(colors[node["path"][0][1]], style) for node in nodes]},
        pathbar={"visible": False, "textfont": {"size": 12, "color": style.tokens.text}},
        root={"color": "rgba(0,0,0,0)"},
        sort=True,
        tiling={"pad": 2, "packing": "squarify"},
    )
    return drawn.done()


def readable(color: str, style: Style) -> str:
    """Of the theme's text and card colours the one that reads better on `color`."""
    return max((style.tokens.text, style.tokens.raised), key=lambda ink: contrast(ink, color))


def _nodes(frame: pd.DataFrame, metric: Metric, dimensions: Sequence[str]) -> list[dict[str, Any]]:
    """The nodes at the depth of `dimensions`; ids hold the raw values, so equal labels stay apart."""
    labels = value_labels(frame, dimensions[-1])
    sums = frame.groupby(list(dimensions), sort=False, observed=True)[metric.slug].sum()
    nodes = []
    for key, amount in sums.items():
        values = [str(value) for value in key] if isinstance(key, tuple) else [str(key)]
        nodes.append(
            {
                "id": "\x1f".join(values),
                "parent": "\x1f".join(values[:-1]),
                "label": labels[values[-1]],
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
    title = heat_map_title(metric)
    if frame.empty:
        return empty(title, style, _("No sales in this range"))
    table = weekday_hours(frame, metric)
    week = [(current().week_start + step) % 7 for step in range(7)]
    names = [str(locale().days["stand-alone"]["abbreviated"][day]) for day in week]
    hours, ticks, cells = list(range(24)), list(range(0, 24, hour_step())), table.to_numpy()
    clock = [f"{hour_text(hour)}–{hour_text(hour + 1)}" for hour in hours]
    drawn = drawing(title, style, hovermode="closest", dragmode=False)
    drawn.add(
        "heatmap",
        x=hours,
        y=names,
        z=[[_or_none(cells[day][hour]) for hour in hours] for day in week],
        customdata=[[_cell_text(cells[day][hour], day, clock[hour], metric) for hour in hours] for day in week],
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=heat_scale(style.theme),
        zmin=0 if metric.unit != "ratio" else None,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        colorbar=_color_bar(table, metric, style),
    )
    drawn.x_axis(
        tickmode="array", tickvals=ticks, ticktext=[hour_text(hour) for hour in ticks], fixedrange=True,
        tickangle=0,
    )  # fmt: skip
    drawn.y_axis(autorange="reversed", showgrid=False, fixedrange=True, type="category")
    return drawn.done()


def heat_map_title(metric: Metric) -> str:
    """The title of a heat map: "Revenue per hour and weekday, USD"."""
    named = _("{metric} per hour and weekday", metric=metric.label)
    unit = unit_text(metric)
    return _("{metric}, {unit}", metric=named, unit=unit) if unit else named


def weekday_hours(frame: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Mean of `metric` by weekday (0 = Monday, 7 rows) and hour (24 columns); NaN where there is nothing."""
    whole = frame[~frame["unfinished"].astype(bool)] if "unfinished" in frame else frame
    clock = whole["bucket"].dt
    timed = pd.DataFrame({"weekday": clock.day_of_week, "hour": clock.hour, "value": whole[metric.slug]})
    means = timed.pivot_table(index="weekday", columns="hour", values="value", aggfunc="mean")
    return means.reindex(index=range(7), columns=range(24))


def _or_none(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cell_text(value: float, day: int, hours: str, metric: Metric) -> str:
    name = str(locale().days["stand-alone"]["wide"][day])
    return f"{name} {hours}<br><b>{value_text(metric, float(value))}</b>"


def _color_bar(table: pd.DataFrame, metric: Metric, style: Style) -> dict[str, Any]:
    most = float(table.max().max())
    least = float(table.min().min()) if metric.unit == "ratio" else 0.0
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
