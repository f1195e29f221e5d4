"""What figures of several series share: the series itself, their order, what the hover says of a point, severities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nebuloviz.i18n import _
from nebuloviz.metrics.registry import Metric
from nebuloviz.services.wording import value_text
from nebuloviz.web.figures.base import Severity, Style
from nebuloviz.web.figures.text import difference_text, escape, metric_columns, shorten


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a trend, one layer of a stack: its rows in time order, its colour and its label ('' where there is only one)."""

    rows: pd.DataFrame
    color: str
    label: str = ""
    filters: tuple[tuple[str, str], ...] = ()


def hover_text(row: dict[Any, Any], line: Series, metric: Metric, style: Style, *, dot: bool = True) -> str:
    """What the shared hover says of one point: value, so far, comparison with difference, expected range.

    `dot`: with the series' colour before its label, where Plotly itself shows none.
    """
    value = float(row[metric.slug])
    _ignored, before, low, high = metric_columns(metric)
    said = f"<b>{value_text(metric, value)}</b>"
    if row.get("unfinished"):
        said = _("{value} so far", value=said)
    if line.label:
        said = f"{escape(shorten(line.label))}  {said}"
    if line.label and dot:
        said = f'<span style="color:{line.color}">●</span> {said}'
    parts = [said, difference_text(metric, value, float(row.get(before, math.nan)), style.comparison)]
    if math.isfinite(row.get(low, math.nan)) and math.isfinite(row.get(high, math.nan)):
        expected = _("{low} to {high}", low=value_text(metric, row[low]), high=value_text(metric, row[high]))
        whole = (
            row.get("unfinished") and not metric.denominator
        )  # what is running is expected to come to that, not to be it
        words = _("expected by its end {range}", range=expected) if whole else _("expected {range}", range=expected)
        parts.append(words)
    return "<br>".join(part for part in parts if part)


def severity_color(severity: Severity, style: Style) -> str:
    of = style.tokens
    return {"low": of.muted, "medium": of.warn, "high": of.bad, "critical": of.bad}[severity]
