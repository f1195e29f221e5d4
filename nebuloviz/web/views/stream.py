"""Data: what streams in, how fast and how late, and where it has halted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, duration, format_time, number, relative
from nebuloviz.services.interfaces import Freshness, PartitionStatus, StreamStatus
from nebuloviz.web.charts import ChartView
from nebuloviz.web.components import badge, empty_state, kpi_list
from nebuloviz.web.components.basic import button, given
from nebuloviz.web.figures import Style
from nebuloviz.web.figures.stream import arrivals

#: Types of the ids of buttons: one asks whether a halted partition should go on, the other lets it.
ASK, CONFIRM, CANCEL_ID = "data-resume", "data-resume-confirm", "data-resume-cancel"


def pace(status: StreamStatus, freshness: Freshness, now: datetime) -> Component:
    """Rate, lag and lateness at a glance."""
    minutes = status.minutes[-6:-1]  # the last one is not over
    recent = sum(accepted for _at, accepted, *_rest in minutes)
    hour = sum(accepted for _at, accepted, *_rest in status.minutes)
    late = max((late for _at, *counts, late in status.minutes[-5:] if any(counts)), default=None)
    lags = [partition.lag for partition in status.partitions if partition.lag is not None]
    newest = (now - freshness.last_arrival).total_seconds() if freshness.last_arrival else None
    return kpi_list(
        [
            (_("Sales per minute"), _rate(recent / max(len(minutes), 1))),
            (_("In the last hour"), number(hour)),
            (_("Waiting in Kafka"), number(sum(lags)) if lags else "–"),
            (_("Delay after the sale"), "–" if late is None else duration(late)),
            (_("Latest arrival"), relative(newest)),
            (_("Sale lines stored"), number(freshness.lines)),
        ]
    )


def about_sample(name: str) -> Component:
    """What the sample is, and how sales of one's own come to be shown."""
    words = [
        _(
            "{name} by 84.51°: a year of real sales from a supermarket chain, moved to the present. New sales keep arriving.",
            name=name,
        ),
        _("Its fuel is counted in units of about a thousandth of a gallon, so fuel makes up most of the units."),
    ]
    own = _(
        "Load your own sales into an empty database: set NEBULOVIZ_DATA_DIR to another folder, and start with serve --no-demo."
    )
    return html.Div([html.P(" ".join(words)), html.P(own, className="nv-muted")], className="nv-sample-words")


def _rate(each_minute: float) -> str:
    """Tenths only where they matter."""
    return number(each_minute, 0 if each_minute >= 10 or each_minute.is_integer() else 1)


def pace_view(status: StreamStatus, style: Style) -> ChartView:
    title = _("Records per minute, by arrival")
    return ChartView(title, arrivals(status.minutes, title, style=style), lambda: minutes_table(status))


def minutes_table(status: StreamStatus) -> Component:
    """The table behind the chart of arrivals, the newest minute first."""
    heads = (_("Minute"), _("Accepted"), _("Duplicate"), _("Rejected"), _("Latest after the sale"))
    rows = [
        [format_time(minute), number(accepted), number(duplicate), number(rejected), duration(late)]
        for minute, accepted, duplicate, rejected, late in reversed(status.minutes)
        if accepted or duplicate or rejected
    ]
    return _table(heads, rows)


def partitions(status: StreamStatus, now: datetime, *, manageable: bool) -> Component:
    """Where the stream stands in each of its partitions; one that has halted says why, and can be set going again."""
    if not status.partitions:
        return empty_state(
            _("No stream yet"),
            icon_name="broadcast",
            hint=_(
                "Set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to read from Kafka, post sales to the API, or import a file below."
            ),
        )
    heads = (
        _("Source"), _("State"), _("Partition"), _("Position"), _("Waiting"), _("Accepted"), _("Duplicate"), _("Rejected"),
        _("Last record"),
    )  # fmt: skip
    return _table(
        heads, [_partition(part, now, manageable=manageable) for part in status.partitions], text_columns={0, 1}
    )


def _partition(part: PartitionStatus, now: datetime, *, manageable: bool) -> list[Any]:
    return [
        html.Bdi(part.topic),
        _state(part, manageable=manageable),
        number(part.partition),
        number(part.next_offset),
        number(part.lag),
        number(part.accepted),
        number(part.duplicate),
        number(part.rejected),
        relative((now - part.updated_at).total_seconds()),
    ]


def _state(part: PartitionStatus, *, manageable: bool) -> Component:
    """Whether it runs; of one that has halted why, and for those who may what to do."""
    if not part.halted_reason:
        return badge(_("Running"), "good")
    parts: list[Component] = [
        badge(_("Halted"), "bad", icon_name="exclamation-octagon"),
        html.Div(part.halted_reason, className="nv-muted"),
    ]
    if manageable:
        here = (part.topic, part.partition, part.next_offset)
        buttons = [
            button(_("Resume"), id=resume_id(*here), icon_name="play"),
            button(_("Skip the record"), id=resume_id(*here, skips=True), icon_name="skip-forward", kind="quiet"),
        ]
        parts.append(html.Div(buttons, className="nv-form-actions"))
    return html.Div(parts)


def resume_id(topic: Any, partition: Any, offset: Any, *, skips: Any = False, kind: str = ASK) -> dict[str, Any]:
    """The id of a button that lets a partition go on at the position `offset`, or skips the record there."""
    return {"type": kind, "topic": topic, "partition": partition, "offset": offset, "skips": skips}


def resume_question(topic: str, partition: int, offset: int, *, skips: bool) -> Component:
    """What is about to be done to a halted partition, to be confirmed."""
    where = {"source": topic, "part": number(partition), "position": number(offset)}
    if skips:
        words = _("Skip the record at position {position} of {source}, partition {part}?", **where)
        hint, label = _("It will not be read; the gap stays on record."), _("Skip the record")
    else:
        words = _("Resume {source}, partition {part}, at position {position}?", **where)
        hint, label = _("If the cause has not been fixed, it halts again."), _("Resume")
    confirm = resume_id(topic, partition, offset, skips=skips, kind=CONFIRM)
    actions = [button(label, id=confirm, kind="primary"), button(_("Cancel"), id=CANCEL_ID)]
    return html.Div(
        [
            html.Div([html.Strong(words), html.P(hint, className="nv-muted")]),
            html.Div(actions, className="nv-form-actions"),
        ],
        className="nv-question",
        role="group",
        **given(aria_label=words),
    )


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], text_columns: frozenset[int] | set[int] = frozenset({0})
) -> Component:
    """Plain rows under plain heads; columns not in `text_columns` are figures."""
    kind = [None if index in text_columns else "nv-num" for index in range(len(heads))]
    head = html.Tr([html.Th(words, scope="col", className=name) for words, name in zip(heads, kind, strict=True)])
    body = [html.Tr([html.Td(cell, className=name) for cell, name in zip(row, kind, strict=True)]) for row in rows]
    return html.Div(html.Table([html.Thead(head), html.Tbody(body)], className="nv-table"), className="nv-table-wrap")
