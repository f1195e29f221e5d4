"""Figures and alerts in the reader's words, on pages and in messages alike."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import lru_cache

from nebuloviz.detection.alerts import rule_of
from nebuloviz.i18n import Preferences, _, compact, current, duration, money, number, percent, quantity
from nebuloviz.metrics.line_figures import figure
from nebuloviz.metrics.registry import Metric, Unit
from nebuloviz.services.interfaces import AlertView
from nebuloviz.services.shown import value_label

#: Formatted texts that are kept: charts that are drawn again every few seconds mostly repeat themselves.
CACHED_TEXTS = 32_768


def value_text(metric: Metric, value: float | None, *, short: bool = False) -> str:
    """`value` by the metric's unit: $1,234.50, 1,234, 12.3%; `short` where space is scarce: $1.2K. Missing is a dash."""
    known = None if value is None or not math.isfinite(value) else float(value)
    return _value_text(metric.unit, known, short, current())


@lru_cache(maxsize=CACHED_TEXTS)
def _value_text(unit: Unit, known: float | None, short: bool, _reader: Preferences) -> str:  # noqa: FBT001 - a cache's key
    match unit:
        case "money":
            return money(
                known, compact=short and abs(known or 0) >= 1000, digits=_short_digits(known) if short else None
            )
        case "ratio":
            return percent(known)
        case "quantity":
            return compact(known) if short and abs(known or 0) >= 1000 else quantity(known)
        case "count":
            return compact(known) if short and abs(known or 0) >= 1000 else number(known)


def _short_digits(value: float | None) -> int:
    """Decimals of a short amount: three figures are enough, so $12.3K but $123K."""
    size = abs(value or 0)
    if size < 1000:
        return 2 if 0 < size < 10 else 0
    return 1 if size / 1000 ** int(math.log10(size) // 3) < 100 else 0


def severity_word(severity: str) -> str:
    return {"low": _("Low"), "medium": _("Medium"), "high": _("High"), "critical": _("Critical")}[severity]


def judged_hours(alert: AlertView) -> int:
    """How many hours were judged together; 0 of what was not judged by the hour."""
    start, end = alert.judged
    return (end - start) // timedelta(hours=1) if alert.detector == "series" else 0


def alert_words(alert: AlertView) -> str:
    """What is unusual, in one sentence: "Revenue: 38% below expected, $620.00 instead of $1,000.00 in 2 h"."""
    hours, sentence = judged_hours(alert), _sentence(alert)
    return _("{sentence} in {time}", sentence=sentence, time=duration(hours * 3600)) if hours > 1 else sentence


def _sentence(alert: AlertView) -> str:
    metric = figure(alert.metric)
    observed = value_text(metric, alert.observed)
    if said := _beyond_its_rule(alert, metric, observed):
        return said
    if not alert.expected:
        return _("{metric}: {observed}, where nothing was expected", metric=metric.label, observed=observed)
    size = percent(abs(alert.observed - alert.expected) / abs(alert.expected), 0)
    values = {
        "metric": metric.label,
        "percent": size,
        "observed": observed,
        "expected": value_text(metric, alert.expected),
    }
    if alert.observed < alert.expected:
        return _("{metric}: {percent} below expected, {observed} instead of {expected}", **values)
    return _("{metric}: {percent} above expected, {observed} instead of {expected}", **values)


def _beyond_its_rule(alert: AlertView, metric: Metric, observed: str) -> str:
    """Of an alert by a rule whose bound does not follow from an expectation, which bound it is beyond; '' of others."""
    low, high, usual = alert.expected_low, alert.expected_high, alert.expected
    if rule_of(alert.detector) is None:
        return ""
    if low is not None and alert.observed < low and not (usual and usual > alert.observed):
        return _(
            "{metric}: {observed}, less than {bound}",
            metric=metric.label,
            observed=observed,
            bound=value_text(metric, low),
        )
    if high is not None and alert.observed > high and not (usual and usual < alert.observed):
        return _(
            "{metric}: {observed}, more than {bound}",
            metric=metric.label,
            observed=observed,
            bound=value_text(metric, high),
        )
    return ""


def series_words(alert: AlertView) -> str:
    """Which series: the values of its dimensions, or "All sales"."""
    return " · ".join(value_label(value) for value in alert.dimensions.values()) or _("All sales")
