"""Files that people upload: previewed, imported in the background, and listed with their progress."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from nebuloviz.child import Child, ChildLostError, Children
from nebuloviz.db import Database
from nebuloviz.errors import Conflict, InvalidInput, NebuloVizError, NotFound, Unavailable
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest import tasks
from nebuloviz.ingest.announce import OnWritten, announce
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.jobs import Progress, mark_interrupted, progress_of
from nebuloviz.ingest.preview import look_into
from nebuloviz.models import ImportJob
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import AuditAction, AuditService, FilePreview, ImportView
from nebuloviz.services.paging import last_id, page_size
from nebuloviz.services.uploads import Upload, UploadStore
from nebuloviz.settings import Settings

MAX_IMPORTS = 4  # at once in a process, each in a child process of its own

_log = logging.getLogger(__name__)


class FileImports:
    """Imports uploaded files, each in a child process; `on_written` are told of its batches in this one.

    No permission is checked here: `SalesIngestService` does that. Safe to call from any thread.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        audit: AuditService,
        max_megabytes: Callable[[], int],
        on_written: Sequence[OnWritten],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._settings = settings
        self._audit = audit
        self._on_written = tuple(on_written)
        self._now = now
        self._uploads = UploadStore(settings.data_dir / "uploads", max_megabytes, now)
        self._children = Children()
        self._digests: set[str] = set()  # of the files being imported
        self._lock = threading.Lock()

    def store(self, name: str, chunks: Iterable[bytes], owner: int) -> str:
        """See `IngestService.store_upload`."""
        return self._uploads.store(name, chunks, owner, self._digests)

    def preview(self, upload_id: str) -> FilePreview:
        """See `IngestService.preview`."""
        upload = self._uploads.get(upload_id)
        with _naming(upload), self._children.running(Child(look_into, upload.path)) as child:
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

    def start(
        self, actor: Actor, upload_id: str, mapping: Mapping[str, str], time_zone: str, date_order: str
    ) -> ImportView:
        """See `IngestService.start_import`. Returns once the child has read the head of the file and its job is stored."""
        upload = self._uploads.get(upload_id)
        self._claim(upload)
        with contextlib.ExitStack() as stack:
            stack.callback(self._digests.discard, upload.digest)
            reading = tasks.Reading(dict(mapping), time_zone or self._settings.time_zone, date_order)
            storage = tasks.Storage.of(self._database, self._settings.time_zone, self._settings.currency)
            child = Child(tasks.import_file, storage, upload.path, reading, upload.name, actor.username)
            messages = stack.enter_context(self._children.running(child)).messages()
            with _naming(upload):
                topic = next(messages)
            # The child commits on its own, so the audit entry cannot be part of the caller's transaction either
            with self._database.transaction() as session:
                chosen = {"time_zone": time_zone, "date_order": date_order}
                after = {"mapping": dict(mapping), **{name: value for name, value in chosen.items() if value}}
                self._audit.record(session, actor, AuditAction.IMPORT_STARTED, upload.name, after=after)
                started = _one_view(session, ImportJob.topic == topic)
            # The log context goes along, so that the thread's log lines name who started the import
            follow = functools.partial(
                contextvars.copy_context().run, self._follow, upload, topic, messages, stack.pop_all()
            )
        threading.Thread(target=follow, name="nebuloviz-import", daemon=True).start()
        return started

    def _claim(self, upload: Upload) -> None:
        """Reserve the file, by its contents, for one import in this process."""
        with self._lock:
            if upload.digest in self._digests:
                raise InvalidInput(_("This file is being imported already."))
            if len(self._digests) >= MAX_IMPORTS:
                raise Conflict(_("Other files are being imported. Wait until one of them is done."))
            self._digests.add(upload.digest)

    def _follow(
        self,
        upload: Upload,
        topic: str,
        batches: Iterator[Written],
        resources: contextlib.AbstractContextManager[object],
    ) -> None:
        """Announce what the child stores until it ends, then release `resources`. A failure is shown in the list of imports."""
        with resources:
            try:
                for written in batches:
                    announce(written, self._on_written)
            except ChildLostError:
                _log.exception("The import %s has ended", topic)
                mark_interrupted(self._database, topic, self._now())
            except NebuloVizError as error:
                # Only the code: the message is for the file's owner, and may quote the file
                _log.error("The import %s has failed: %s", topic, error.code)
            else:
                if not self._children.stopping:
                    self._uploads.remove(upload)

    def stop(self, timeout_seconds: float) -> None:
        """Interrupt all imports, as the program ends; importing the same file again continues where it stopped."""
        self._children.stop()
        self._children.join(timeout_seconds)


def import_views(session: Session, limit: int, cursor: str | None) -> Sequence[ImportView]:
    """See `IngestService.imports`."""
    before = ImportJob.id < last_id(cursor) if cursor else true()
    newest = select(ImportJob).where(before).order_by(ImportJob.id.desc()).limit(page_size(limit))
    jobs = list(session.scalars(newest))
    progress = progress_of(session, [job.topic for job in jobs])
    return [_view(job, progress.get(job.topic)) for job in jobs]


def import_view(session: Session, import_id: int) -> ImportView:
    """See `IngestService.import_of`."""
    return _one_view(session, ImportJob.id == import_id)


def _one_view(session: Session, which: ColumnElement[bool]) -> ImportView:
    job = session.scalars(select(ImportJob).where(which)).one_or_none()
    if job is None:
        raise NotFound(_("There is no such import."))
    return _view(job, progress_of(session, [job.topic]).get(job.topic))


def _view(job: ImportJob, progress: Progress | None) -> ImportView:
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


@contextlib.contextmanager
def _naming(upload: Upload) -> Iterator[None]:
    """Errors name the file as its owner knows it, and not by its path in the upload folder."""
    try:
        yield
    except NebuloVizError as error:
        raise InvalidInput(error.message.replace(upload.path.name, upload.name)) from error
    except ChildLostError as error:
        raise Unavailable(_("Reading the file has failed. Please try again.")) from error
