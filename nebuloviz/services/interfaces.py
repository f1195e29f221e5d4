"""The services' interfaces, and the values that they take and give.

Every method takes a SQLAlchemy `Session` and, where somebody asks, the `Actor`; it is ordinary synchronous code. Pages call it
with a synchronous session, the API through `AsyncSession.run_sync`. No method commits: the edge that opened the session does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import REST, Filter, Query
from nebuloviz.permissions import Actor

if TYPE_CHECKING:  # importing pandas costs half a second, and the command line may not need it
    import pandas as pd

OTHER = REST  # the row that stands for all values beyond a query's limit; no real value equals it


@dataclass(frozen=True)
class FrameColumn:
    """`type` is time, text, number or boolean; `unit` is that of the metric, or ''."""

    name: str
    type: Literal["time", "text", "number", "boolean"]
    unit: str = ""


@dataclass(frozen=True)
class Frame:
    """A query's answer: one row per bucket and combination of dimension values.

    `data` has, in this order: `bucket` (start, aware, in the query's zone) where there is a grain; one text column per
    dimension, named by its slug ('' = not given, `OTHER` = the rest); one float column per metric; `<metric>:comparison` where
    the query compares, aligned to the same row; with a grain `unfinished` (bool: the bucket has not ended at `as_of`). Product rows
    carry `product:name` too. Buckets without sales are present, with 0 for sums and NaN for ratios, when there is no dimension.
    `source` names the rollup that answered, or 'sale'.
    """

    query: Query
    columns: tuple[FrameColumn, ...]
    data: pd.DataFrame
    as_of: datetime
    source: str


@dataclass(frozen=True)
class SaleLine:
    """One fact as shown to a reader: amounts and quantities in their own units."""

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


@dataclass(frozen=True)
class SalePage:
    """`next_cursor` continues after the last line; None at the end. `total` counts all lines of the range and filters."""

    lines: tuple[SaleLine, ...]
    next_cursor: str | None
    total: int


@dataclass(frozen=True)
class Freshness:
    """How old the data is: the newest sale, the newest arrival, and the range that there is. None while there is none."""

    first_sale: datetime | None
    last_sale: datetime | None
    last_arrival: datetime | None
    currency: str
    lines: int


class DataService(ABC):
    """Answers questions about sales; the one path of pages, exports, API and alerts."""

    @abstractmethod
    def frame(self, session: Session, actor: Actor, query: Query) -> Frame:
        """Answer `query`, within the actor's row scope.

        Raises:
            PermissionDenied: the actor may not read data.
            InvalidQuery: too many buckets or rows; says which grain would do.
        """

    @abstractmethod
    def sales(
        self,
        session: Session,
        actor: Actor,
        query: Query,
        cursor: str | None = None,
        limit: int = 100,
        order: str = "-sold_at",
    ) -> SalePage:
        """The sale lines behind `query` (its range and filters), newest first, in pages of `limit` (at most 1,000)."""

    @abstractmethod
    def values(
        self, session: Session, actor: Actor, dimension: str, search: str = "", limit: int = 50
    ) -> Sequence[tuple[str, str]]:
        """(value, label) of a dimension, the largest by recent revenue first; `search` matches any part, literally."""

    @abstractmethod
    def dimensions_in_use(self, session: Session, actor: Actor) -> Sequence[str]:
        """Slugs of the dimensions that the data really has (more than one value), in registry order."""

    @abstractmethod
    def freshness(self, session: Session, actor: Actor) -> Freshness:
        """How old and how large the data is."""

    @abstractmethod
    def stamp(self, session: Session, actor: Actor) -> str:
        """A short text that changes whenever sales or alerts have changed; cheap enough to ask every few seconds."""


@dataclass(frozen=True)
class AlertView:
    """An alert as shown. Figures are in the metric's unit; times are UTC."""

    id: int
    detector: str
    series: str
    metric: str
    dimensions: Mapping[str, str]
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
    updated_at: datetime
    version: int
    sale_id: str = ""


@dataclass(frozen=True)
class AlertHistoryEntry:
    at: datetime
    kind: str
    username: str
    note: str


@dataclass(frozen=True)
class Contribution:
    """How much of an alert's deviation one segment carries: `share` of it, from `expected` to `observed`."""

    dimension: str
    value: str
    observed: float
    expected: float
    share: float


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts: empty fields do not restrict. `series` matches any part of the series' text.

    Of a dimension that `filters` keep to some values, an alert's series must name one of these.
    """

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    series: str = ""
    start: datetime | None = None
    end: datetime | None = None
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class AlertPage:
    items: tuple[AlertView, ...]
    next_cursor: str | None


class AlertService(ABC):
    """Reads alerts and moves them through their life."""

    @abstractmethod
    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        """Newest first, in pages of `limit` (at most 500); under a row scope, those of series inside it.

        Raises:
            InvalidInput: `cursor` is not one that a page gave.
        """

    @abstractmethod
    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        """One alert.

        Raises:
            NotFound: there is none, or it is outside the actor's scope.
        """

    @abstractmethod
    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        """What happened to it, oldest first."""

    @abstractmethod
    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        """Say that somebody looks after it; once more adds another note.

        Raises:
            NotFound: as `get` does.
            Conflict: it is resolved already, or was changed since `version`.
            InvalidInput: the note has more than 2,000 characters, or a NUL.
        """

    @abstractmethod
    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        """Close it. Raises what `acknowledge` does."""

    @abstractmethod
    def contributions(self, session: Session, actor: Actor, alert_id: int, limit: int = 8) -> Sequence[Contribution]:
        """The segments that carry most of the deviation, largest share first, over every dimension in use."""

    @abstractmethod
    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        """The range that `query`'s only metric would normally keep, per bucket of its grain (hour or coarser).

        Columns: bucket (aware, in the query's zone), expected, expected_low, expected_high, in the metric's unit. None where the
        detector does not watch that series, or has not learned it yet.
        """

    @abstractmethod
    def counts(self, session: Session, actor: Actor) -> Mapping[str, int]:
        """Number of alerts by state, zeros included."""


@dataclass(frozen=True)
class Insight:
    """One written finding and the question that backs it. `weight` ranks: the money at stake times the surprise."""

    text: str
    severity: str
    query: Query
    weight: float
    alert_id: int | None = None


class AIInsights(ABC):
    """Says in words what changed and why."""

    @abstractmethod
    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        """The most telling findings about `query`'s range against its comparison, in the reader's language, weightiest first."""


@dataclass(frozen=True)
class UserView:
    id: int
    username: str
    role: str
    language: str
    time_zone: str
    theme: str
    disabled: bool
    must_change_password: bool
    epoch: int


@dataclass(frozen=True)
class TokenPair:
    """API tokens; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"  # noqa: S105 - the OAuth term


class AuthService(ABC):
    """Knows who somebody is."""

    @abstractmethod
    def sign_in(self, session: Session, username: str, password: str, address: str) -> UserView:
        """Check a password. Unknown user and wrong password take the same time and say the same.

        Raises:
            NotSignedIn: wrong, or the account is disabled.
            TooManyRequests: five failures for this account or address.
        """

    @abstractmethod
    def start_session(self, session: Session, user: UserView) -> str:
        """A new browser session; returns the secret for its cookie, of which only a hash is stored."""

    @abstractmethod
    def user_of_session(self, session: Session, token: str) -> UserView | None:
        """Whose session it is; None when unknown, expired or revoked, or the user is disabled."""

    @abstractmethod
    def touch_session(self, session: Session, token: str) -> None:
        """Say that it is in use: its idle time starts anew, its absolute end stays. Called now and then, in a transaction."""

    @abstractmethod
    def end_session(self, session: Session, token: str) -> None:
        """Sign out: the cookie is worth nothing afterwards."""

    @abstractmethod
    def issue_tokens(self, session: Session, user: UserView) -> TokenPair:
        """A new family of API tokens."""

    @abstractmethod
    def refresh_tokens(self, session: Session, refresh_token: str) -> TokenPair:
        """Exchange a refresh token, once. A second use revokes the family, access tokens included.

        Raises:
            NotSignedIn: not valid or expired.
            TokenReused: used before; the revocation is committed although this is raised.
        """

    @abstractmethod
    def user_of_access_token(self, session: Session, token: str) -> UserView:
        """Whose access token it is. Raises NotSignedIn."""

    @abstractmethod
    def actor(self, user: UserView) -> Actor:
        """The user as an actor, with the permissions of the role."""

    @abstractmethod
    def change_password(self, session: Session, user_id: int, old: str, new: str) -> UserView:
        """Set a new password and end all of the user's sessions and tokens.

        Raises:
            NotSignedIn: `old` is wrong.
            InvalidInput: `new` is too short, too common or hardly more than the name.
        """

    @abstractmethod
    def set_preferences(self, session: Session, user_id: int, *, language: str, time_zone: str, theme: str) -> UserView:
        """Store how the user wants to see things. Raises InvalidInput."""

    @abstractmethod
    def create_user(
        self, session: Session, username: str, password: str, role: str, *, must_change_password: bool = False
    ) -> UserView:
        """Add a user. Raises Conflict when the name (or a twin by case or Unicode form) exists, InvalidInput for a bad one."""

    @abstractmethod
    def set_password(self, session: Session, username: str, password: str) -> UserView:
        """Set a user's password without the old one (command line). Ends all sessions and tokens. Raises NotFound."""

    @abstractmethod
    def users(self, session: Session) -> Sequence[UserView]:
        """All users by name."""


@dataclass(frozen=True)
class PartitionStatus:
    topic: str
    partition: int
    next_offset: int
    lag: int | None
    accepted: int
    duplicate: int
    rejected: int
    updated_at: datetime
    halted_reason: str


@dataclass(frozen=True)
class StreamStatus:
    """What streams in: partitions, pace by minute of arrival (newest last, 60 of them), lateness."""

    partitions: tuple[PartitionStatus, ...]
    minutes: tuple[tuple[datetime, int, int, int, int], ...]  # minute, accepted, duplicate, rejected, late_seconds


@dataclass(frozen=True)
class DeadLetterView:
    id: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    payload: bytes
    payload_size: int
    state: str
    received_at: datetime


@dataclass(frozen=True)
class DeadLetterPage:
    items: tuple[DeadLetterView, ...]
    next_cursor: str | None
    open_by_reason: Mapping[str, int]


@dataclass(frozen=True)
class ImportView:
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


@dataclass(frozen=True)
class FilePreview:
    """The first rows of an uploaded file, the guessed mapping (field -> column), and what is still missing."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mapping: Mapping[str, str]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class RowResult:
    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str = ""


@dataclass(frozen=True)
class PostResult:
    accepted: int
    duplicates: int
    rejected: int
    results: tuple[RowResult, ...] = field(default=())


class IngestService(ABC):
    """Takes sales in from people and programs, and shows what the pipeline does."""

    @abstractmethod
    def post(self, session: Session, actor: Actor, items: Sequence[bytes]) -> PostResult:
        """Write sales given as JSON objects; each item gets its own answer. Idempotent by sale id."""

    @abstractmethod
    def status(self, session: Session, actor: Actor) -> StreamStatus:
        """What streams in, how fast, how late."""

    @abstractmethod
    def dead_letters(
        self,
        session: Session,
        actor: Actor,
        state: str = "open",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeadLetterPage:
        """Rejected records, newest first."""

    @abstractmethod
    def retry(self, session: Session, actor: Actor, ids: Sequence[int]) -> PostResult:
        """Parse and write dead letters again; those that succeed close, the others stay with their new reason."""

    @abstractmethod
    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        """Close dead letters without writing them; their bytes stay. Returns how many."""

    @abstractmethod
    def imports(self, session: Session, actor: Actor, limit: int = 20) -> Sequence[ImportView]:
        """The latest imports, newest first."""

    @abstractmethod
    def store_upload(self, name: str, chunks: Iterable[bytes]) -> str:
        """Keep an uploaded file and return its id. Chunks are written as they come. Raises PayloadTooLarge, keeping nothing.

        Who may upload is checked by the edge, before the first byte.
        """

    @abstractmethod
    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:
        """Look into an uploaded file. Raises InvalidInput when it cannot be read, and says why."""

    @abstractmethod
    def start_import(self, session: Session, actor: Actor, upload_id: str, mapping: Mapping[str, str]) -> None:
        """Import an uploaded file in the background; `imports` shows its progress. Raises InvalidInput for an incomplete mapping."""


@dataclass(frozen=True)
class Services:
    """The implementations that `nebuloviz.bootstrap` chose."""

    auth: AuthService
    data: DataService
    alerts: AlertService
    insights: AIInsights
    ingest: IngestService
