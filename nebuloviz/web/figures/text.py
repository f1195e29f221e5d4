"""Text on figures: values by unit, labels of dimension values, titles; everything foreign made literal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nebuloviz.i18n import (
    Preferences,
    _,
    change,
    current,
    is_rtl,
    mid_sentence,
    money,
    number,
)
from nebuloviz.metrics.registry import Metric, dimension
from nebuloviz.services.wording import CACHED_TEXTS, value_text

MAX_LABEL_LENGTH = 24
MAX_DIRECT_LABEL_LENGTH = 16
_CENTS_BELOW = 10_000
_SHORT_FROM = 1_000_000


def escape(text: str) -> str:
    """`text` as Plotly shows it literally: its pseudo-HTML (`<b>`, links, `&lt;`) and line breaks lose their meaning.

    >>> escape("<b>A&B</b>")
    '&lt;b&gt;A&amp;B&lt;/b&gt;'
    """
    literal = " ".join(text.split())
    return literal.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, longest: int = MAX_LABEL_LENGTH) -> str:
    """`text`, cut with an ellipsis where it has more than `longest` characters. Cut first, escape after."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def short_labels(labels: Mapping[str, str], longest: int = MAX_LABEL_LENGTH) -> dict[str, str]:
    """Value -> its words, cut where they are long; where two would then read the same, the values stand beside them."""
    cut = {value: shorten(label, longest) for value, label in labels.items()}
    times = Counter(cut.values())
    return {
        value: short if times[short] == 1 else _with_id(labels[value], value, longest) for value, short in cut.items()
    }


def _with_id(label: str, value: str, longest: int) -> str:
    name = label.removesuffix(f" ({value})")
    return f"{shorten(name, max(longest - len(value) - 3, 8))} ({value})"


def tile_text(metric: Metric, value: float | None) -> str:
    """`value` as the one figure of a tile, by the metric's unit: $29.27, $340,126, $1.2M. Cents are for amounts that they change."""
    size = 0.0 if value is None or not math.isfinite(value) else abs(value)
    if metric.unit == "money" and _CENTS_BELOW <= size < _SHORT_FROM:
        return money(value, digits=0)
    return value_text(metric, value, short=size >= _SHORT_FROM)


def difference_text(metric: Metric, value: float, before: float, comparison: str) -> str:
    """How `value` stands to `before`: "$90.00 same days last week · ▲ +12%"; '' where there is nothing to compare with."""
    if not (math.isfinite(value) and math.isfinite(before)):
        return ""
    words = comparison or _("before")
    then = _("{value} {when}", value=value_text(metric, before), when=words)
    return f"{then} · {_step(metric, value, before)}"


def _step(metric: Metric, value: float, before: float) -> str:
    """The relative change; 'new' rather than infinity, and points rather than per cent of per cents."""
    if metric.unit == "ratio":
        return points_text(value - before)
    if before == 0:
        return _("unchanged") if value == 0 else _("new")
    return _change_text(round((value - before) / abs(before), 4), current())


@lru_cache(maxsize=CACHED_TEXTS)
def _change_text(relative: float, _reader: Preferences) -> str:
    return change(relative)


def points_text(step: float) -> str:
    """A difference of two ratios, in percentage points, with its arrow: ▲ +1.2 pts."""
    arrow, sign = ("▲", "+") if step > 0 else ("▼", "−") if step < 0 else ("■", "")
    # The mark keeps the sign on the left of its number in right-to-left text, too.
    signed = ("\u200e" if sign and is_rtl(current().language) else "") + sign + number(abs(step) * 100, 1)
    return _("{arrow} {number} pts", arrow=arrow, number=signed)


def unit_text(metric: Metric) -> str:
    """The unit as a title names it: the currency's code, '%', or '' for plain counts."""
    if metric.unit == "money":
        return current().currency
    return "%" if metric.unit == "ratio" else ""


def title_of(metric: Metric, by: str | None = None) -> str:
    """The title of a chart of `metric`, by a dimension's slug if split: "Revenue by category, USD"."""
    named = str(metric.label)
    if by is not None:
        named = _("{metric} by {dimension}", metric=named, dimension=mid_sentence(dimension(by).label))
    return with_unit(named, metric)


def with_unit(named: str, metric: Metric) -> str:
    """`named`, what a chart of `metric` shows, and the unit: "Revenue per hour and weekday, USD"."""
    unit = unit_text(metric)
    return _("{metric}, {unit}", metric=named, unit=unit) if unit else named


def range_text(metric: Metric, row: Mapping[Any, Any]) -> str:
    """The expected range of a row, a dash where nothing was expected."""
    *_ignored, low, high = metric_columns(metric)
    least, most = float(row[low]), float(row[high])
    if not (math.isfinite(least) and math.isfinite(most)):
        return value_text(metric, None)
    return _("{low} to {high}", low=value_text(metric, least), high=value_text(metric, most))


def metric_columns(metric: Metric) -> tuple[str, str, str, str]:
    """Names of the columns of a metric: value, comparison, expected low, expected high."""
    return metric.slug, f"{metric.slug}:comparison", f"{metric.slug}:low", f"{metric.slug}:high"
