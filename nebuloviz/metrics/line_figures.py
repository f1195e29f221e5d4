"""What alerts on sale lines are about: figures of single lines and orders, which no query adds up."""

from __future__ import annotations

from nebuloviz.i18n import lazy
from nebuloviz.metrics.registry import Metric, metric

#: Each with the metric whose course shows best what it is about.
_LINE_FIGURES: dict[str, tuple[Metric, str]] = {
    "unit_price": (Metric("unit_price", lazy("Unit price"), "money", (), up_is_good=None), "revenue"),
    "quantity": (Metric("quantity", lazy("Quantity of a line"), "quantity", (), up_is_good=None), "units"),
    "price_drops": (
        Metric("price_drops", lazy("Orders at unusually low prices"), "count", (), up_is_good=False),
        "revenue",
    ),
    "repeated_orders": (Metric("repeated_orders", lazy("Repeated orders"), "count", (), up_is_good=False), "orders"),
}

#: Their slugs.
LINE_FIGURES = tuple(_LINE_FIGURES)


def figure(slug: str) -> Metric:
    """What an alert's `metric` names: a metric, or a figure of lines; for its label and unit.

    Raises:
        InvalidQuery: names the known metrics.
    """
    return _LINE_FIGURES[slug][0] if slug in _LINE_FIGURES else metric(slug)


def metric_behind(slug: str) -> str:
    """The metric to chart for an alert about `slug`, itself where it is a metric.

    >>> metric_behind("quantity"), metric_behind("orders")
    ('units', 'orders')
    """
    return _LINE_FIGURES[slug][1] if slug in _LINE_FIGURES else slug
