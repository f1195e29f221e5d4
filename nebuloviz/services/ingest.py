"""Sales that people and programs bring: posted, uploaded as files, retried; and the state of the stream."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, event, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database, insert
from nebuloviz.errors import InvalidInput, NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest.announce import OnWritten, announce
from nebuloviz.ingest.batch import Batch, Item, Outcome, Written
from nebuloviz.ingest.importing import csv_records
from nebuloviz.ingest.products import ProductNames
from nebuloviz.ingest.sale import Reason, Record, parse_record
from nebuloviz.ingest.writer import SaleWriter
from nebuloviz.models import IngestGap, IngestOffset
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.audit import DatabaseAudit, view_only
from nebuloviz.services.dead_letters import (
    dead_letter_page,
    dead_letter_view,
    open_letters,
    record_to_retry,
    settle,
)
from nebuloviz.services.file_imports import FileImports, import_view, import_views
from nebuloviz.services.interfaces import (
    MAX_POSTED,
    AuditAction,
    AuditService,
    DeadLetterPage,
    DeadLetterView,
    FilePreview,
    ImportView,
    IngestService,
    PartitionStatus,
    PostResult,
    RowResult,
    StreamStatus,
)
from nebuloviz.services.interfaces.installation import Live, as_environment
from nebuloviz.services.stream_status import partition_status, stream_status
from nebuloviz.settings import Settings

API_TOPIC = "api"
RETRY_TOPIC = "retry"
_PARTITIONS = 2**31  # more than a broker can have
_NOTED_CHARACTERS = 4_000
_CHUNK_RECORDS = 5_000

_log = logging.getLogger(__name__)


class SalesIngestService(IngestService):
    """The `IngestService` over the database and the upload folder. `on_written` are called with each batch once it is committed."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        on_written: Sequence[OnWritten] = (),
        now: Callable[[], datetime] = utc_now,
        audit: AuditService | None = None,
        live: Live | None = None,
    ) -> None:
        live = live or as_environment(settings)
        self._audit = audit or DatabaseAudit(now)
        self._settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        self._on_written = tuple(on_written)
        self._products = ProductNames()
        self._months: frozenset[str] = frozenset()
        self._now = now
        self._files = FileImports(database, settings, self._audit, lambda: live().max_upload_mb, self._on_written, now)

    # ---------------------------------------------------------------- sales

    @require(Permission.SALES_WRITE)
    def post(self, session: Session, actor: Actor, items: Iterable[bytes]) -> PostResult:  # noqa: ARG002 - `require` looks at the actor
        records = (Record(API_TOPIC, 0, 0, item) for item in items)
        return self._write(session, API_TOPIC, records, self._now(), dead_letters=True)

    @require(Permission.SALES_WRITE)
    def post_rows(self, session: Session, actor: Actor, table: Path, mapping: Mapping[str, str]) -> PostResult:  # noqa: ARG002 - as above
        rows = csv_records(table, mapping, self._settings.time_zone, MAX_POSTED)
        try:
            return self._write(session, API_TOPIC, rows, self._now(), dead_letters=True)
        except InvalidInput as error:
            raise InvalidInput(error.message.replace(table.name, "CSV")) from error

    def _write(
        self, session: Session, topic: str, records: Iterable[Record], now: datetime, *, dead_letters: bool
    ) -> PostResult:
        """Write all records in the caller's transaction, in chunks that memory can hold; their offsets are assigned here."""
        # A writer per call: it remembers which months have tables, and the caller may still roll that back
        writer = SaleWriter(self._zone, self._settings.currency, self._products, self._months)
        horizon = timedelta(days=self._settings.late_horizon_days)
        outcomes: list[Outcome] = []
        left = iter(records)
        while some := list(islice(left, _CHUNK_RECORDS)):
            # Parsed before offsets are taken: from then on others wait for this transaction to end
            parsed = [parse_record(record, now, horizon) for record in some]
            start = _next_offsets(session, topic, len(some), now)
            items = [
                Item(Record(topic, 0, start + place, *record[3:]), sale)
                for place, (record, sale) in enumerate(zip(some, parsed, strict=True))
            ]
            batch = Batch(topic, 0, start, start + len(items), items)
            written = writer.write(session, batch, now, dead_letters=dead_letters)
            event.listen(session, "after_commit", partial(self._announce, written), once=True)
            outcomes += written.outcomes
        event.listen(session, "after_commit", partial(self._remember, writer), once=True)
        return _result_of(outcomes)

    def _announce(self, written: Written, _session: Session) -> None:
        announce(written, self._on_written)

    def _remember(self, writer: SaleWriter, _session: Session) -> None:
        self._months = writer.months

    # ---------------------------------------------------------------- the stream

    @require(Permission.STREAM_READ)
    def status(self, session: Session, actor: Actor) -> StreamStatus:  # noqa: ARG002 - `require` looks at the actor
        return stream_status(session, self._settings.kafka_topic, self._now())

    @require(Permission.STREAM_MANAGE)
    def resume(
        self, session: Session, actor: Actor, topic: str, partition: int, skip_to: int | None = None
    ) -> PartitionStatus:
        known = "\x00" not in topic and 0 <= partition < _PARTITIONS
        here = session.get(IngestOffset, (topic, partition), with_for_update=True) if known else None
        if here is None:
            raise NotFound(_("There is no partition {partition} of {topic}.", partition=partition, topic=topic))
        if not here.halted_reason:
            raise InvalidInput(_("This partition is not halted."))
        if skip_to is not None and skip_to < here.next_offset:
            raise InvalidInput(_("The partition stands at {offset} and cannot go back.", offset=here.next_offset))
        now, first = self._now(), here.next_offset
        self._audit.record(
            session, actor, AuditAction.STREAM_RESUMED, f"{topic} {partition}", after={"skip_to": skip_to or first}
        )
        if skip_to is not None and skip_to > first:
            session.add(
                IngestGap(topic=topic, partition=partition, first_offset=first, next_offset=skip_to, noticed_at=now)
            )
            here.next_offset = skip_to
        _log.warning("Partition %s/%d resumes at offset %d", topic, partition, here.next_offset)
        here.halted_reason, here.updated_at = "", now
        session.flush()
        return partition_status(here, None)

    # ---------------------------------------------------------------- dead letters

    @require(Permission.STREAM_READ)
    def dead_letters(
        self,
        session: Session,
        actor: Actor,  # noqa: ARG002 - `require` looks at it
        state: str = "open",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeadLetterPage:
        return dead_letter_page(session, state, reason, cursor, limit)

    @require(Permission.STREAM_READ)
    def dead_letter(self, session: Session, actor: Actor, letter_id: int) -> DeadLetterView:  # noqa: ARG002 - `require` looks at it
        return dead_letter_view(session, letter_id)

    @require(Permission.STREAM_MANAGE)
    def retry(
        self, session: Session, actor: Actor, ids: Sequence[int], corrected: Mapping[int, bytes] | None = None
    ) -> PostResult:
        chosen = open_letters(session, ids)
        readable = [(letter, record_to_retry(letter, corrected or {})) for letter in chosen]
        tried = [(letter, record) for letter, record in readable if record is not None]
        if chosen and not tried:
            raise InvalidInput(_("None of these holds a whole record: correct them one by one, or discard them."))
        now = self._now()
        records = [Record(RETRY_TOPIC, 0, 0, record) for _letter, record in tried]
        result = self._write(session, RETRY_TOPIC, records, now, dead_letters=False)
        for (letter, record), row in zip(tried, result.results, strict=True):
            settle(letter, record, row, now, actor.username)
        counts = {"accepted": result.accepted, "duplicates": result.duplicates, "rejected": result.rejected}
        after = {**counts, "corrected": _readable(corrected)} if corrected else counts
        self._audit.record(session, actor, AuditAction.RECORDS_RETRIED, after=after)
        return result

    @require(Permission.STREAM_MANAGE)
    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        chosen = open_letters(session, ids)
        for letter in chosen:
            letter.state, letter.closed_at, letter.closed_by = "discarded", self._now(), actor.username
        self._audit.record(session, actor, AuditAction.RECORDS_DISCARDED, after={"ids": [row.id for row in chosen]})
        return len(chosen)

    # ---------------------------------------------------------------- files

    def store_upload(self, name: str, chunks: Iterable[bytes], owner: int = 0) -> str:
        return self._files.store(name, chunks, owner)

    @require(Permission.SALES_WRITE)
    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:  # noqa: ARG002 - the interface's
        return self._files.preview(upload_id)

    @require(Permission.SALES_WRITE)
    def start_import(
        self,
        session: Session,  # noqa: ARG002 - the interface's
        actor: Actor,
        upload_id: str,
        mapping: Mapping[str, str],
        time_zone: str = "",
        date_order: str = "",
    ) -> ImportView:
        if actor.looking:  # the audit log, which refuses such an actor, is written only after the import has begun
            raise view_only()
        return self._files.start(actor, upload_id, mapping, time_zone, date_order)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Interrupt imports under way, as the program ends; importing the same file again continues where it stopped."""
        self._files.stop(timeout_seconds)

    @require(Permission.STREAM_READ)
    def imports(
        self,
        session: Session,
        actor: Actor,  # noqa: ARG002 - `require` looks at it
        limit: int = 20,
        cursor: str | None = None,
    ) -> Sequence[ImportView]:
        return import_views(session, limit, cursor)

    @require(Permission.STREAM_READ)
    def import_of(self, session: Session, actor: Actor, import_id: int) -> ImportView:  # noqa: ARG002 - `require` looks at the actor
        return import_view(session, import_id)


def _result_of(outcomes: Sequence[Outcome]) -> PostResult:
    results = tuple(
        RowResult(
            place,
            outcome.status,
            _reason_text(outcome.rejected.reason, outcome.rejected.detail) if outcome.rejected else "",
        )
        for place, outcome in enumerate(outcomes)
    )
    counts = Counter(outcome.status for outcome in outcomes)
    return PostResult(counts["accepted"], counts["duplicate"], counts["rejected"], results)


def _next_offsets(session: Session, topic: str, count: int, now: datetime) -> int:
    """The first of `count` offsets, reserved in a topic without a broker; its row stays locked until the transaction ends."""
    connection = session.connection()  # the session itself would search its identity map for rows to synchronize
    numbered = {"of_topic": topic, "count": count}
    moved = connection.scalar(_MOVED_ON, numbered)
    if moved is None:
        fresh = {"topic": topic, "partition": 0, "next_offset": 0, "updated_at": now}
        connection.execute(insert(session, IngestOffset).values(fresh).on_conflict_do_nothing())
        moved = connection.execute(_MOVED_ON, numbered).scalar_one()
    return int(moved) - count


_MOVED_ON = (
    update(IngestOffset)
    .where(IngestOffset.topic == bindparam("of_topic"), IngestOffset.partition == 0)
    .values(next_offset=IngestOffset.next_offset + bindparam("count"))
    .returning(IngestOffset.next_offset)
)


def _reason_text(reason: Reason, detail: str) -> str:
    return f"{reason}: {detail}" if detail else str(reason)


def _readable(corrected: Mapping[int, bytes]) -> dict[str, str]:
    """Corrections as text for the audit log, cut to `_NOTED_CHARACTERS`; the dead letter itself keeps them whole."""
    return {str(number): record.decode(errors="replace")[:_NOTED_CHARACTERS] for number, record in corrected.items()}
