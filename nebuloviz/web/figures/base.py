"""What all figures share: their style, the marks on them, what a click on them means, and the graph's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import plotly.graph_objects as go

from nebuloviz.i18n import current
from nebuloviz.web.figures.margins import margins
from nebuloviz.web.theme import Theme, Tokens, colors_of, template_json, tokens

Severity = Literal["low", "medium", "high", "critical"]

#: Passed to every `dcc.Graph`: no logo, nothing that sends data away, one button for a PNG when the pointer is over the chart.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "nebuloviz"},
    "doubleClick": "reset",
    "responsive": True,
    "showTips": False,
}


def config(filename: str = "nebuloviz", *, mode_bar: bool = True) -> Any:
    """`CONFIG` in the reader's language, with `filename` (without extension) for the PNG.

    Without `mode_bar` the picture is left to a button elsewhere, as on chart cards.
    """
    return {
        **CONFIG,
        **({} if mode_bar else {"displayModeBar": False}),
        "locale": current().language,
        "toImageButtonOptions": {**CONFIG["toImageButtonOptions"], "filename": filename},
    }


@dataclass(frozen=True, slots=True)
class Style:
    """How a figure is drawn, whatever it shows.

    `order` holds, per dimension slug, all its values in an order that the page's charts share (see `theme.colors_of`).
    `comparison` says in words what `<metric>:comparison` is ("same days last week"). `revision` is one text per question
    asked: while it stays, the reader's zoom and selections survive a refresh.
    """

    theme: Theme = "light"
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)
    comparison: str = ""
    revision: str = ""

    @property
    def tokens(self) -> Tokens:
        return tokens(self.theme)

    def colors(self, dimension: str, values: Sequence[str]) -> dict[str, str]:
        """A colour per value: those of the shared order, then, for values that it lacks, what is left."""
        return colors_of(dimension, [*self.order.get(dimension, ()), *values], self.theme)


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """Several buckets that were judged together, from `start` to `end` (aware): their mean, and the range that is normal for it."""

    start: datetime
    end: datetime
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AnomalyMark:
    """A ring on the point of `bucket` (aware, its start) at `value`; `words` say what is unusual. A click gives `alert_id`.

    With a `window` it is no ring, but that window shaded: `bucket` is its first one.
    """

    bucket: datetime
    value: float
    severity: Severity
    alert_id: int
    words: str = ""
    window: JudgedWindow | None = None

    def holds(self, bucket: datetime) -> bool:
        """Whether the bucket that starts then is one that the mark is about."""
        return bucket == self.bucket if self.window is None else self.window.start <= bucket < self.window.end


@dataclass(frozen=True, slots=True)
class Click:
    """What was clicked: the bucket's start (aware), the dimension values as filters, an alert; any may be missing."""

    bucket: datetime | None = None
    filters: tuple[tuple[str, str], ...] = ()
    alert_id: int | None = None


def clicked(click_data: object) -> Click | None:
    """What a `clickData` of one of our figures means; None where it is nothing of ours.

    Where the hover is shared a click reports a point of each series: then the bucket counts, and filters that all share.
    """
    points = click_data.get("points") if isinstance(click_data, dict) else None
    if not isinstance(points, list):
        return None
    found = [click for click in map(_click, points) if click is not None]
    if not found:
        return None
    alert_id = next((click.alert_id for click in found if click.alert_id is not None), None)
    shared = tuple(pair for pair in found[0].filters if all(pair in click.filters for click in found))
    return Click(found[0].bucket, shared, alert_id)


def _click(point: object) -> Click | None:
    marks = point.get("customdata") if isinstance(point, dict) else None
    if not isinstance(marks, list) or len(marks) < 3 or not isinstance(marks[1], list):
        return None
    bucket, filters, alert_id = marks[:3]
    pairs = tuple((pair[0], pair[1]) for pair in filters if isinstance(pair, list) and len(pair) == 2)
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        return None
    return Click(_moment(bucket), pairs, alert_id if isinstance(alert_id, int) else None)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def mark(
    bucket: datetime | None = None,
    filters: Sequence[tuple[str, str]] = (),
    alert_id: int | None = None,
    *texts: str,
) -> list[Any]:
    """One point's customdata: what `clicked` reads, then the texts that the hover template shows from `customdata[3]` on."""
    return [bucket.isoformat() if bucket else None, [list(pair) for pair in filters], alert_id, *texts]


@dataclass(slots=True)
class Drawing:
    """A figure in the making: plain data until `done`."""

    layout: dict[str, Any]
    traces: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **props: Any) -> None:
        """Add a trace of `kind` with those of `props` that are not None."""
        self.traces.append({"type": kind, **{name: value for name, value in props.items() if value is not None}})

    def x_axis(self, *parts: Mapping[str, Any], **props: Any) -> None:
        self._axis("xaxis", *parts, props)

    def y_axis(self, *parts: Mapping[str, Any], **props: Any) -> None:
        self._axis("yaxis", *parts, props)

    def _axis(self, name: str, *parts: Mapping[str, Any]) -> None:
        axis = self.layout.setdefault(name, {})
        for part in parts:
            axis.update({key: value for key, value in part.items() if value is not None})

    def note(self, text: str, **props: Any) -> None:
        """Write `text` (already escaped) on the drawing; by default at the middle of the whole."""
        middle = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        self.layout.setdefault("annotations", []).append({**middle, "text": text, "showarrow": False, **props})

    def done(self) -> go.Figure:
        """The figure. Plotly's validation takes ten times as long as all the rest, so the tests do it instead."""
        self.layout["margin"] = margins(self.layout, self.traces)
        return go.Figure(data=self.traces, layout=self.layout, _validate=False)


def drawing(title: str, style: Style, **layout: Any) -> Drawing:
    """An empty drawing in `style`; `title` also goes into `layout.meta`, where an export finds it."""
    return Drawing(
        {
            "template": template_json(style.theme),
            "meta": {"title": title},
            "uirevision": style.revision or title,
            "showlegend": False,
            **layout,
        }
    )


def empty(title: str, style: Style, words: str) -> go.Figure:
    """No axes, only `words` in the middle: what a chart shows that has nothing to show."""
    drawn = drawing(title, style, xaxis={"visible": False}, yaxis={"visible": False})
    drawn.note(words, font={"color": style.tokens.muted})
    return drawn.done()
