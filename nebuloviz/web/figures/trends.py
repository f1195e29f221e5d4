"""Lines over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.interfaces import OTHER
from nebuloviz.services.shown import by_size, value_labels
from nebuloviz.services.wording import severity_word
from nebuloviz.web.figures.ahead import add_ahead, ahead_text, ahead_values, joined
from nebuloviz.web.figures.axes import time_axis, value_axis, wall
from nebuloviz.web.figures.base import AnomalyMark, Drawing, Severity, Style, drawing, empty, mark
from nebuloviz.web.figures.margins import text_width
from nebuloviz.web.figures.planned import PlannedMark, add_planned, with_planned
from nebuloviz.web.figures.series import Series, hover_text, severity_color
from nebuloviz.web.figures.text import (
    MAX_DIRECT_LABEL_LENGTH,
    escape,
    metric_columns,
    short_labels,
    shorten,
    title_of,
)
from nebuloviz.web.theme import alpha, comparison_color

MAX_DIRECT_LABELS = 4
#: Plot height, in pixels, that labels beside lines are kept apart for.
_USUAL_HEIGHT, _LABEL_HEIGHT, _LABEL_SIZE = 240, 15, 11
_BAR_SHARE = 0.6  # of a bucket's room, for the bar of one that is still running
_RINGS: dict[Severity, tuple[str, int]] = {
    "low": ("circle-open", 10),
    "medium": ("circle-open", 12),
    "high": ("circle-open", 15),
    "critical": ("circle-open-dot", 16),
}


def trend(  # noqa: PLR0913 - each is something else to draw
    frame: pd.DataFrame,
    metric: Metric,
    grain: str,
    *,
    split: str | None = None,
    kind: Literal["line", "area"] = "line",
    anomalies: Sequence[AnomalyMark] = (),
    ahead: pd.DataFrame | None = None,
    planned: Sequence[PlannedMark] = (),
    style: Style | None = None,
) -> go.Figure:
    """`metric` over time as a line (or area), one per value of the dimension `split`.

    `frame` has `bucket` and the metric's column; drawn where present: `<metric>:comparison` lighter and dashed,
    `<metric>:low` and `<metric>:high` as the band of expected values (without split), `unfinished` dashed with 'so far'.
    `ahead` is a forecast (see `figures.ahead`), drawn dashed beyond the last bucket that has ended, without split. `planned` is
    what the calendar says of that time.
    """
    style = style or Style()
    if frame.empty:
        return empty(title_of(metric, split), style, _("No sales in this range"))
    drawn = drawing(title_of(metric, split), style, hovermode="x unified", dragmode="zoom", hoverdistance=-1)
    series = _series(frame, metric, split, style)
    coming = ahead if ahead is not None and not split and not ahead.empty else None
    if not split:
        _add_band(drawn, frame, metric, style)
    if coming is not None:
        rows = series[0].rows
        add_ahead(drawn, rows.iloc[: _ended(rows)], coming, metric, style)
    for line in series:
        _add_comparison(drawn, line, metric, style)
    for line in series:
        _add_line(drawn, line, metric, style, filled=kind == "area")
    windows = [anomaly for anomaly in anomalies if anomaly.window]
    _add_windows(drawn, windows, frame["bucket"], style)
    _add_rings(drawn, [anomaly for anomaly in anomalies if not anomaly.window], style)
    starts = sorted({*wall(frame["bucket"]), *(wall(coming["bucket"]) if coming is not None else ())})
    add_planned(drawn, planned, grain, (starts[0], starts[-1]), style)
    for number, line in enumerate(series):
        pointed = replace(
            line, rows=with_planned(joined(line.rows, coming, metric), planned if number == 0 else (), grain)
        )
        _add_points(drawn, pointed, metric, style, anomalies if number == 0 else ())
    running = not split and not metric.denominator and _ended(series[0].rows) < len(series[0].rows)
    room = _bar_width(series[0].rows["bucket"]) * 0.6 if running else None
    drawn.x_axis(time_axis(starts, grain, room=room), spikecolor=style.tokens.line_strong)
    values = [*_values(frame, metric, anomalies), *ahead_values(coming)]
    drawn.y_axis(value_axis(metric, values, zero=metric.unit != "ratio" or kind == "area"))
    _name_series(drawn, series, metric, style)
    return drawn.done()


def _series(frame: pd.DataFrame, metric: Metric, split: str | None, style: Style) -> list[Series]:
    """The lines, the largest first and 'Other' last."""
    if split is None:
        return [Series(frame.sort_values("bucket"), style.tokens.series[0])]
    values = by_size(frame, split, metric.slug)
    colors, labels = style.colors(split, values), value_labels(frame, split)
    return [
        Series(frame[frame[split] == value].sort_values("bucket"), colors[value], labels[value], ((split, value),))
        for value in values
    ]


def _values(frame: pd.DataFrame, metric: Metric, anomalies: Sequence[AnomalyMark] = ()) -> list[float]:
    known = [column for column in metric_columns(metric) if column in frame]
    return [*frame[known].to_numpy().ravel(), *(anomaly.value for anomaly in anomalies)]


def _add_band(drawn: Drawing, frame: pd.DataFrame, metric: Metric, style: Style) -> None:
    """The band of expected values. A sum's ends where the buckets that have ended do: half a day lies below that of a whole one."""
    *_ignored, low, high = metric_columns(metric)
    if low not in frame or high not in frame or not frame[low].notna().any():
        return
    rows = frame.sort_values("bucket")
    known = (rows if metric.denominator else rows.iloc[: _ended(rows)]).dropna(subset=[low, high])
    at, edge = wall(known["bucket"]), {"width": 0, "shape": "linear"}
    common: dict[str, Any] = {"mode": "lines", "line": edge, "hoverinfo": "skip"}
    drawn.add("scatter", x=at, y=known[high].tolist(), showlegend=False, **common)
    drawn.add(
        "scatter",
        x=at,
        y=known[low].tolist(),
        fill="tonexty",
        fillcolor=style.tokens.band,
        name=_("Expected range"),
        **common,
    )


def _add_comparison(drawn: Drawing, line: Series, metric: Metric, style: Style) -> None:
    """A dashed line. A sum's ends where the buckets that have ended do: behind them it is that of a part of a bucket only."""
    column = f"{metric.slug}:comparison"
    rows = line.rows if metric.denominator else line.rows.iloc[: _ended(line.rows)]
    if column not in rows or not rows[column].notna().any():
        return
    drawn.add(
        "scatter",
        x=wall(rows["bucket"]),
        y=rows[column].tolist(),
        mode="lines",
        line={"color": comparison_color(line.color, style.theme), "width": 1.5, "dash": "4px,3px"},
        hoverinfo="skip",
        name=escape(style.comparison or _("before")),
    )


def _add_line(drawn: Drawing, line: Series, metric: Metric, style: Style, *, filled: bool) -> None:
    """The buckets that have ended as a solid line; what is still running apart from it."""
    at, values = wall(line.rows["bucket"]), line.rows[metric.slug].tolist()
    ended = _ended(line.rows)
    if ended:
        drawn.add(
            "scatter",
            x=at[:ended],
            y=values[:ended],
            mode="lines",
            hoverinfo="skip",
            legendgroup=line.label or None,
            line={"color": line.color, "width": 2, **({"dash": "6px,4px"} if _is_rest(line) else {})},
            fill="tozeroy" if filled else None,
            fillcolor=alpha(line.color, 0.14) if filled else None,
            name=escape(line.label or str(metric.label)),
        )
    if ended < len(at) and metric.denominator:
        x, y = at[max(ended - 1, 0) :], values[max(ended - 1, 0) :]
        dots = {"color": comparison_color(line.color, style.theme), "width": 1.5, "dash": "2px,3px"}
        common: dict[str, Any] = {"mode": "lines", "hoverinfo": "skip", "legendgroup": line.label or None}
        drawn.add("scatter", x=x, y=y, line=dots, name=_("So far"), **common)
    elif ended < len(at) and not line.label:
        _add_running(drawn, line, metric, style)


def _is_rest(line: Series) -> bool:
    """Whether it is that of all other values, which is told from theirs by more than its grey."""
    return any(value == OTHER for _slug, value in line.filters)


def _add_running(drawn: Drawing, line: Series, metric: Metric, style: Style) -> None:
    """Sums that still grow: a line down to them would look like a crash, so they fill up from zero, like bars.

    Behind each the range that is expected of it by its end.
    """
    rows, width = line.rows.iloc[_ended(line.rows) :].dropna(subset=[metric.slug]), _bar_width(line.rows["bucket"])
    *_ignored, low, high = metric_columns(metric)
    if low in rows:
        for at, least, most in zip(wall(rows["bucket"]), rows[low].tolist(), rows[high].tolist(), strict=True):
            if math.isfinite(least) and math.isfinite(most):
                box = {"x0": at - width / 2, "x1": at + width / 2, "y0": least, "y1": most}
                drawn.layout.setdefault("shapes", []).append(
                    {"type": "rect", "layer": "below", "fillcolor": style.tokens.band, "line": {"width": 0}, **box}
                )
    drawn.add(
        "bar",
        x=wall(rows["bucket"]),
        y=rows[metric.slug].tolist(),
        width=width.total_seconds() * 1000,
        marker={
            "color": comparison_color(line.color, style.theme),
            "line": {"color": line.color, "width": 1},
            "pattern": {"shape": "/", "size": 6, "solidity": 0.45, "fillmode": "replace"},
        },
        hoverinfo="skip",
        name=_("So far"),
    )


def _bar_width(buckets: pd.Series[Any]) -> timedelta:
    """How wide the bar of a running bucket is: narrower than its bucket, so that neighbours stay apart."""
    apart = buckets.iloc[-1] - buckets.iloc[-2] if len(buckets) > 1 else pd.Timedelta(days=1)
    width: timedelta = (apart * _BAR_SHARE).to_pytimedelta()
    return width


def _ended(rows: pd.DataFrame) -> int:
    """How many of `rows` come before the first unfinished bucket."""
    running = rows["unfinished"].to_numpy(dtype=bool) if "unfinished" in rows else None
    return len(rows) if running is None or not running.any() else int(running.argmax())


def _add_points(drawn: Drawing, line: Series, metric: Metric, style: Style, anomalies: Sequence[AnomalyMark]) -> None:
    """A point per bucket that bears hover and click; no larger than the line is wide, but open where it is unfinished.

    One trace holds them all: a shared hover also shows the nearest point of any trace that has none in the same bucket.
    """
    ended, count = _ended(line.rows), len(line.rows)
    marks = [_point(row, line, metric, style, anomalies) for row in line.rows.to_dict("records")]
    small = 2 if count > 2 else 6
    drawn.add(
        "scatter",
        x=wall(line.rows["bucket"]),
        y=line.rows[metric.slug].tolist(),
        customdata=marks,
        mode="markers",
        marker={
            "size": [small] * ended + [7] * (count - ended),
            "color": [line.color] * ended + [style.tokens.raised] * (count - ended),
            "line": {"color": line.color, "width": [0] * ended + [1.5] * (count - ended)},
            "opacity": 1,
        },
        hovertemplate="%{customdata[3]}<extra></extra>",
        legendgroup=line.label or None,
        showlegend=False,
        cliponaxis=False,
    )


def _point(
    row: dict[Any, Any], line: Series, metric: Metric, style: Style, anomalies: Sequence[AnomalyMark]
) -> list[Any]:
    bucket = row["bucket"].to_pydatetime()
    told = "" if row.get("coming") else hover_text(row, line, metric, style)
    said = (told, ahead_text(row, metric), escape(row.get("planned", "")))
    hover = "<br>".join(filter(None, said))
    anomaly = next((each for each in anomalies if each.holds(bucket)), None)
    if anomaly is None:
        return mark(bucket, line.filters, None, hover)
    return mark(bucket, line.filters, anomaly.alert_id, f"{hover}<br>{_anomaly_text(anomaly, style)}")


def _add_windows(drawn: Drawing, marks: Sequence[AnomalyMark], buckets: pd.Series[Any], style: Style) -> None:
    """What was judged together: its time shaded, in it the range of the mean of its buckets, and the mean that they came to."""
    half = (buckets.iloc[1] - buckets.iloc[0]) / 2 if len(buckets) > 1 else pd.Timedelta(0)
    for number, mark_ in enumerate(marks):
        window = mark_.window
        assert window is not None, "the caller chose these"  # noqa: S101 - an invariant
        start, end = wall(pd.Series([window.start - half, window.end - half]))
        color = severity_color(mark_.severity, style)
        span = {"x0": start, "x1": end, "yref": "paper", "y0": 0, "y1": 1}
        drawn.layout.setdefault("shapes", []).append(
            {"type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": alpha(color, 0.14), **span}
        )
        common: dict[str, Any] = {"mode": "lines", "hoverinfo": "skip", "showlegend": number == 0}
        drawn.add(
            "scatter",
            x=[start, end, end, start, start],
            y=[window.low, window.low, window.high, window.high, window.low],
            fill="toself",
            fillcolor=alpha(style.tokens.accent, 0.2),
            line={"color": style.tokens.accent, "width": 1},
            name=_("Range of that average"),
            legendgroup="range of means",
            **common,
        )
        drawn.add(
            "scatter",
            x=[start, end],
            y=[window.observed] * 2,
            line={"color": color, "width": 4},
            name=_("Alert: average of its hours"),
            legendgroup="means",
            **common,
        )


def _add_rings(drawn: Drawing, anomalies: Sequence[AnomalyMark], style: Style) -> None:
    """Rings on the viewer's clock, which is that of the marks' buckets. Hover and click are the points' below them."""
    if not anomalies:
        return
    colors = [severity_color(anomaly.severity, style) for anomaly in anomalies]
    drawn.add(
        "scatter",
        x=wall(pd.Series([anomaly.bucket for anomaly in anomalies])),
        y=[anomaly.value for anomaly in anomalies],
        mode="markers",
        marker={
            "symbol": [_RINGS[anomaly.severity][0] for anomaly in anomalies],
            "size": [_RINGS[anomaly.severity][1] for anomaly in anomalies],
            "color": colors,
            "line": {"width": 2, "color": colors},
        },
        hoverinfo="skip",
        name=_("Alert"),
        cliponaxis=False,
    )


def _anomaly_text(anomaly: AnomalyMark, style: Style) -> str:
    ring = f'<span style="color:{severity_color(anomaly.severity, style)}">◯</span>'
    return f"{ring} <b>{severity_word(anomaly.severity)}</b> {escape(shorten(anomaly.words, 80))}".rstrip()


def _name_series(drawn: Drawing, series: list[Series], metric: Metric, style: Style) -> None:
    """Up to four lines are named beside their ends; more, or a single line with company, get a legend."""
    if len(series) == 1:
        drawn.layout["showlegend"] = len({trace["name"] for trace in drawn.traces if "name" in trace}) > 1
        return
    if len(series) > MAX_DIRECT_LABELS:
        drawn.layout["showlegend"] = True
        aside = {_("So far"), escape(style.comparison or _("before"))}
        for trace in drawn.traces:
            trace["showlegend"] = trace.get("name", "") not in {"", *aside}
        return
    _label_ends(drawn, series, metric)


def _label_ends(drawn: Drawing, series: list[Series], metric: Metric) -> None:
    low, high = drawn.layout["yaxis"]["range"]
    ends = [_last(line.rows, metric) for line in series]
    texts = list(short_labels({line.filters[0][1]: line.label for line in series}, MAX_DIRECT_LABEL_LENGTH).values())
    for line, text, y in zip(series, texts, _spread(ends, (high - low) * _LABEL_HEIGHT / _USUAL_HEIGHT), strict=True):
        drawn.note(f'<span style="color:{line.color}">●</span> {escape(text)}',
            x=1, xanchor="left", xshift=4, yref="y", y=y, yanchor="middle", font={"size": _LABEL_SIZE},
        )  # fmt: skip
    drawn.layout["margin"] = {"r": 20 + max(text_width(text, _LABEL_SIZE) for text in texts)}


def _last(rows: pd.DataFrame, metric: Metric) -> float:
    """The value that a line's label stands beside: that of the last bucket which has ended."""
    ended = rows[~rows["unfinished"].astype(bool)] if "unfinished" in rows else rows
    known = ended[metric.slug].dropna()
    return float(known.iloc[-1]) if len(known) else 0.0


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """`places` moved apart, upwards from the lowest, until neighbours are `gap` apart; their order stays."""
    moved = list(places)
    last = -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        moved[index] = last = max(places[index], last + gap)
    return moved
