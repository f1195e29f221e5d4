"""What arrives, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.i18n import _, number
from nebuloviz.web.figures.axes import round_ticks, time_axis, wall
from nebuloviz.web.figures.base import Style, drawing, empty


def arrivals(
    minutes: Sequence[tuple[datetime, int, int, int, int]], title: str, *, style: Style | None = None
) -> go.Figure:
    """Accepted, duplicate and rejected records by minute of arrival, stacked. `minutes` as in `StreamStatus`."""
    style = style or Style()
    if not any(accepted or duplicate or rejected for _at, accepted, duplicate, rejected, _late in minutes):
        return empty(title, style, _("Nothing arrived in the last hour"))
    at = wall(pd.Series([minute for minute, *_rest in minutes]))
    drawn = drawing(title, style, hovermode="x unified", barmode="stack", bargap=0.2, dragmode=False)
    kinds = (
        (_("Accepted"), style.tokens.series[0], ""),
        (_("Duplicate"), style.tokens.other, ""),
        (_("Rejected"), style.tokens.bad, "/"),
    )
    columns = zip(
        *((accepted, duplicate, rejected) for _at, accepted, duplicate, rejected, _late in minutes), strict=True
    )
    for (name, color, pattern), counts in zip(kinds, columns, strict=True):
        drawn.add(
            "bar",
            x=at,
            y=list(counts),
            name=name,
            marker={"color": color, "pattern": {"shape": pattern, "size": 4}},
            customdata=[[number(count)] for count in counts],
            hovertemplate="%{customdata[0]}",
        )
    drawn.x_axis(time_axis(at, "minute", bars=True), showspikes=False, fixedrange=True)
    drawn.y_axis(_count_axis(minutes))
    drawn.layout["showlegend"] = True
    return drawn.done()


def _count_axis(minutes: Sequence[tuple[datetime, int, int, int, int]]) -> dict[str, Any]:
    most = max(accepted + duplicate + rejected for _at, accepted, duplicate, rejected, _late in minutes)
    ticks = [tick for tick in round_ticks(0, float(most)) if tick == int(tick)]
    return {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [number(tick) for tick in ticks],
        "range": [0, most * 1.06],
        "fixedrange": True,
    }
