"""Questions about sales, and their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import REST, Query
from nebuloviz.permissions import Actor

if TYPE_CHECKING:  # importing pandas costs half a second, and the command line may not need it
    import pandas as pd

Made = TypeVar("Made")

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
    """How old the data is: the newest sale, the newest arrival, and the range that there is. None while there is none.

    The history of the sample is no arrival: it is loaded, not streamed. `sample` is the sample's name where it is shown, else ''.
    """

    first_sale: datetime | None
    last_sale: datetime | None
    last_arrival: datetime | None
    currency: str
    lines: int
    sample: str = ""


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
    def rendered(
        self, session: Session, actor: Actor, query: Query, form: str, render: Callable[[Frame], bytes]
    ) -> bytes:
        """What `render` makes of the answer to `query`, kept as long as the answer itself. `form` names all that `render` decides.

        Raises:
            PermissionDenied, InvalidQuery: as `frame`.
        """

    @abstractmethod
    def view(self, session: Session, actor: Actor, stamp: str, name: str, draw: Callable[[], Made]) -> Made:
        """What `draw` makes of this service's answers as of `stamp`, for all who may see the same; kept for seconds.

        `name` names all else that it depends on: what is drawn, the question, and how the reader reads. `draw` asks with
        sessions of its own: what `session` has read is let go of first. What it raises is raised, and not kept.

        Raises:
            PermissionDenied: the actor may not read data.
        """

    @abstractmethod
    def derived(
        self, session: Session, actor: Actor, name: str, queries: Sequence[Query], derive: Callable[[], Made]
    ) -> Made:
        """What `derive` makes of answers about the time and filters of `queries`, by any dimensions, kept until they may change.

        For what takes more than to ask. `name` names all else that it depends on. What it raises is raised, and not kept.

        Raises:
            PermissionDenied: the actor may not read data.
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
        """A short text that changes when sales or alerts have changed; cheap enough to ask every second."""
