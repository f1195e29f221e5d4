"""Sales that people and programs bring, and what the pipeline does with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor


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
    """What streams in: partitions, pace by minute of arrival (newest last, 60 of them), lateness. What is imported is not in it."""

    partitions: tuple[PartitionStatus, ...]
    minutes: tuple[tuple[datetime, int, int, int, int], ...]  # minute, accepted, duplicate, rejected, late_seconds


@dataclass(frozen=True)
class DeadLetterView:
    """A rejected record. `payload` is how it came; `record` the JSON that is tried again, None where that is the payload.

    `file` names the file whose row number `offset` + 1 it was; '' where it came otherwise.
    """

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
    record: bytes | None = None
    file: str = ""


@dataclass(frozen=True)
class DeadLetterPage:
    items: tuple[DeadLetterView, ...]
    next_cursor: str | None
    open_by_reason: Mapping[str, int]


@dataclass(frozen=True)
class ImportView:
    """An import and how far it is; `rate` is rows a second since it began or went on, None until some are stored."""

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
    rate: float | None = None


@dataclass(frozen=True)
class FilePreview:
    """The first rows of an uploaded file, the guessed mapping (field -> column), and what is still missing.

    `date_orders`: column -> 'dmy' or 'mdy', the order of day and month in its dates, None where either is possible; columns
    without such dates are left out. `time_zone` is that of moments without one, unless another is chosen. `is_json`: each row
    is a sale as it is, and nothing is mapped.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mapping: Mapping[str, str]
    missing: tuple[str, ...]
    date_orders: Mapping[str, Literal["ymd", "dmy", "mdy"] | None] = field(default_factory=dict)
    time_zone: str = "UTC"
    is_json: bool = False


MAX_POSTED = 200_000  # sales so short that more of them fit into the bytes have no room for what is required


@dataclass(frozen=True, slots=True)
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
    def post(self, session: Session, actor: Actor, items: Iterable[bytes]) -> PostResult:
        """Write sales given as JSON objects; each item gets its own answer. Idempotent by sale id.

        What reading `items` raises leaves nothing written, as the caller's transaction is rolled back.
        """

    @abstractmethod
    def post_rows(self, session: Session, actor: Actor, table: Path, mapping: Mapping[str, str]) -> PostResult:
        """As `post`, for the rows of a CSV file. Columns are recognised by their names where `mapping` (field -> column) says nothing.

        Raises:
            InvalidInput: it cannot be read, or has no column for a field that is required.
            PayloadTooLarge: it has more rows than `MAX_POSTED`.
        """

    @abstractmethod
    def status(self, session: Session, actor: Actor) -> StreamStatus:
        """What streams in, how fast, how late."""

    @abstractmethod
    def resume(
        self, session: Session, actor: Actor, topic: str, partition: int, skip_to: int | None = None
    ) -> PartitionStatus:
        """Let a halted partition go on; its consumer notices within seconds. What is before `skip_to` is not read: a gap on record.

        Raises:
            NotFound: there is no such partition.
            InvalidInput: it is not halted, or `skip_to` is behind where it stands.
        """

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
    def dead_letter(self, session: Session, actor: Actor, letter_id: int) -> DeadLetterView:
        """One rejected record. Raises NotFound."""

    @abstractmethod
    def retry(
        self, session: Session, actor: Actor, ids: Sequence[int], corrected: Mapping[int, bytes] | None = None
    ) -> PostResult:
        """Parse and write dead letters again; those that succeed close, the others stay with their new reason.

        `corrected` has, by id, the JSON to be read instead of what is kept; the bytes that came are kept beside it. Without one,
        what holds no whole record is left alone, and has no result.

        Raises:
            InvalidInput: there is nothing else among them.
        """

    @abstractmethod
    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        """Close dead letters without writing them; their bytes stay. Returns how many."""

    @abstractmethod
    def imports(
        self, session: Session, actor: Actor, limit: int = 20, cursor: str | None = None
    ) -> Sequence[ImportView]:
        """The latest imports, newest first; with `cursor`, those before the import of that id."""

    @abstractmethod
    def import_of(self, session: Session, actor: Actor, import_id: int) -> ImportView:
        """One import. Raises NotFound."""

    @abstractmethod
    def store_upload(self, name: str, chunks: Iterable[bytes], owner: int = 0) -> str:
        """Keep an uploaded file and return its id. Chunks are written as they come. Raises PayloadTooLarge, keeping nothing.

        Of the `owner`, a user's id, so many may wait; then the least recently used one gives way.
        Who may upload is checked by the edge, before the first byte.
        """

    @abstractmethod
    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:
        """Look into an uploaded file. Raises InvalidInput when it cannot be read, and says why."""

    @abstractmethod
    def start_import(
        self,
        session: Session,
        actor: Actor,
        upload_id: str,
        mapping: Mapping[str, str],
        time_zone: str = "",
        date_order: str = "",
    ) -> ImportView:
        """Import an uploaded file in the background; `import_of` shows its progress.

        `mapping` corrects the guess: field -> column, '' for none. `time_zone` is that of moments without one, '' for the
        installation's; `date_order` is 'dmy' or 'mdy', '' for what the file's dates speak for.

        Raises:
            InvalidInput: an incomplete mapping, or no such zone or order.
        """
