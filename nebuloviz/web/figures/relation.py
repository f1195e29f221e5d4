"""Figures of two metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.shown import by_size, value_labels
from nebuloviz.services.wording import value_text
from nebuloviz.web.figures.axes import value_axis
from nebuloviz.web.figures.base import Drawing, Style, drawing, empty, mark
from nebuloviz.web.figures.margins import text_width
from nebuloviz.web.figures.text import (
    escape,
    shorten,
    title_of,
)

#: A usual drawing in pixels, in which labels are kept apart, and what one is high.
_WIDE, _HIGH, _LINE, _LETTERS, _TEXT_SIZE = 900, 330, 15, 16, 11
_SMALLEST, _LARGEST = 8, 40


def scatter(
    frame: pd.DataFrame,
    across: Metric,
    up: Metric,
    dimension: str,
    *,
    size: Metric | None = None,
    style: Style | None = None,
) -> go.Figure:
    """A point per value of `dimension`: `across` on the x axis, `up` on the y axis, the area by `size` if given.

    Points with a missing value are left out. The largest are named as far as there is room; the hover names all.
    """
    style = style or Style()
    title = _("{up} against {across}", up=title_of(up), across=title_of(across))
    kept = frame.dropna(subset=[across.slug, up.slug]) if not frame.empty else frame
    if kept.empty:
        return empty(title, style, _("No sales in this range"))
    measured = [across, up, *([size] if size and size.slug not in {across.slug, up.slug} else [])]
    values = by_size(kept, dimension, (size or across).slug)
    rows = kept.drop_duplicates(dimension).set_index(dimension).loc[values]
    labels, colors = value_labels(kept, dimension), style.colors(dimension, values)
    drawn = drawing(title, style, hovermode="closest", dragmode="zoom")
    _add_points(drawn, rows, measured, size, labels, colors, style)
    drawn.x_axis(
        value_axis(across, rows[across.slug].tolist(), zero=across.unit != "ratio", headroom=0.1),
        showgrid=True,
        fixedrange=False,
        title={"text": escape(title_of(across))},
    )
    drawn.y_axis(
        value_axis(up, rows[up.slug].tolist(), zero=up.unit != "ratio", headroom=0.14),
        fixedrange=False,
        title={"text": escape(title_of(up))},
    )
    return drawn.done()


def _add_points(
    drawn: Drawing,
    rows: pd.DataFrame,
    measured: Sequence[Metric],
    size: Metric | None,
    labels: Mapping[str, str],
    colors: Mapping[str, str],
    style: Style,
) -> None:
    """A point per row, the largest first; `measured` are the metrics across, up and, where it is another one, of the area."""
    values, dimension, (across, up, *_more) = list(rows.index), str(rows.index.name), measured
    sizes = _sizes(rows[size.slug].tolist()) if size else [10.0] * len(values)
    words = [shorten(labels[value], _LETTERS) for value in values]
    texts, places = _apart(words, rows[across.slug].tolist(), rows[up.slug].tolist(), sizes)
    drawn.add(
        "scatter",
        x=rows[across.slug].tolist(),
        y=rows[up.slug].tolist(),
        mode="markers+text",
        text=[escape(text) for text in texts],
        textposition=places,
        textfont={"size": _TEXT_SIZE, "color": style.tokens.muted},
        cliponaxis=False,
        marker={
            "size": sizes,
            "color": [colors[value] for value in values],
            "opacity": 0.85,
            "line": {"width": 1, "color": style.tokens.raised},
        },
        customdata=[
            mark(None, ((dimension, value),), None, _point_text(labels[value], row, measured))
            for value, (_index, row) in zip(values, rows.iterrows(), strict=True)
        ],
        hovertemplate="%{customdata[3]}<extra></extra>",
    )


_Box = tuple[float, float, float, float]  # left, bottom, right, top


def _apart(
    words: Sequence[str], x: Sequence[float], y: Sequence[float], sizes: Sequence[float]
) -> tuple[list[str], list[str]]:
    """The label of each point and where it stands; '' where it would lie on another, or on a point."""
    across, up = _in_pixels(x, _WIDE), _in_pixels(y, _HIGH)
    radii = [size / 2 for size in sizes]
    taken: list[_Box] = [(a - r, u - r, a + r, u + r) for a, u, r in zip(across, up, radii, strict=True)]
    texts, places = [], []
    for word, left, bottom, radius in zip(words, across, up, radii, strict=True):
        choices = _places(text_width(word, _TEXT_SIZE), left, bottom, radius)
        place = next((name for name, box in choices.items() if not any(_overlap(box, each) for each in taken)), "")
        if place:
            taken.append(choices[place])
        texts.append(word if place else "")
        places.append(place or "top center")
    return texts, places


def _in_pixels(values: Sequence[float], room: int) -> list[float]:
    low, high = min(0.0, *values), max(0.0, *values)
    return [(value - low) / ((high - low) or 1.0) * room for value in values]


def _places(width: float, x: float, y: float, radius: float) -> dict[str, _Box]:
    """Where a label can stand beside a point, the best place first."""
    above, below, middle = y + radius, y - radius - _LINE, y - _LINE / 2
    return {
        "top center": (x - width / 2, above, x + width / 2, above + _LINE),
        "bottom center": (x - width / 2, below, x + width / 2, below + _LINE),
        "middle right": (x + radius, middle, x + radius + width, middle + _LINE),
        "middle left": (x - radius - width, middle, x - radius, middle + _LINE),
    }


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _sizes(amounts: list[float]) -> list[float]:
    """Diameters in pixels whose areas are in proportion, within what can be seen and hit."""
    most = max((amount for amount in amounts if math.isfinite(amount)), default=0.0)
    return [
        max(_SMALLEST, _LARGEST * math.sqrt(max(amount, 0.0) / most))
        if most > 0 and math.isfinite(amount)
        else _SMALLEST
        for amount in amounts
    ]


def _point_text(label: str, row: pd.Series, measured: Sequence[Metric]) -> str:
    lines = [
        f"{escape(str(metric.label))}  <b>{value_text(metric, float(row[metric.slug]))}</b>" for metric in measured
    ]
    return "<br>".join([f"<b>{escape(shorten(label, 80))}</b>", *lines])
