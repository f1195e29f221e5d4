"""The colours of assets/tokens.css for Plotly, one colour per dimension value, and the two chart templates.

Charts are drawn to SVG by a library that knows no CSS variables, so the colours stand here a second time; a test compares
them with the style sheet.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import plotly.graph_objects as go

from nebuloviz.services.interfaces import OTHER

Theme = Literal["light", "dark"]

FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Arabic", "Helvetica Neue", Arial, sans-serif'
)
FONT_SIZE = 12


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one theme, as #rrggbb. `series` holds eight that colour-blind readers can tell apart."""

    surface: str
    raised: str
    sunken: str
    hover: str
    line: str
    line_field: str
    line_strong: str
    text: str
    muted: str
    accent: str
    accent_strong: str
    accent_soft: str
    on_accent: str
    good: str
    good_soft: str
    bad: str
    bad_soft: str
    warn: str
    warn_soft: str
    other: str
    band: str
    grid: str
    series: tuple[str, ...]


LIGHT = Tokens(
    surface="#f6f7f9",
    raised="#ffffff",
    sunken="#eef0f3",
    hover="#f0f1f5",
    line="#e3e5ea",
    line_field="#c3c8d1",
    line_strong="#868d9c",
    text="#14171f",
    muted="#596072",
    accent="#4549c6",
    accent_strong="#3438ac",
    accent_soft="#eeeffc",
    on_accent="#ffffff",
    good="#0b7565",
    good_soft="#e4f4f0",
    bad="#b3173c",
    bad_soft="#fdecef",
    warn="#8a5a00",
    warn_soft="#fcf2dc",
    other="#7b8291",
    band="#dfe1f7",
    grid="#eceef2",
    series=("#4549c6", "#df7b0c", "#0e9a94", "#d3556e", "#0d9aec", "#137f1f", "#7c3a9c", "#8f2c05"),
)
DARK = Tokens(
    surface="#0e1014",
    raised="#15181f",
    sunken="#0a0c0f",
    hover="#1c2028",
    line="#272c36",
    line_field="#3d4451",
    line_strong="#697183",
    text="#e7e9ef",
    muted="#9aa2b3",
    accent="#9297ff",
    accent_strong="#b0b4ff",
    accent_soft="#1f2140",
    on_accent="#0e1014",
    good="#3cc9b0",
    good_soft="#10302c",
    bad="#ff7f95",
    bad_soft="#3a1720",
    warn="#eeb13f",
    warn_soft="#33270f",
    other="#878f9f",
    band="#25284a",
    grid="#20242d",
    series=("#8f95ff", "#f1a716", "#2fe0c2", "#e6688f", "#5cc4f5", "#bfe07a", "#9563cd", "#c4571f"),
)
THEMES: dict[Theme, Tokens] = {"light": LIGHT, "dark": DARK}


def tokens(theme: Theme) -> Tokens:
    return THEMES[theme]


def color_of(dimension: str, value: str, theme: Theme = "light") -> str:
    """The colour that `value` asks for by itself: the same in every process, chart and page. `OTHER` and '' are grey."""
    return _paint(_slot(dimension, value), THEMES[theme]) if value not in {OTHER, ""} else THEMES[theme].other


def colors_of(dimension: str, values: Iterable[str], theme: Theme = "light") -> dict[str, str]:
    """A colour for each of `values`, as different as eight colours allow.

    Each value takes the colour it asks for (`color_of`) unless an earlier one has it; then the next free one. Give the
    dimension's values in an order that charts share, most important first, and a value keeps its colour on all of them.
    From the ninth on the palette repeats in a stronger shade.
    """
    taken: Counter[int] = Counter()
    colors: dict[str, str] = {}
    size = len(LIGHT.series)
    for value in dict.fromkeys(values):
        if value in {OTHER, ""}:
            colors[value] = THEMES[theme].other
            continue
        wanted, least = _slot(dimension, value), min(taken[slot] for slot in range(size))
        slot = next((wanted + step) % size for step in range(size) if taken[(wanted + step) % size] == least)
        colors[value] = _paint(slot, THEMES[theme], taken[slot])
        taken[slot] += 1
    return colors


#: How much stronger the palette is when it is gone through for the second and the third time.
_SHADES = (0.45, 0.7)


def _slot(dimension: str, value: str) -> int:
    return zlib.crc32(f"{dimension}\0{value}".encode("utf-8", "surrogatepass")) % len(LIGHT.series)


def _paint(slot: int, of: Tokens, lap: int = 0) -> str:
    return of.series[slot] if lap == 0 else mix(of.series[slot], of.text, _SHADES[min(lap, len(_SHADES)) - 1])


@lru_cache(maxsize=4096)
def mix(color: str, into: str, share: float) -> str:
    """`color` with `share` (0 to 1) of it replaced by `into`; all as #rrggbb."""
    mixed = (round(a + (b - a) * share) for a, b in zip(rgb(color), rgb(into), strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def rgb(color: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers of 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def alpha(color: str, opacity: float) -> str:
    """#rrggbb with an opacity of 0 to 1, as CSS and Plotly write it."""
    return "rgba({},{},{},{:g})".format(*rgb(color), opacity)


def comparison_color(color: str, theme: Theme) -> str:
    """The lighter shade of the same hue in which the period of comparison is drawn."""
    return mix(color, THEMES[theme].raised, 0.35)


@lru_cache(maxsize=4096)
def contrast(one: str, two: str) -> float:
    """The WCAG 2.2 contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in rgb(color))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def heat_scale(theme: Theme) -> list[tuple[float, str]]:
    """From the card's own colour to the accent: little is quiet, much is loud, and grey print keeps the order."""
    of = THEMES[theme]
    return [(0.0, of.sunken), (0.5, mix(of.accent, of.raised, 0.45)), (1.0, of.accent)]


@cache
def template(theme: Theme) -> go.layout.Template:
    """The look shared by all charts: no frame, few lines, the page's font, a transparent ground."""
    of = THEMES[theme]
    axis = {
        "automargin": True,
        "gridcolor": of.grid,
        "linecolor": of.line_strong,
        "tickfont": {"color": of.muted, "size": 11},
        "ticklabelstandoff": 4,
        "ticks": "",
        "title": {"font": {"color": of.muted, "size": 11}, "standoff": 8},
        "zeroline": False,
        "zerolinecolor": of.line_strong,
    }
    return go.layout.Template(
        layout={
            "colorway": list(of.series),
            "font": {"family": FONT, "size": FONT_SIZE, "color": of.text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {
                "bgcolor": of.raised,
                "bordercolor": of.line_strong,
                "font": {"family": FONT, "size": FONT_SIZE, "color": of.text},
                "align": "left",
                "namelength": -1,
            },
            "legend": {
                "orientation": "h",
                "traceorder": "normal",
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yanchor": "bottom",
                "font": {"size": 11, "color": of.muted},
                "bgcolor": "rgba(0,0,0,0)",
            },
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": of.muted, "activecolor": of.accent},
            "title": {
                "font": {"size": 14, "color": of.text, "weight": 600},
                "x": 0,
                "xanchor": "left",
                "xref": "paper",
            },
            "xaxis": axis | {"showgrid": False},
            "yaxis": axis | {"showgrid": True},
        }
    )


class _Shared(dict[str, Any]):
    """Plain data that nobody changes, so that a copy is itself: Plotly copies all that a figure is made of, in depth."""

    def __deepcopy__(self, _memo: object) -> _Shared:
        return self


@cache
def template_json(theme: Theme) -> dict[str, Any]:
    """`template` as plain data, the same for all figures: not to be changed."""
    return _Shared(template(theme).to_plotly_json())
