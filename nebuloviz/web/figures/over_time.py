"""Figures over time: trend, sparkline, stacked bars and areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _
from nebuloviz.services.interfaces import OTHER
from nebuloviz.web.figures.axes import time_axis, value_axis, wall
from nebuloviz.web.figures.base import AnomalyMark, Severity, Style, empty, figure, mark
from nebuloviz.web.figures.text import (
    LONGEST_DIRECT_LABEL,
    MetricLike,
    difference_text,
    escape,
    metric_columns,
    shorten,
    title_of,
    value_labels,
    value_text,
)
from nebuloviz.web.theme import alpha, comparison_color

MOST_DIRECT_LABELS = 4
#: Plot height, in pixels, that labels beside lines are kept apart for.
_USUAL_HEIGHT, _LABEL_HEIGHT, _LETTER_WIDTH = 240, 15, 6.6
_RINGS: dict[Severity, tuple[str, int]] = {
    "low": ("circle-open", 10),
    "medium": ("circle-open", 12),
    "high": ("circle-open", 15),
    "critical": ("circle-open-dot", 16),
}


@dataclass(frozen=True, slots=True)
class _Series:
    """One line of a trend: its rows in time order, its colour and its label ('' where there is only one)."""

    rows: pd.DataFrame
    color: str
    label: str = ""
    filters: tuple[tuple[str, str], ...] = ()


def trend(
    frame: pd.DataFrame,
    metric: MetricLike,
    grain: str,
    *,
    split: str | None = None,
    kind: Literal["line", "area"] = "line",
    anomalies: Sequence[AnomalyMark] = (),
    style: Style | None = None,
) -> go.Figure:
    """`metric` over time as a line (or area), one per value of the dimension `split`.

    `frame` has `bucket` and the metric's column; drawn where present: `<metric>:comparison` lighter and dashed,
    `<metric>:low` and `<metric>:high` as the band of expected values (without split), `unfinished` dashed with 'so far'.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric, split), style, _("No sales in this range"))
    drawn = figure(title_of(metric, split), style, hovermode="x unified", dragmode="zoom", hoverdistance=60)
    series = _series(frame, split, style)
    if not split:
        _add_band(drawn, frame, metric, style)
    for line in series:
        _add_comparison(drawn, line, metric, style)
    for line in series:
        _add_line(drawn, line, metric, style, filled=kind == "area")
    _add_anomalies(drawn, anomalies, style, wall(frame["bucket"]))
    starts = sorted(wall(frame["bucket"]))
    drawn.update_xaxes(time_axis(starts, grain), spikecolor=style.tokens.line_strong)
    drawn.update_yaxes(
        value_axis(metric, _values(frame, metric, anomalies), zero=metric.unit != "ratio" or kind == "area")
    )
    _name_series(drawn, series, metric)
    return drawn


def _series(frame: pd.DataFrame, split: str | None, style: Style) -> list[_Series]:
    """The lines, the largest first and 'Other' last."""
    if split is None:
        return [_Series(frame.sort_values("bucket"), style.tokens.series[0])]
    values = by_size(frame, split)
    colors, labels = style.colors(split, values), value_labels(frame, split)
    return [
        _Series(frame[frame[split] == value].sort_values("bucket"), colors[value], labels[value], ((split, value),))
        for value in values
    ]


def by_size(frame: pd.DataFrame, dimension: str, column: str | None = None) -> list[str]:
    """The values of `dimension`, those with most in `column` (by default the first float column) first, 'Other' last."""
    measured = column or next(name for name in frame.columns if pd.api.types.is_float_dtype(frame[name]))
    sizes = (
        frame.groupby(dimension, sort=True, observed=True)[measured].sum().sort_values(ascending=False, kind="stable")
    )
    values = [str(value) for value in sizes.index]
    return [value for value in values if value != OTHER] + [value for value in values if value == OTHER]


def _values(frame: pd.DataFrame, metric: MetricLike, anomalies: Sequence[AnomalyMark] = ()) -> list[float]:
    known = [column for column in metric_columns(metric) if column in frame]
    return [*frame[known].to_numpy().ravel(), *(anomaly.value for anomaly in anomalies)]


def _add_band(drawn: go.Figure, frame: pd.DataFrame, metric: MetricLike, style: Style) -> None:
    *_ignored, low, high = metric_columns(metric)
    if low not in frame or high not in frame or not frame[low].notna().any():
        return
    known = frame.sort_values("bucket").dropna(subset=[low, high])
    at, edge = wall(known["bucket"]), {"width": 0, "shape": "linear"}
    common: dict[str, Any] = {"mode": "lines", "line": edge, "hoverinfo": "skip", "legendgroup": "band"}
    drawn.add_scatter(x=at, y=known[high].tolist(), showlegend=False, **common)
    drawn.add_scatter(
        x=at, y=known[low].tolist(), fill="tonexty", fillcolor=style.tokens.band, name=_("Expected range"), **common
    )


def _add_comparison(drawn: go.Figure, line: _Series, metric: MetricLike, style: Style) -> None:
    column = f"{metric.slug}:comparison"
    if column not in line.rows or not line.rows[column].notna().any():
        return
    drawn.add_scatter(
        x=wall(line.rows["bucket"]),
        y=line.rows[column].tolist(),
        mode="lines",
        line={"color": comparison_color(line.color, style.theme), "width": 1.5, "dash": "4px,3px"},
        hoverinfo="skip",
        name=escape(style.comparison or _("before")),
        legendgroup="comparison",
    )


def _add_line(drawn: go.Figure, line: _Series, metric: MetricLike, style: Style, *, filled: bool) -> None:
    """The finished part as a solid line; from its end to the unfinished bucket a dotted one with an open point."""
    rows = line.rows
    running = rows["unfinished"].to_numpy(dtype=bool) if "unfinished" in rows else None
    at, values = wall(rows["bucket"]), rows[metric.slug].tolist()
    ended = len(rows) if running is None or not running.any() else int(running.argmax())
    marks = [_mark(row, line, metric, style) for row in rows.to_dict("records")]
    hover = "%{customdata[3]}<extra></extra>"
    if ended:
        drawn.add_scatter(
            x=at[:ended],
            y=values[:ended],
            customdata=marks[:ended],
            mode="lines" if ended > 2 else "lines+markers",
            line={"color": line.color, "width": 2},
            fill="tozeroy" if filled else None,
            fillcolor=alpha(line.color, 0.14) if filled else None,
            hovertemplate=hover,
            name=escape(line.label or str(metric.label)),
            legendgroup=line.label,
        )
    if ended < len(rows):
        first = max(ended - 1, 0)
        drawn.add_scatter(
            x=at[first:],
            y=values[first:],
            customdata=marks[first:],
            mode="lines+markers",
            line={"color": line.color, "width": 2, "dash": "2px,3px"},
            marker=_open_points(line.color, style, len(rows) - first, hidden=ended - first),
            hovertemplate=[None] * (ended - first) + [hover] * (len(rows) - ended),
            hoverinfo=["skip"] * (ended - first) + ["all"] * (len(rows) - ended),
            name=_("So far"),
            legendgroup=line.label,
        )


def _open_points(color: str, style: Style, count: int, hidden: int) -> dict[str, Any]:
    sizes = [0] * hidden + [7] * (count - hidden)
    return {"size": sizes, "color": style.tokens.raised, "line": {"color": color, "width": 1.5}, "opacity": 1}


def _mark(row: dict[Any, Any], line: _Series, metric: MetricLike, style: Style) -> list[Any]:
    return mark(row["bucket"].to_pydatetime(), line.filters, None, _hover(row, line.label, metric, style))


def _hover(row: dict[Any, Any], label: str, metric: MetricLike, style: Style) -> str:
    """What the shared hover says of one point: value, so far, comparison with difference, expected range."""
    value = float(row[metric.slug])
    _ignored, before, low, high = metric_columns(metric)
    said = f"<b>{value_text(metric, value)}</b>"
    if row.get("unfinished"):
        said = _("{value} so far", value=said)
    if label:
        said = f"{escape(shorten(label))}  {said}"
    parts = [said, difference_text(metric, value, float(row.get(before, math.nan)), style.comparison)]
    if math.isfinite(row.get(low, math.nan)) and math.isfinite(row.get(high, math.nan)):
        expected = _("{low} to {high}", low=value_text(metric, row[low]), high=value_text(metric, row[high]))
        parts.append(_("expected {range}", range=expected))
    return "<br>".join(part for part in parts if part)


def severity_color(severity: Severity, style: Style) -> str:
    of = style.tokens
    return {"low": of.muted, "medium": of.warn, "high": of.bad, "critical": of.bad}[severity]


def severity_word(severity: Severity) -> str:
    return {"low": _("Low"), "medium": _("Medium"), "high": _("High"), "critical": _("Critical")}[severity]


def _add_anomalies(drawn: go.Figure, anomalies: Sequence[AnomalyMark], style: Style, starts: list[datetime]) -> None:
    """Rings; they stand on the viewer's clock, which is that of the frame's buckets."""
    if not anomalies or not starts:
        return
    symbols = [_RINGS[anomaly.severity] for anomaly in anomalies]
    drawn.add_scatter(
        x=wall(pd.Series([anomaly.bucket for anomaly in anomalies])),
        y=[anomaly.value for anomaly in anomalies],
        customdata=[mark(anomaly.bucket, (), anomaly.alert_id, _anomaly_text(anomaly)) for anomaly in anomalies],
        mode="markers",
        marker={
            "symbol": [symbol for symbol, _size in symbols],
            "size": [size for _symbol, size in symbols],
            "color": [severity_color(anomaly.severity, style) for anomaly in anomalies],
            "line": {"width": 2, "color": [severity_color(anomaly.severity, style) for anomaly in anomalies]},
        },
        hovertemplate="%{customdata[3]}<extra></extra>",
        name=_("Alert"),
        cliponaxis=False,
    )


def _anomaly_text(anomaly: AnomalyMark) -> str:
    return f"<b>{severity_word(anomaly.severity)}</b> {escape(shorten(anomaly.words, 80))}".rstrip()


def _name_series(drawn: go.Figure, series: list[_Series], metric: MetricLike) -> None:
    """Up to four lines are named beside their ends; more, or a single line with company, get a legend."""
    if len(series) == 1:
        drawn.update_layout(showlegend=len({trace.name for trace in drawn.data if trace.name}) > 1)
        return
    if len(series) > MOST_DIRECT_LABELS:
        drawn.update_layout(showlegend=True)
        drawn.for_each_trace(
            lambda trace: trace.update(showlegend=False),
            lambda trace: trace.name == _("So far") or trace.hoverinfo == "skip",
        )
        return
    _label_ends(drawn, series, metric)


def _label_ends(drawn: go.Figure, series: list[_Series], metric: MetricLike) -> None:
    low, high = drawn.layout.yaxis.range
    ends = [_last(line.rows[metric.slug]) for line in series]
    texts = [shorten(line.label, LONGEST_DIRECT_LABEL) for line in series]
    for line, text, y in zip(series, texts, _spread(ends, (high - low) * _LABEL_HEIGHT / _USUAL_HEIGHT), strict=True):
        drawn.add_annotation(
            text=f'<span style="color:{line.color}">●</span> {escape(text)}',
            x=1, xref="paper", xanchor="left", xshift=4, y=y, yanchor="middle", showarrow=False, font={"size": 11},
        )  # fmt: skip
    drawn.update_layout(margin={"r": 20 + int(max(map(len, texts)) * _LETTER_WIDTH)})


def _last(column: pd.Series[Any]) -> float:
    known = column.dropna()
    return float(known.iloc[-1]) if len(known) else 0.0


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """`places` moved apart, upwards from the lowest, until neighbours are `gap` apart; their order stays."""
    moved = list(places)
    last = -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        moved[index] = last = max(places[index], last + gap)
    return moved


def sparkline(frame: pd.DataFrame, metric: MetricLike, *, style: Style | None = None) -> go.Figure:
    """`metric` over time without axes or words, with its band of expected values; for a tile. Not for reading values off."""
    style = style or Style()
    drawn = figure(title_of(metric), style, hovermode=False, margin={"l": 0, "r": 3, "t": 3, "b": 0}, height=40)
    if not frame.empty:
        line = _Series(frame.sort_values("bucket"), style.tokens.accent)
        _add_band(drawn, frame, metric, style)
        _add_line(drawn, line, metric, style, filled=False)
        drawn.update_traces(hoverinfo="skip", hovertemplate=None, customdata=None, showlegend=False)
        drawn.update_traces(selector={"mode": "lines"}, line_width=1.5)
    drawn.update_xaxes(visible=False, fixedrange=True)
    drawn.update_yaxes(visible=False, fixedrange=True)
    return drawn


def stacked(
    frame: pd.DataFrame,
    metric: MetricLike,
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
    drawn = figure(
        title_of(metric, dimension), style, hovermode="x unified", barmode="relative", bargap=0.25, hoverdistance=60
    )
    running = _running(frame, table)
    for value in values:
        add = _add_area if kind == "area" else _add_bars
        line = _Series(table, colors[value], labels[value], ((dimension, value),))
        add(drawn, line, value, metric, running)
    drawn.update_xaxes(time_axis(wall(table.index.to_series()), grain), showspikes=False)
    drawn.update_yaxes(value_axis(metric, [*table.clip(lower=0).sum(axis=1), *table.clip(upper=0).sum(axis=1)]))
    drawn.update_layout(showlegend=True, legend={"traceorder": "normal"})
    return drawn


def _wide(frame: pd.DataFrame, metric: MetricLike, dimension: str, values: list[str]) -> pd.DataFrame:
    """Buckets down, values across, nothing missing."""
    table = frame.pivot_table(index="bucket", columns=dimension, values=metric.slug, aggfunc="sum", observed=True)
    return table.reindex(columns=values).fillna(0.0).sort_index()


def _running(frame: pd.DataFrame, table: pd.DataFrame) -> list[bool]:
    if "unfinished" not in frame:
        return [False] * len(table)
    ends = frame.groupby("bucket")["unfinished"].any()
    return [bool(ends.get(bucket, False)) for bucket in table.index]


def _stack_marks(line: _Series, value: str, metric: MetricLike, running: list[bool]) -> list[list[Any]]:
    marks = []
    for (bucket, amount), unfinished in zip(line.rows[value].items(), running, strict=True):
        row = {metric.slug: amount, "unfinished": unfinished}
        text = _hover(row, line.label, metric, Style())
        marks.append(mark(pd.Timestamp(str(bucket)).to_pydatetime(), line.filters, None, text))
    return marks


def _add_bars(drawn: go.Figure, line: _Series, value: str, metric: MetricLike, running: list[bool]) -> None:
    drawn.add_bar(
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


def _add_area(drawn: go.Figure, line: _Series, value: str, metric: MetricLike, running: list[bool]) -> None:
    drawn.add_scatter(
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
