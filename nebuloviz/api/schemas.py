"""What goes in and out of the API. Field names are fixed: other programs are written against them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nebuloviz.metrics.query import MAX_FILTER_VALUES, MAX_LIMIT, Comparison, FilterOperator, Grain

_MOST_COLUMNS = 20


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


Text = Annotated[str, Field(max_length=500), AfterValidator(_without_nul)]
Slug = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Moment = Annotated[
    str,
    Field(
        max_length=40,
        description="ISO 8601, such as 2026-11-22T15:00:00Z or 2026-11-22; without an offset it is in `time_zone`.",
        json_schema_extra={"format": "date-time"},
    ),
]


class Incoming(BaseModel):
    """A body: strict about types, and about fields that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Credentials(Incoming):
    username: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=1024)]


class RefreshRequest(Incoming):
    refresh_token: Annotated[str, Field(max_length=4096)]


class Tokens(Outgoing):
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: Annotated[int, Field(description="Seconds until the access token expires.")]


class Me(Outgoing):
    id: int
    username: str
    role: str
    permissions: list[str]
    language: str
    time_zone: str
    theme: str


class MetricEntry(Outgoing):
    name: str
    label: str
    unit: str
    description: str
    up_is_good: bool | None


class DimensionEntry(Outgoing):
    name: str
    label: str


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
    metrics: Annotated[list[Slug], Field(min_length=1, max_length=_MOST_COLUMNS)]
    dimensions: Annotated[list[Slug], Field(default_factory=list, max_length=_MOST_COLUMNS)]
    grain: Grain | None = None
    start: Moment
    end: Moment
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    filters: Annotated[list[FilterBody], Field(default_factory=list, max_length=_MOST_COLUMNS)]
    order: Annotated[
        str | None,
        Field(max_length=65, description="A metric, a dimension or `bucket`; with `-` in front for descending."),
    ] = None
    limit: Annotated[int | None, Field(ge=1, le=MAX_LIMIT)] = None
    other: Annotated[bool, Field(description="Add what is beyond `limit` as one row.")] = False
    comparison: Comparison | None = None
    week_start: Annotated[int, Field(ge=0, le=6, description="0 = Monday ... 6 = Sunday.")] = 0


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


class AlertItem(Outgoing):
    """An anomaly of one series. Figures are in the metric's unit; times are UTC."""

    id: int
    series: str
    metric: str
    dimensions: dict[str, str]
    bucket_start: datetime
    bucket_end: datetime
    observed: float
    expected: float | None
    expected_low: float | None
    expected_high: float | None
    score: float
    severity: str
    state: str
    created_at: datetime


class AlertList(Outgoing):
    """`next` continues the list as `cursor`; null at its end."""

    items: list[AlertItem]
    next: str | None


class SaleResult(Outgoing):
    """What became of one item. `reason` is given for rejected ones."""

    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = None


class SalesAnswer(Outgoing):
    accepted: int
    duplicates: int
    rejected: int
    results: list[SaleResult]


class Problem(Outgoing):
    """RFC 9457. `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None
