"""Room for the words around a drawing, so that Plotly need not find out by drawing it twice.

Plotly's own `automargin` measures every label once it is drawn, and draws all again where the margin was too small. Our labels
are known beforehand, so the margins are made large enough for them; `automargin` stays, for a font that is wider than thought.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

_PIXELS_AROUND = 8  # where there are no labels
_SPARE = 6  # pixels between the labels and the edge; less than 5, and Plotly makes more of it
_STANDOFF = 4  # of the labels from the drawing, where the axis does not say (see `theme.template`)
_TICK_SIZE = 11
_LINE_HEIGHT = 1.3  # of the font's size
_LEGEND_HEIGHT = 29  # one row; more of them, on a narrow chart, Plotly makes room for itself
_COLOR_BAR_WIDTH = 16  # without its labels
_TAG = re.compile(r"<[^>]*>")
_ENTITY = re.compile(r"&[a-z]+;")
_NARROW, _WIDE = frozenset(" \u00a0\u202f.,:;'|!ijlI()[]·"), frozenset("mwMW@%—…")


def margins(layout: Mapping[str, Any], traces: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """`margin` of a layout whose axes have their labels given as `ticktext`; what it sets already stays."""
    across, up = layout.get("xaxis", {}), layout.get("yaxis", {})
    left, right, top, bottom = (_PIXELS_AROUND,) * 4
    if _labels(up):
        left += _standoff(up) + _widest(up) + _SPARE
    if _labels(across) and across.get("tickangle") == 0:
        half = _widest(across) // 2
        left, right = max(left, half), max(right, half)
        bottom += _standoff(across) + _height(across) + _SPARE
    if layout.get("showlegend"):
        top += _LEGEND_HEIGHT + _SPARE
    right += max((_color_bar(trace) for trace in traces), default=0)
    return {"l": left, "r": right, "t": top, "b": bottom, **layout.get("margin", {})}


def text_width(text: str, size: float) -> int:
    """About how many pixels `text` takes in the page's font of `size` pixels; rather too many than too few."""
    return round(size * max(sum(map(_letter_width, line)) for line in _plain(text)))


@cache
def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter) or unicodedata.category(letter) == "Cf":
        return 0.0
    if letter in _NARROW:
        return 0.34
    if letter in _WIDE:
        return 0.95
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 1.0
    if unicodedata.bidirectional(letter) == "AL":  # Arabic letters are joined
        return 0.46
    return 0.68 if letter.isupper() else 0.58


def _plain(text: str) -> list[str]:
    """The lines of a label without its markup."""
    return [_ENTITY.sub("&", _TAG.sub("", line)) for line in text.split("<br>")]


def _labels(axis: Mapping[str, Any]) -> Iterable[str]:
    hidden = axis.get("visible") is False or axis.get("showticklabels") is False
    return () if hidden else axis.get("ticktext", ())


def _size(axis: Mapping[str, Any]) -> float:
    return float(axis.get("tickfont", {}).get("size", _TICK_SIZE))


def _standoff(axis: Mapping[str, Any]) -> int:
    return int(axis.get("ticklabelstandoff", _STANDOFF))


def _widest(axis: Mapping[str, Any]) -> int:
    return max(text_width(label, _size(axis)) for label in _labels(axis))


def _height(axis: Mapping[str, Any]) -> int:
    return round(_size(axis) * _LINE_HEIGHT * max(len(_plain(label)) for label in _labels(axis)))


def _color_bar(trace: Mapping[str, Any]) -> int:
    bar = trace.get("colorbar")
    if bar is None or trace.get("showscale") is False:
        return 0
    return _COLOR_BAR_WIDTH + max(text_width(label, _TICK_SIZE) for label in bar["ticktext"])
