"""What the time ahead will bring."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Outgoing


class ForecastPoint(Outgoing):
    """In four of five cases what comes lies within `low_80` and `high_80`, in nineteen of twenty within `low_95` and `high_95`."""

    start: Annotated[datetime, Field(description="Start of the bucket, in the forecast's time zone.")]
    end: datetime
    value: Annotated[
        float, Field(description="Of the bucket under way: what came in so far, and what is still expected.")
    ]
    low_80: float
    high_80: float
    low_95: float
    high_95: float


class Forecast(Outgoing):
    """The bucket under way and those after it; no points where there are too few days of sales, or none lately."""

    metric: str
    unit: str
    grain: str
    time_zone: str
    days: Annotated[int, Field(description="From so many whole days of sales.")]
    points: list[ForecastPoint]
