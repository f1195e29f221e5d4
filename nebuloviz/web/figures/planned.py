"""What the business calendar says of some time, on a chart over time: a tint and a strip at the top, named in hover and legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from nebuloviz.i18n import _
from nebuloviz.web.figures.axes import wall
from nebuloviz.web.figures.base import Drawing, Style
from nebuloviz.web.figures.text import escape, shorten
from nebuloviz.web.theme import alpha

#: How long a bucket of a grain is on which days can be seen at all; in longer ones there are some in every bucket.
LENGTHS = {
    "minute": timedelta(minutes=1),
    "quarter_hour": timedelta(minutes=15),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
_TINT, _STRIP, _STRIP_PIXELS = 0.07, 0.75, 3
_MAX_NAMED = 3  # of a bucket


@dataclass(frozen=True, slots=True)
class PlannedMark:
    """From `start` to `end` (on the viewer's clock, without a zone) it is planned to be `closed`, or to sell more.

    `kind` says which in the reader's words ("Promotion"), `name` what it is called.
    """

    start: datetime
    end: datetime
    closed: bool
    kind: str
    name: str

    def holds(self, bucket: datetime, length: timedelta) -> bool:
        """Whether the bucket that starts then lies in it for the most part, or for the most part holds it."""
        shared = min(self.end, bucket + length) - max(self.start, bucket)
        return 2 * shared >= min(length, self.end - self.start)


def with_planned(rows: pd.DataFrame, planned: Sequence[PlannedMark], grain: str) -> pd.DataFrame:
    """`rows` with the column `planned`: what the calendar says of each, '' for nothing; without it where that is of all of them."""
    length = LENGTHS.get(grain)
    if not planned or length is None or "bucket" not in rows:
        return rows
    words = [_words(planned, bucket, length) for bucket in wall(rows["bucket"])]
    return rows.assign(planned=words) if any(words) else rows


def _words(planned: Iterable[PlannedMark], bucket: datetime, length: timedelta) -> str:
    found = [
        _("{kind}: {name}", kind=mark.kind, name=shorten(mark.name, 60))
        for mark in planned
        if mark.holds(bucket, length)
    ]
    return " · ".join([*dict.fromkeys(found)][:_MAX_NAMED])


def add_planned(
    drawn: Drawing, planned: Sequence[PlannedMark], grain: str, ends: tuple[datetime, datetime], style: Style
) -> None:
    """Draw them below all else, and an entry of the legend for each colour, where they are seen between the buckets at the `ends`.

    A bucket's point stands at its start, so what is planned begins half a bucket before it.
    """
    length = LENGTHS.get(grain)
    if length is None:
        return
    first, last = ends[0], ends[1] + length
    seen = [mark for mark in planned if mark.start < last and mark.end > first]
    for mark in seen:
        _add_span(drawn, max(mark.start, first) - length / 2, min(mark.end, last) - length / 2, _color(mark, style))
    for closed, mark in {mark.closed: mark for mark in seen}.items():
        square = {"symbol": "square", "size": 9, "color": alpha(_color(mark, style), _STRIP)}
        kinds = {each.kind for each in seen if each.closed == closed}
        name = _("Closed") if len(kinds) > 1 else escape(mark.kind)
        drawn.add("scatter", x=[None], y=[None], mode="markers", marker=square, hoverinfo="skip", name=name)


def _color(mark: PlannedMark, style: Style) -> str:
    return style.tokens.muted if mark.closed else style.tokens.accent


def _add_span(drawn: Drawing, start: datetime, end: datetime, color: str) -> None:
    common: dict[str, Any] = {
        "type": "rect",
        "layer": "below",
        "line": {"width": 0},
        "x0": start,
        "x1": end,
        "yref": "paper",
    }
    strip = {"ysizemode": "pixel", "yanchor": 1, "y0": 0, "y1": -_STRIP_PIXELS, "fillcolor": alpha(color, _STRIP)}
    tint = {"y0": 0, "y1": 1, "fillcolor": alpha(color, _TINT)}
    drawn.layout.setdefault("shapes", []).extend([{**common, **tint}, {**common, **strip}])
