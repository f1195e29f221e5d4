"""A sparkline's figure as a small picture.

A tile needs neither hover nor zoom, and half a dozen charts that Plotly draws anew at every refresh cost the browser more
than the rest of the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
from dash import html

WIDTH, HEIGHT, _MARGIN = 200, 40, 2

_Point = tuple[float, float]


def spark_image(figure: go.Figure) -> html.Img:
    """The lines and bands of a figure of `figures.sparkline`, stretched to the width of its place."""
    return html.Img(src="data:image/svg+xml," + quote(spark_svg(figure)), className="nv-spark", alt="")


def spark_svg(figure: go.Figure) -> str:
    """SVG with a filled area for each pair of traces that bound one, and a path for every other trace."""
    traces = [trace for trace in figure.data if trace.x is not None and len(trace.x)]
    place = _placer(traces)
    drawn: list[str] = []
    for number, trace in enumerate(traces):
        points = [place(at, value) for at, value in zip(trace.x, trace.y, strict=True)]
        if trace.fill == "tonexty" and number:
            upper = traces[number - 1]
            above = [place(at, value) for at, value in zip(upper.x, upper.y, strict=True)]
            drawn.append(f'<path d="{_path([*above, *reversed(points)])}Z" fill="{trace.fillcolor}"/>')
        elif trace.line.width:
            drawn.append(
                f'<path d="{_path(points)}" fill="none" stroke="{trace.line.color}" stroke-width="1.5" '
                'stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke"/>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f"{''.join(drawn)}</svg>"
    )


def _placer(traces: Sequence[Any]) -> Any:
    """(moment, value) -> a point of the picture, or None for a value that is missing."""
    moments = [at for trace in traces for at in trace.x] or [datetime.min]  # noqa: DTZ901 - charts know no zones
    values = [value for trace in traces for value in trace.y if _known(value)] or [0.0]
    first, low = min(moments), min(values)
    across = (max(moments) - first).total_seconds() or 1.0
    up = (max(values) - low) or 1.0

    def place(at: datetime, value: float | None) -> _Point | None:
        if not _known(value):
            return None
        share = (float(value or 0.0) - low) / up
        return (at - first).total_seconds() / across * WIDTH, HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)

    return place


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _path(points: Iterable[_Point | None]) -> str:
    """SVG path data; a missing point lifts the pen."""
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(parts)
