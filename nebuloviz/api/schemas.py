"""What goes in and out of the API. Field names are fixed: other programs are written against them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Query as Parameter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from nebuloviz.errors import InvalidInput
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

#: Of a list, a parameter of the URL.
Cursor = Annotated[str | None, Parameter(max_length=4_000, description="`next` of the page before.")]
_Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
#: A row scope: dimension -> the values that may be seen; empty where all may.
Scope = Annotated[dict[str, list[Text]], BeforeValidator(dict)]
_Rows = Annotated[dict[Slug, list[Text]], Field(max_length=_MOST_COLUMNS)]


def moment_of(name: str, text: str | None) -> datetime | None:
    """A parameter's time, aware; without an offset it is taken as UTC.

    Raises:
        InvalidInput: it is none.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} is no ISO 8601 time; write it like 2026-11-22T15:00:00Z.") from None


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


class Note(Incoming):
    note: Annotated[Text, Field(max_length=2000)] = ""


class AlertEntry(Outgoing):
    """What happened to an alert, and who did it."""

    at: datetime
    kind: str
    username: str
    note: str


class AlertHistory(Outgoing):
    """Oldest first."""

    items: list[AlertEntry]


class SegmentShare(Outgoing):
    """What one segment carries of an alert's deviation: `share` of it, from `expected` to `observed`."""

    dimension: str
    value: str
    observed: float
    expected: float
    share: float


class SegmentShares(Outgoing):
    items: list[SegmentShare]


class Value(Outgoing):
    value: str
    label: str


class ValueList(Outgoing):
    """The largest by recent revenue first."""

    items: list[Value]


class Finding(Outgoing):
    """A finding in words, and the question that backs it as the parameters of a page's address."""

    text: str
    severity: str
    weight: float
    alert_id: int | None
    query: dict[str, list[str]]


class Findings(Outgoing):
    """The weightiest first."""

    items: list[Finding]


class SaleItem(Outgoing):
    """A stored sale line. Amounts are in the installation's currency; `sold_at` is UTC."""

    sale_id: str
    order_id: str
    sold_at: datetime
    customer_id: str
    product_id: str
    product: str
    category: str
    region: str
    country: str
    channel: str
    store: str
    quantity: float
    unit_price: float
    discount: float
    revenue: float


class SaleList(Outgoing):
    """`total` counts all lines of the range and filters."""

    items: list[SaleItem]
    next: str | None
    total: int


class PartitionItem(Outgoing):
    topic: str
    partition: int
    next_offset: int
    lag: int | None
    accepted: int
    duplicate: int
    rejected: int
    updated_at: datetime
    halted_reason: Annotated[str, Field(description="Empty while it runs.")]


class Minute(Outgoing):
    """What arrived in one minute; `late_seconds` is how late the sales were in the mean."""

    minute: datetime
    accepted: int
    duplicate: int
    rejected: int
    late_seconds: int


class StreamAnswer(Outgoing):
    """`minutes` are the last sixty, the newest last."""

    partitions: list[PartitionItem]
    minutes: list[Minute]


class PartitionStart(Incoming):
    topic: Annotated[Text, Field(min_length=1)]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    skip_to: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None


class ImportItem(Outgoing):
    """`rate` is rows a second, null until some are stored."""

    id: int
    name: str
    state: str
    message: str
    rows_total: int | None
    rows_done: int
    accepted: int
    duplicate: int
    rejected: int
    started_by: str
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    rate: float | None


class ImportList(Outgoing):
    items: list[ImportItem]


class DeadLetterItem(Outgoing):
    """A rejected record with its reason. `payload_base64` holds at most the first 64 KiB of `payload_size` bytes."""

    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    state: str
    received_at: datetime
    payload_size: int
    payload_base64: str


class DeadLetterList(Outgoing):
    items: list[DeadLetterItem]
    next: str | None
    open_by_reason: dict[str, int]


class DeadLetterIds(Incoming):
    ids: Annotated[list[_Id], Field(min_length=1, max_length=1000)]


class Retried(Outgoing):
    accepted: int
    duplicates: int
    rejected: int


class Discarded(Outgoing):
    discarded: int


class AuditItem(Outgoing):
    """One act; `at` is UTC. `username` is empty where nobody known acted."""

    id: int
    at: datetime
    username: str
    address: str
    action: str
    subject: str
    before: dict[str, Any]
    after: dict[str, Any]


class AuditList(Outgoing):
    items: list[AuditItem]
    next: str | None


class UserBody(Incoming):
    """What an administrator decides of a user."""

    role: Annotated[str, Field(max_length=64)]
    email: Annotated[Text, Field(max_length=254)] = ""
    scope: Annotated[
        _Rows, Field(description="Empty for all rows; never left out, so that nobody's limits fall by accident.")
    ]


class NewUser(UserBody):
    username: Annotated[Text, Field(min_length=1, max_length=256)]
    scope: Annotated[_Rows, Field(default_factory=dict)]


class UserStateBody(Incoming):
    disabled: bool


class UserItem(Outgoing):
    """A user as administrators see one. Times are UTC; `version` goes up with every change."""

    id: int
    username: str
    email: str
    role: str
    scope: Scope
    state: Literal["active", "invited", "locked", "disabled"]
    created_at: datetime
    last_sign_in_at: datetime | None
    version: int


class UserList(Outgoing):
    items: list[UserItem]


class PasswordLink(Outgoing):
    """A one-time link: open `path` at this installation's address, and set a password. Told once, and stored only as a hash."""

    user: UserItem
    path: str
    expires_at: datetime


class EndedSessions(Outgoing):
    ended: Annotated[int, Field(description="Browser sessions; API tokens have ended too.")]


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
