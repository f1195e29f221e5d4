"""What is forecast, on a chart over time: dashed beyond the last bucket that has ended, with its ranges as bands.

A forecast has a row a bucket, the one under way first: `bucket` (start, aware), `value`, `low_80`, `high_80`, `low_95`, `high_95`.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nebuloviz.i18n import _, percent
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.wording import value_text
from nebuloviz.web.figures.axes import wall
from nebuloviz.web.figures.base import Drawing, Style
from nebuloviz.web.theme import alpha

#: Ranges by how often they hold, the wider first, with how strongly they are tinted.
_RANGES = ((95, 0.10), (80, 0.16))


def add_ahead(drawn: Drawing, ended: pd.DataFrame, ahead: pd.DataFrame, metric: Metric, style: Style) -> None:
    """Draw the forecast `ahead`; it sets out from the last of the rows that have `ended`."""
    color, at = style.tokens.series[0], wall(ahead["bucket"])
    last = ended.tail(1)
    begin, known = wall(last["bucket"]), last[metric.slug].tolist()
    for level, tint in _RANGES:
        low, high = ([*known, *ahead[f"{end}_{level}"].tolist()] for end in ("low", "high"))
        edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        drawn.add("scatter", x=[*begin, *at], y=high, showlegend=False, **edge)
        name = _("{percent} of the time", percent=percent(level / 100, 0))
        drawn.add("scatter", x=[*begin, *at], y=low, fill="tonexty", fillcolor=alpha(color, tint), name=name, **edge)
    drawn.add(
        "scatter",
        x=[*begin, *at],
        y=[*known, *ahead["value"].tolist()],
        mode="lines",
        line={"color": color, "width": 2, "dash": "6px,4px"},
        hoverinfo="skip",
        name=_("Forecast"),
    )


def ahead_values(ahead: pd.DataFrame | None) -> list[float]:
    """What the value axis has to reach."""
    return [] if ahead is None else [float(each) for each in ahead[["low_95", "high_95"]].to_numpy().ravel()]


def joined(rows: pd.DataFrame, ahead: pd.DataFrame | None, metric: Metric) -> pd.DataFrame:
    """`rows` with what is forecast beside them; buckets that have not begun stand at what is expected of them, as `coming`."""
    if ahead is None:
        return rows
    both = rows.merge(ahead, on="bucket", how="outer").sort_values("bucket", ignore_index=True)
    coming = both[metric.slug].isna() & both["value"].notna()
    unfinished = [True if pd.isna(each) else bool(each) for each in both.get("unfinished", coming)]
    return both.assign(
        **{metric.slug: both[metric.slug].mask(coming, both["value"])}, coming=coming, unfinished=unfinished
    )


def ahead_text(row: dict[Any, Any], metric: Metric) -> str:
    """What the hover says of a joined row's forecast; '' where there is none."""
    if not math.isfinite(row.get("value", math.nan)):
        return ""
    lines = [_("{value} forecast", value=f"<b>{value_text(metric, row['value'])}</b>")]
    for level in (80, 95):
        low, high = (value_text(metric, row[f"{end}_{level}"]) for end in ("low", "high"))
        between = _("{low} to {high}", low=low, high=high)
        lines.append(_("{percent} of the time {range}", percent=percent(level / 100, 0), range=between))
    return "<br>".join(lines)
