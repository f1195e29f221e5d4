"""Questions about sales, and their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import MAX_COLUMNS, Incoming, Moment, Outgoing, Slug, Text
from nebuloviz.metrics.query import MAX_FILTER_VALUES, MAX_LIMIT, Comparison, FilterOperator, Grain

WEEK_START = "0 = Monday ... 6 = Sunday. Left out, it is the user's own."
YEAR_START = "Month from which quarters and years are counted; 1 = January. Left out, it is the installation's."


class MetricEntry(Outgoing):
    name: str
    label: str
    unit: str
    description: str
    up_is_good: bool | None


class DimensionEntry(Outgoing):
    """A question may call it by one of `aliases` too."""

    name: str
    label: str
    aliases: list[str]


class Catalogue(Outgoing):
    items: list[MetricEntry]


class DimensionCatalogue(Outgoing):
    items: list[DimensionEntry]


class FilterBody(Incoming):
    """Sales whose `dimension` is one of `values`, or none of them. An empty text stands for 'not given'."""

    dimension: Slug
    op: FilterOperator = "in"
    values: Annotated[list[Text], Field(min_length=1, max_length=MAX_FILTER_VALUES)]


class QueryBody(Incoming):
    metrics: Annotated[list[Slug], Field(min_length=1, max_length=MAX_COLUMNS)]
    dimensions: Annotated[list[Slug], Field(default_factory=list, max_length=MAX_COLUMNS)]
    grain: Grain | None = None
    start: Moment
    end: Moment
    time_zone: Annotated[
        str | None, Field(max_length=64, description="Whose days they are. Left out, it is the user's own.")
    ] = None
    filters: Annotated[list[FilterBody], Field(default_factory=list, max_length=MAX_COLUMNS)]
    order: Annotated[
        str | None,
        Field(max_length=65, description="A metric, a dimension or `bucket`; with `-` in front for descending."),
    ] = None
    limit: Annotated[int | None, Field(ge=1, le=MAX_LIMIT)] = None
    other: Annotated[bool, Field(description="Add what is beyond `limit` as one row.")] = False
    comparison: Comparison | None = None
    week_start: Annotated[int | None, Field(ge=0, le=6, description=WEEK_START)] = None
    year_start: Annotated[int | None, Field(ge=1, le=12, description=YEAR_START)] = None


class Column(Outgoing):
    name: str
    type: Literal["time", "text", "number", "boolean"]
    unit: str


class QueryAnswer(Outgoing):
    """One row per bucket and combination of values. A missing figure is null."""

    columns: list[Column]
    rows: list[list[Any]]


class Point(Outgoing):
    start: Annotated[datetime, Field(description="Start of the bucket, in the series' time zone.")]
    value: float | int | None
    unfinished: Annotated[bool, Field(description="The bucket has not ended yet; its value will still change.")]


class Series(Outgoing):
    metric: str
    unit: str
    grain: Grain
    time_zone: str
    points: list[Point]


class ExpectedPoint(Outgoing):
    """Of a bucket: what was to be expected, and between which values nothing is unusual; null while that is not known."""

    start: datetime
    expected: float | None
    low: float | None
    high: float | None


class ExpectedSeries(Outgoing):
    metric: str
    unit: str
    grain: Grain
    time_zone: str
    points: list[ExpectedPoint]


class FreshnessItem(Outgoing):
    """The newest sale, the newest arrival, and the range that there is; null while there is none. `sample`: its name, where shown."""

    first_sale: datetime | None
    last_sale: datetime | None
    last_arrival: datetime | None
    currency: str
    lines: int
    sample: str
    stamp: str


class Value(Outgoing):
    value: str
    label: str


class ValueList(Outgoing):
    """The largest by recent revenue first."""

    items: list[Value]
