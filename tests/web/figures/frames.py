"""What figures are drawn of in these tests, and how a figure is asked for its traces."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from nebuloviz.metrics.registry import metric
from nebuloviz.web.figures import PlannedMark

REVENUE, ORDERS, DISCOUNT, AVERAGE = (
    metric(slug) for slug in ("revenue", "orders", "discount_rate", "average_order_value")
)
BERLIN = "Europe/Berlin"


def days(count: int = 28, start: str = "2026-09-28", zone: str = BERLIN, grain: str = "D") -> pd.DataFrame:
    buckets = pd.date_range(start, periods=count, freq=grain, tz=zone)
    values = [1000.0 + 10 * (number % 7) for number in range(count)]
    return pd.DataFrame({"bucket": buckets, "revenue": values})


def with_all(frame: pd.DataFrame) -> pd.DataFrame:
    extra = {"revenue:comparison": 800.0, "revenue:low": 900.0, "revenue:high": 1100.0, "unfinished": False}
    made = frame.assign(**extra)
    made.loc[made.index[-1], "unfinished"] = True
    return made


def forecast(start: str = "2026-10-25", count: int = 4) -> pd.DataFrame:
    """The bucket under way of `with_all(days())`, and three more."""
    buckets = pd.date_range(start, periods=count, freq="D", tz=BERLIN)
    ranges = {"value": 1100.0, "low_80": 1000.0, "high_80": 1200.0, "low_95": 900.0, "high_95": 1500.0}
    return pd.DataFrame({"bucket": buckets, **ranges})


def parts(*values: str, slug: str = "category") -> pd.DataFrame:
    amounts = [float(100 * (len(values) - number)) for number in range(len(values))]
    return pd.DataFrame({slug: list(values), "revenue": amounts, "orders": amounts, "discount_rate": 0.1})


def split(*values: str, count: int = 5) -> pd.DataFrame:
    frames = [days(count).assign(category=value, revenue=float(1000 - number)) for number, value in enumerate(values)]
    return pd.concat(frames, ignore_index=True)


def trace(figure: go.Figure, **what: Any) -> Any:
    return next(item for item in figure.data if all(getattr(item, name) == value for name, value in what.items()))


def points(figure: go.Figure) -> Any:
    """The trace that bears hover and click of a trend's first line."""
    return next(item for item in figure.data if item.customdata is not None)


def planned(name: str, first: int = 3, last: int = 4, *, closed: bool = False) -> PlannedMark:
    start, end = (days(60)["bucket"][each].to_pydatetime().replace(tzinfo=None) for each in (first, last + 1))
    return PlannedMark(start, end, closed, "Closed" if closed else "Promotion", name)
