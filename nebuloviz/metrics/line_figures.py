"""What alerts are about that no query adds up: figures of single lines and orders, of records that come in, of what sales carry."""

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
#: The measure of lines without a value in some column, and what the slugs of such shares begin with.
MISSING, _WITHOUT = "missing", "without_"
#: Of values of a dimension that no sale has had before: the lines that bring them.
NEW_VALUES = "new_values"
_MISSING_SHARES = {
    "customer": lazy("Share of sales without a customer"),
    "category": lazy("Share of sales without a category"),
    "region": lazy("Share of sales without a region"),
    "country": lazy("Share of sales without a country"),
    "channel": lazy("Share of sales without a channel"),
    "store": lazy("Share of sales without a store"),
}
_SCHEMA_FIGURES: dict[str, tuple[Metric, str]] = {
    **{
        f"{_WITHOUT}{name}": (
            Metric(f"{_WITHOUT}{name}", label, "ratio", (MISSING,), ("lines",), up_is_good=False),
            "lines",
        )
        for name, label in _MISSING_SHARES.items()
    },
    NEW_VALUES: (
        Metric(NEW_VALUES, lazy("Sales with a value never seen before"), "count", ("lines",), up_is_good=None),
        "lines",
    ),
}
_FIGURES = _LINE_FIGURES | _STREAM_FIGURES | _SCHEMA_FIGURES

#: Their slugs.
LINE_FIGURES = tuple(_LINE_FIGURES)
STREAM_FIGURES = tuple(_STREAM_FIGURES)
SCHEMA_FIGURES = tuple(_SCHEMA_FIGURES)


def missing_column(slug: str) -> str:
    """What the sales lack that a share of them is about.

    >>> missing_column("without_region")
    'region'
    """
    return slug.removeprefix(_WITHOUT)


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
