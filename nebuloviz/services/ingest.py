"""Sales from people and programs: posted, uploaded, retried; and what the pipeline shows of itself."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, bindparam, event, func, select, true, update
from sqlalchemy.orm import Session

from nebuloviz.child import Child, ChildLostError, Children
from nebuloviz.clock import utc_now
from nebuloviz.db import Database, insert
from nebuloviz.errors import Conflict, InvalidInput, NebuloVizError, NotFound, Unavailable
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest import tasks
from nebuloviz.ingest.batch import Batch, Item, Outcome, Written
from nebuloviz.ingest.consumer import OnWritten, announce
from nebuloviz.ingest.importing import csv_records
from nebuloviz.ingest.jobs import Progress, mark_interrupted, progress_of, stream_topics
from nebuloviz.ingest.preview import look_into
from nebuloviz.ingest.products import ProductNames
from nebuloviz.ingest.sale import Reason, Record, parse_record
from nebuloviz.ingest.writer import SaleWriter
from nebuloviz.models import ImportJob, IngestGap, IngestMinute, IngestOffset
from nebuloviz.observability import CONSUMER_LAG
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services import letters
from nebuloviz.services.audit import DatabaseAudit, view_only
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
from nebuloviz.services.paging import last_id, page_size
from nebuloviz.services.uploads import Upload, UploadStore
from nebuloviz.settings import Settings

API_TOPIC = "api"
RETRY_TOPIC = "retry"
SHOWN_MINUTES = 60
MAX_IMPORTS = 4  # at once in a process, each in a process of its own
_PARTITIONS = 2**31  # more than a broker can have
_NOTED_CHARACTERS = 4_000
_WRITTEN_AT_ONCE = 5_000

_log = logging.getLogger(__name__)


class SalesIngestService(IngestService):
    """The pipeline's door for people and programs. `on_written` are told of sales once they are committed."""

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
        self._database = database
        self._settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        self._on_written = tuple(on_written)
        self._products = ProductNames()
        self._months: frozenset[str] = frozenset()
        self._now = now
        self._uploads = UploadStore(settings.data_dir / "uploads", lambda: live().max_upload_mb, now)
        self._children = Children()
        self._imported: set[str] = set()  # digests of the files being imported
        self._lock = threading.Lock()

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
        """Write some at a time, all in the caller's transaction; their numbers are given here."""
        # Its own: what it learns may be rolled back by the edge, but for the names
        writer = SaleWriter(self._zone, self._settings.currency, self._products, self._months)
        horizon = timedelta(days=self._settings.late_horizon_days)
        outcomes: list[Outcome] = []
        left = iter(records)
        while some := list(islice(left, _WRITTEN_AT_ONCE)):
            # Read before numbers are taken, for which others have to wait until the end of the transaction
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
        lags = {
            int(sample.labels["partition"]): int(sample.value) for sample in next(iter(CONSUMER_LAG.collect())).samples
        }
        offsets = session.scalars(
            select(IngestOffset)
            .where(stream_topics(IngestOffset.topic))
            .order_by(IngestOffset.topic, IngestOffset.partition)
        )
        kafka = self._settings.kafka_topic
        partitions = tuple(
            _partition_status(row, lags.get(row.partition) if row.topic == kafka else None) for row in offsets
        )
        return StreamStatus(partitions, self._minutes(session))

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
        _log.warning("%s/%d is let go on at %d", topic, partition, here.next_offset)
        here.halted_reason, here.updated_at = "", now
        session.flush()
        return _partition_status(here, None)

    def _minutes(self, session: Session) -> tuple[tuple[datetime, int, int, int, int], ...]:
        last = self._now().replace(second=0, microsecond=0)
        first = last - timedelta(minutes=SHOWN_MINUTES - 1)
        sums = [func.sum(column) for column in (IngestMinute.accepted, IngestMinute.duplicate, IngestMinute.rejected)]
        query = (
            select(IngestMinute.minute, *sums, func.max(IngestMinute.late_seconds))
            .where(IngestMinute.minute >= first, stream_topics(IngestMinute.topic))
            .group_by(IngestMinute.minute)
        )
        known = {minute: tuple(int(figure) for figure in figures) for minute, *figures in session.execute(query)}
        minutes = (first + timedelta(minutes=number) for number in range(SHOWN_MINUTES))
        return tuple((minute, *known.get(minute, (0, 0, 0, 0))) for minute in minutes)  # type: ignore[misc]  # four figures each

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
        return letters.letters_page(session, state, reason, cursor, limit)

    @require(Permission.STREAM_READ)
    def dead_letter(self, session: Session, actor: Actor, letter_id: int) -> DeadLetterView:  # noqa: ARG002 - `require` looks at it
        return letters.letter_view(session, letter_id)

    @require(Permission.STREAM_MANAGE)
    def retry(
        self, session: Session, actor: Actor, ids: Sequence[int], corrected: Mapping[int, bytes] | None = None
    ) -> PostResult:
        chosen = letters.open_letters(session, ids)
        readable = [(letter, letters.to_try(letter, corrected or {})) for letter in chosen]
        tried = [(letter, record) for letter, record in readable if record is not None]
        if chosen and not tried:
            raise InvalidInput(_("None of these holds a whole record: correct them one by one, or discard them."))
        now = self._now()
        records = [Record(RETRY_TOPIC, 0, 0, record) for _letter, record in tried]
        result = self._write(session, RETRY_TOPIC, records, now, dead_letters=False)
        for (letter, record), row in zip(tried, result.results, strict=True):
            letters.settle(letter, record, row, now, actor.username)
        counts = {"accepted": result.accepted, "duplicates": result.duplicates, "rejected": result.rejected}
        after = {**counts, "corrected": _readable(corrected)} if corrected else counts
        self._audit.record(session, actor, AuditAction.RECORDS_RETRIED, after=after)
        return result

    @require(Permission.STREAM_MANAGE)
    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        chosen = letters.open_letters(session, ids)
        for letter in chosen:
            letter.state, letter.closed_at, letter.closed_by = "discarded", self._now(), actor.username
        self._audit.record(session, actor, AuditAction.RECORDS_DISCARDED, after={"ids": [row.id for row in chosen]})
        return len(chosen)

    # ---------------------------------------------------------------- files

    def store_upload(self, name: str, chunks: Iterable[bytes], owner: int = 0) -> str:
        return self._uploads.store(name, chunks, owner, self._imported)

    @require(Permission.SALES_WRITE)
    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:  # noqa: ARG002 - the interface's
        upload = self._uploads.get(upload_id)
        with _about(upload), self._children.running(Child(look_into, upload.path)) as child:
            [seen] = child.messages()
        return FilePreview(
            upload.name,
            seen.columns,
            seen.rows,
            seen.mapping,
            seen.missing,
            date_orders=seen.date_orders,
            time_zone=self._settings.time_zone,
            is_json=seen.is_json,
        )

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
        if actor.looking:  # what is imported is stored before it is on the record that somebody wanted it
            raise view_only()
        upload = self._uploads.get(upload_id)
        with self._lock:
            if upload.digest in self._imported:
                raise InvalidInput(_("This file is being imported already."))
            if len(self._imported) >= MAX_IMPORTS:
                raise Conflict(_("Other files are being imported. Wait until one of them is done."))
            self._imported.add(upload.digest)
        storage = tasks.Storage.of(self._database, self._settings.time_zone, self._settings.currency)
        with contextlib.ExitStack() as stack:
            stack.callback(self._imported.discard, upload.digest)
            reading = tasks.Reading(dict(mapping), time_zone or self._settings.time_zone, date_order)
            child = Child(tasks.import_file, storage, upload.path, reading, upload.name, actor.username)
            messages = stack.enter_context(self._children.running(child)).messages()
            with _about(upload):
                topic = next(messages)
            with self._database.transaction() as noting:  # an import is no part of the caller's transaction either
                chosen = {"time_zone": time_zone, "date_order": date_order}
                after = {"mapping": dict(mapping), **{name: value for name, value in chosen.items() if value}}
                self._audit.record(noting, actor, AuditAction.IMPORT_STARTED, upload.name, after=after)
                started = _view_of(noting, ImportJob.topic == topic)
            arguments = (upload, topic, messages, stack.pop_all())
        follow = functools.partial(
            contextvars.copy_context().run, self._follow, *arguments
        )  # the log names who began it
        threading.Thread(target=follow, name="nebuloviz-import", daemon=True).start()
        return started

    def _follow(
        self, upload: Upload, topic: str, stored: Iterator[Written], whole: contextlib.AbstractContextManager[object]
    ) -> None:
        """Pass on what a child imports, until it has ended. The list of imports shows what it could not."""
        with whole:
            try:
                for written in stored:
                    announce(written, self._on_written)
            except ChildLostError:
                _log.exception("The import %s has ended", topic)
                mark_interrupted(self._database, topic, self._now())
            except NebuloVizError as error:
                # Its words are for whoever has the file, and may quote it
                _log.error("The import %s has failed: %s", topic, error.code)
            else:
                if not self._children.stopping:
                    self._uploads.remove(upload)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Interrupt imports under way, as the program ends; the same file continues where it stopped."""
        self._children.stop()
        self._children.join(timeout_seconds)

    @require(Permission.STREAM_READ)
    def imports(
        self,
        session: Session,
        actor: Actor,  # noqa: ARG002 - `require` looks at it
        limit: int = 20,
        cursor: str | None = None,
    ) -> Sequence[ImportView]:
        before = ImportJob.id < last_id(cursor) if cursor else true()
        newest = select(ImportJob).where(before).order_by(ImportJob.id.desc()).limit(page_size(limit))
        jobs = list(session.scalars(newest))
        progress = progress_of(session, [job.topic for job in jobs])
        return [_job_view(job, progress.get(job.topic)) for job in jobs]

    @require(Permission.STREAM_READ)
    def import_of(self, session: Session, actor: Actor, import_id: int) -> ImportView:  # noqa: ARG002 - `require` looks at the actor
        return _view_of(session, ImportJob.id == import_id)


def _view_of(session: Session, which: ColumnElement[bool]) -> ImportView:
    job = session.scalars(select(ImportJob).where(which)).one_or_none()
    if job is None:
        raise NotFound(_("There is no such import."))
    return _job_view(job, progress_of(session, [job.topic]).get(job.topic))


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
    """Number records of a topic that has no numbers of its own; the row is locked until the transaction ends."""
    connection = session.connection()  # a session would look for what it holds of it
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


@contextlib.contextmanager
def _about(upload: Upload) -> Iterator[None]:
    """Errors about an upload name the file as its owner knows it."""
    try:
        yield
    except NebuloVizError as error:
        raise InvalidInput(error.message.replace(upload.path.name, upload.name)) from error
    except ChildLostError as error:
        raise Unavailable(_("Reading the file has failed. Please try again.")) from error


def _partition_status(row: IngestOffset, lag: int | None) -> PartitionStatus:
    return PartitionStatus(
        topic=row.topic,
        partition=row.partition,
        next_offset=row.next_offset,
        lag=lag,
        accepted=row.n_ok,
        duplicate=row.n_duplicate,
        rejected=row.n_rejected,
        updated_at=row.updated_at,
        halted_reason=row.halted_reason,
    )


def _readable(corrected: Mapping[int, bytes]) -> dict[str, str]:
    """Corrections for the audit log; the record itself keeps the longest whole."""
    return {str(number): record.decode(errors="replace")[:_NOTED_CHARACTERS] for number, record in corrected.items()}


def _job_view(job: ImportJob, progress: Progress | None) -> ImportView:
    rows_done, accepted, duplicate, rejected, stored_at = progress or Progress(
        job.rows_done, job.accepted, job.duplicate, job.rejected, job.updated_at
    )
    seconds = (stored_at - job.updated_at).total_seconds()
    return ImportView(
        id=job.id,
        name=job.name,
        state=job.state,
        message=job.message,
        rows_total=job.rows_total,
        rows_done=rows_done,
        accepted=accepted,
        duplicate=duplicate,
        rejected=rejected,
        started_by=job.started_by,
        started_at=job.started_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
        rate=(rows_done - job.rows_done) / seconds if seconds >= 1 and rows_done > job.rows_done else None,
    )
