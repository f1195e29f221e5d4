"""What alerts are about that no query adds up: figures of single lines and orders, and of the records that come in."""

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
_COUNTS = ("accepted", "duplicate", "rejected")  # what becomes of a record, see `models.IngestMinute`
_STREAM_FIGURES: dict[str, tuple[Metric, str]] = {
    "records": (Metric("records", lazy("Records received"), "count", _COUNTS), "lines"),
    "repeated_records": (
        Metric(
            "repeated_records", lazy("Share of repeated records"), "ratio", ("duplicate",), _COUNTS, up_is_good=False
        ),
        "lines",
    ),
    "rejected_records": (
        Metric(
            "rejected_records", lazy("Share of rejected records"), "ratio", ("rejected",), _COUNTS, up_is_good=False
        ),
        "lines",
    ),
}
_FIGURES = _LINE_FIGURES | _STREAM_FIGURES

#: Their slugs.
LINE_FIGURES = tuple(_LINE_FIGURES)
STREAM_FIGURES = tuple(_STREAM_FIGURES)


def figure(slug: str) -> Metric:
    """What an alert's `metric` names: a metric, or a figure of lines or of the stream; for its label and unit.

    Raises:
        InvalidQuery: names the known metrics.
    """
    return _FIGURES[slug][0] if slug in _FIGURES else metric(slug)


def metric_behind(slug: str) -> str:
    """The metric to chart for an alert about `slug`, itself where it is a metric.

    >>> metric_behind("quantity"), metric_behind("orders")
    ('units', 'orders')
    """
    return _FIGURES[slug][1] if slug in _FIGURES else slug
