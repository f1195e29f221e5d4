"""A metric's course as a small picture.

A tile needs neither hover nor zoom, and half a dozen charts that Plotly draws anew at every refresh cost the browser more
than the rest of the page, and the server as much.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
from dash import html

from nebuloviz.metrics.registry import Metric
from nebuloviz.web.figures.base import Style
from nebuloviz.web.figures.text import metric_columns
from nebuloviz.web.theme import alpha

WIDTH, HEIGHT, _MARGIN = 200, 40, 2
_BAND_OPACITY = 0.14

_Floats = npt.NDArray[np.float64]
_Points = list[tuple[float, float]]


def sparkline(frame: pd.DataFrame, metric: Metric, *, style: Style | None = None) -> html.Img:
    """`metric` over time without axes or words, stretched to the width of its place, up to the last bucket that has ended.

    Where `frame` has them, `<metric>:low` and `<metric>:high` are a band below the line.
    """
    drawn = spark_svg(frame, metric, style or Style())
    return html.Img(src="data:image/svg+xml," + quote(drawn), className="nv-spark", alt="")


def spark_svg(frame: pd.DataFrame, metric: Metric, style: Style) -> str:
    """SVG with a path for the line, over a filled area where there is a band."""
    ended = frame[~frame["unfinished"].to_numpy(dtype=bool)] if "unfinished" in frame else frame
    ended = ended.sort_values("bucket")
    value, _before, low, high = metric_columns(metric)
    at: _Floats = ended["bucket"].to_numpy(dtype="datetime64[us]").astype(np.float64)
    across = _spread(at, WIDTH, 0)
    courses = [ended[name].to_numpy(dtype=float) for name in (value, low, high) if name in ended]
    up = HEIGHT - _spread(np.concatenate(courses), HEIGHT - 2 * _MARGIN, _MARGIN).reshape(len(courses), -1)
    line, *sides = [list(zip(across, heights, strict=True)) for heights in up]
    drawn = [_line(line, style.tokens.accent)] if line else []
    if len(sides) > 1 and np.isfinite(up[1:]).any():
        drawn.insert(0, _area(sides[0], sides[1], alpha(style.tokens.accent, _BAND_OPACITY)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f"{''.join(drawn)}</svg>"
    )


def _spread(values: _Floats, size: float, start: float) -> _Floats:
    """`values` from the lowest to the highest over `size`, from `start` on; NaN stays NaN."""
    known = values[np.isfinite(values)]
    if not known.size:
        return values
    spread: _Floats = start + (values - known.min()) / ((known.max() - known.min()) or 1.0) * size
    return spread


def _line(points: _Points, color: str) -> str:
    return (
        f'<path d="{_path(points)}" fill="none" stroke="{color}" stroke-width="1.5" '
        'stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke"/>'
    )


def _area(low: _Points, high: _Points, color: str) -> str:
    known = [(below, above) for below, above in zip(low, high, strict=True) if np.isfinite([below[1], above[1]]).all()]
    return f'<path d="{_path([*(above for _, above in known), *(below for below, _ in reversed(known))])}Z" fill="{color}"/>'


def _path(points: Iterable[tuple[float, float]]) -> str:
    """SVG path data; a missing point lifts the pen."""
    parts, pen = [], "M"
    for x, y in points:
        if np.isnan(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)
