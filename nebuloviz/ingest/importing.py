"""Imports a file of sales through the same parser and sink as everything else.

The topic is made of the file's content and its mapping and the offset is the row's number, so a second import of the same file
goes on where the first one stopped, or finds that all is there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.errors import PayloadTooLarge
from nebuloviz.i18n import _
from nebuloviz.ingest.announce import OnWritten
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.files import content_hash, open_csv, open_table
from nebuloviz.ingest.jobs import FILE_TOPICS, Job, finish_job, open_job
from nebuloviz.ingest.mapping import RowEncoder, TableMapping, mapped_columns, table_mapping
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import Sink
from nebuloviz.ingest.sources import IteratorSource, Partition
from nebuloviz.ingest.tables import Row

_GIVE_UP_SECONDS = 120.0


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is; `rate` in rows a second."""

    rows: int
    rows_total: int
    rate: float


@dataclass(frozen=True)
class ImportResult:
    """What became of a file's rows, those of earlier tries included. `topic` names its dead letters.

    `known`: all of it had been imported before, so nothing was stored now.
    """

    topic: str
    rows: int
    accepted: int
    duplicates: int
    rejected: int
    complete: bool
    known: bool


OnProgress = Callable[[ImportProgress], None]


def csv_records(path: Path, corrections: Mapping[str, str], time_zone: str, most: int) -> Iterator[Record]:
    """The rows of a CSV file as records, whose topics and offsets are for the caller to give.

    Raises:
        InvalidInput: it cannot be read, or a required field has no column.
        PayloadTooLarge: it has more than `most` rows.
    """
    table = open_csv(path)
    if table.n_rows > most:
        raise PayloadTooLarge(_("At most {limit} sales can be sent at once.", limit=f"{most:,}"))
    columns = mapped_columns(table, corrections)
    encode = RowEncoder(table, table_mapping(table, columns, time_zone)).encode
    for row in table.rows():
        yield Record("", 0, 0, b"" if row.problem else encode(row), row.original, row.problem)


class FileImport:
    """One file with its mapping, ready to be imported.

    Raises:
        InvalidInput: the file cannot be read, a required field has no column, or there is no such zone or order.
    """

    def __init__(
        self, path: Path, corrections: Mapping[str, str], time_zone: str, name: str = "", date_order: str = ""
    ) -> None:
        self.name = name or path.name
        self._table = open_table(path)
        columns = {} if self._table.is_json else mapped_columns(self._table, corrections)
        self.mapping: TableMapping = table_mapping(self._table, columns, time_zone, date_order)
        identity = hashlib.sha256(f"{content_hash(path)}\n{self.mapping.text()}".encode()).hexdigest()
        self.partition = Partition(f"{FILE_TOPICS}{identity}", 0)

    @property
    def rows_total(self) -> int:
        return self._table.n_rows

    def enter(self, database: Database, started_by: str, now: Callable[[], datetime] = utc_now) -> Job:
        """Put it on the record, or find the entry that it continues."""
        return open_job(
            database, self.partition.topic, self.name, self.rows_total, self.mapping.columns, started_by, now()
        )

    def records(self, offset: int) -> Iterator[Record]:
        """The rows from number `offset` on. Earlier ones are read too: repeated lines are numbered over the whole file."""
        encode: Callable[[Row], bytes] = (
            _as_it_is if self._table.is_json else RowEncoder(self._table, self.mapping).encode
        )
        for number, row in enumerate(self._table.rows()):
            value = b"" if row.problem else encode(row)
            if number >= offset:
                yield Record(*self.partition, number, value, row.original, row.problem)


def _as_it_is(row: Row) -> bytes:
    return row.original


def run_import(  # noqa: PLR0913 - a long run has several who want to hear of it; all but three are named
    job: FileImport,
    database: Database,
    sink: Sink,
    *,
    started_by: str = "",
    on_written: Sequence[OnWritten] = (),
    on_progress: OnProgress | None = None,
    on_consumer: Callable[[Consumer], None] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> ImportResult:
    """Import the file in this thread; `on_consumer` is given the consumer, whose `stop` interrupts the import.

    Raises:
        InvalidInput: the file turned out to be unreadable half-way; what was read until then is stored.
        sqlalchemy.exc.DBAPIError: the database did not answer for two minutes.
    """
    topic = job.partition.topic
    entry = job.enter(database, started_by, now)
    pace = _Pace(job.rows_total, on_progress)
    source = IteratorSource(job.partition, job.records)
    consumer = Consumer(source, sink, None, [*on_written, pace], now, give_up_seconds=_GIVE_UP_SECONDS)
    if on_consumer is not None:
        on_consumer(consumer)
    try:
        consumer.run()
    except Exception as error:
        finish_job(database, entry.id, "failed", str(error)[:500], now())
        raise
    complete = consumer.exhausted
    message = "" if complete else _("Interrupted. Import the same file again: it goes on where it stopped.")
    progress = finish_job(database, entry.id, "done" if complete else "failed", message, now())
    counts = (progress.rows_done, progress.accepted, progress.duplicate, progress.rejected)
    return ImportResult(topic, *counts, complete, known=entry.state == "done")


class _Pace:
    """Listens to stored batches and tells how fast it goes."""

    def __init__(self, rows_total: int, tell: OnProgress | None) -> None:
        self._total = rows_total
        self._tell = tell
        self._start = time.monotonic()
        self._rows = 0

    def __call__(self, written: Written) -> None:
        self._rows += len(written.outcomes)
        if self._tell is not None:
            rate = self._rows / max(time.monotonic() - self._start, 1e-3)
            self._tell(ImportProgress(written.next_offset, max(self._total, written.next_offset), rate))
