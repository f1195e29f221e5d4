"""A small picture of a series, as a PNG, drawn by arithmetic: no browser, no fonts, nothing that has to be installed.

It has no text: what a reader must know stands beside it, in the reader's language.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nebuloviz.detection.series import FloatArray

WIDTH, HEIGHT = 1040, 240  # twice what a mail shows, for screens of small pixels
_MARGIN = 14.0
Point = tuple[float, float]
Color = tuple[int, int, int]
Canvas = npt.NDArray[np.float32]

_PAPER, _LINE, _BAND, _BASE, _MARK = (255, 255, 255), (75, 79, 214), (226, 227, 250), (214, 218, 227), (190, 38, 66)
_LINE_WIDTH, _BASE_WIDTH, _RING, _RING_WIDTH = 5.0, 2.0, 9.0, 4.0


@dataclass(frozen=True)
class Course:
    """A series in buckets of equal length: what was observed, the range that was expected (NaN: not known), and what is marked."""

    observed: FloatArray
    low: FloatArray
    high: FloatArray
    marked: Sequence[int] = ()


def png(course: Course) -> bytes:
    """The band of what was expected, the line of what was observed, and rings on what is marked; NaN leaves a gap."""
    canvas = np.full((HEIGHT, WIDTH, 3), _PAPER, dtype=np.float32)
    across, up = _places(course)
    _band(canvas, across, up(course.low), up(course.high))
    base = float(up(np.zeros(1))[0])
    _stroke(canvas, (0.0, base), (float(WIDTH), base), _BASE_WIDTH, _BASE)
    line = up(course.observed)
    for start, end in zip(range(len(line)), range(1, len(line)), strict=False):
        if np.isfinite(line[start]) and np.isfinite(line[end]):
            _stroke(canvas, (across[start], line[start]), (across[end], line[end]), _LINE_WIDTH, _LINE)
    for place in course.marked:
        if np.isfinite(line[place]):
            _ring(canvas, across[place], line[place])
    return _encoded(canvas.round().astype(np.uint8))


def _places(course: Course) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """Where the buckets stand across, and what says where a value stands from the top; zero is always in the picture."""
    across = np.linspace(_MARGIN, WIDTH - _MARGIN, len(course.observed))
    known = np.concatenate([course.observed, course.low, course.high, [0.0]])
    known = known[np.isfinite(known)]
    least, most = float(known.min()), float(known.max())
    scale = (HEIGHT - 2 * _MARGIN) / ((most - least) or 1.0)
    return across, lambda values: HEIGHT - _MARGIN - (values - least) * scale


def _band(canvas: Canvas, across: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Fill between the two, where both are known."""
    if not len(across):
        return
    columns = np.arange(WIDTH) + 0.5
    edges = [np.interp(columns, across, edge, left=np.nan, right=np.nan).astype(np.float32) for edge in (low, high)]
    lower, upper = edges
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5
    with np.errstate(invalid="ignore"):
        cover = np.clip(lower - rows + 0.5, 0, 1) * np.clip(rows - upper + 0.5, 0, 1)
    _paint(canvas, np.nan_to_num(cover), _BAND)


def _stroke(canvas: Canvas, start: Point, end: Point, width: float, color: Color) -> None:
    """A line with round ends."""

    def distance(x: FloatArray, y: FloatArray) -> FloatArray:
        along, down = end[0] - start[0], end[1] - start[1]
        part = np.clip(((x - start[0]) * along + (y - start[1]) * down) / max(along**2 + down**2, 1e-9), 0, 1)
        return np.hypot(x - start[0] - part * along, y - start[1] - part * down)

    xs, ys = zip(start, end, strict=True)
    _draw(canvas, (min(xs), max(xs)), (min(ys), max(ys)), width / 2, distance, color)


def _ring(canvas: Canvas, x: float, y: float) -> None:
    def distance(across: FloatArray, down: FloatArray) -> FloatArray:
        return np.abs(np.hypot(across - x, down - y) - _RING)

    _draw(canvas, (x - _RING, x + _RING), (y - _RING, y + _RING), _RING_WIDTH / 2, distance, _MARK)


def _draw(
    canvas: Canvas, xs: Point, ys: Point, reach: float, distance: Callable[..., FloatArray], color: Color
) -> None:
    """Paint what is no further than `reach` from a shape that lies within `xs` and `ys`, with soft edges."""
    left, right = (int(np.clip(edge, 0, WIDTH)) for edge in (xs[0] - reach - 1, xs[1] + reach + 2))
    top, bottom = (int(np.clip(edge, 0, HEIGHT)) for edge in (ys[0] - reach - 1, ys[1] + reach + 2))
    x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    _paint(canvas[top:bottom, left:right], np.clip(reach + 0.5 - distance(x, y), 0, 1), color)


def _paint(part: Canvas, cover: FloatArray, color: Color) -> None:
    part += (np.array(color, dtype=np.float32) - part) * cover[..., None].astype(np.float32)


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, body) for name, body in parts)


def _part(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
