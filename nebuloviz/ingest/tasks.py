"""What the program does in processes of its own, see `child`. Each task loads what it needs itself, so that its parent need not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from nebuloviz import process
from nebuloviz.child import Parent
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest.announce import OnWritten
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.files import MEMORY_BYTES
from nebuloviz.ingest.jobs import finish_job, open_job
from nebuloviz.ingest.sample_plan import HISTORY, NAME, Plan
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import IteratorSource

#: Others who wait for SQLite's one write lock look for it at least this often.
_TURN_SECONDS = 0.1


@dataclass(frozen=True)
class Storage:
    """Where a task stores sales, and how: the installation's database, zone and currency."""

    database_url: str
    time_zone: str
    currency: str

    @classmethod
    def of(cls, database: Database, time_zone: str, currency: str) -> Storage:
        return cls(database.url.render_as_string(hide_password=False), time_zone, currency)

    def open(self) -> tuple[Database, DatabaseSink]:
        """The database and a sink of one's own."""
        database = Database(self.database_url)
        return database, DatabaseSink(database, ZoneInfo(self.time_zone), self.currency)


def load_history(
    parent: Parent, storage: Storage, plan: Plan, currency: str, folder: Path | None, n_lines: int
) -> None:
    """Load what is left of the sample's history; `n_lines` a batch; tells each stored batch, without its sales."""
    from nebuloviz.ingest.sample_data import SampleFile  # noqa: PLC0415 - loads pyarrow
    from nebuloviz.ingest.sample_stream import SampleStream  # noqa: PLC0415

    database, sink = storage.open()
    stream = SampleStream(SampleFile(folder), plan, currency)
    size = stream.history_size()
    job = open_job(database, HISTORY.topic, NAME, size, {}, "system", utc_now())
    source = IteratorSource(HISTORY, stream.history, limit=n_lines)
    consumer = Consumer(source, sink, None, _listeners(parent, database))
    parent.when_stopped(consumer.stop)
    consumer.run()
    position = sink.position(*HISTORY)
    if position is not None and position.next_offset >= size:
        finish_job(database, job.id, "done", "", utc_now())


def read_live(parent: Parent, plan: Plan, currency: str, folder: Path | None, offset: int | None, n_lines: int) -> None:
    """Tell the next lines that the sample replays, from an offset on (None: from the first), as one list of `Timed`."""
    from itertools import islice  # noqa: PLC0415

    from nebuloviz.ingest.sample_data import SampleFile  # noqa: PLC0415 - loads pyarrow
    from nebuloviz.ingest.sample_stream import SampleStream  # noqa: PLC0415

    stream = SampleStream(SampleFile(folder), plan, currency)
    first = stream.live_beginning() if offset is None else offset
    parent.tell(list(islice(stream.live(first), n_lines)))


@dataclass(frozen=True)
class Reading:
    """How a file is read: column by field, '' for none; the zone of moments without one; the order of day and month, or ''."""

    columns: Mapping[str, str]
    time_zone: str
    date_order: str


def import_file(parent: Parent, storage: Storage, path: Path, reading: Reading, name: str, username: str) -> None:
    """Import a file of sales; tells its topic once it is on the record, then each stored batch, without its sales.

    Raises:
        InvalidInput: it cannot be read, a required field has no column, or there is no such zone or order.
    """
    from nebuloviz.ingest.importing import FileImport, run_import  # noqa: PLC0415 - as above

    process.bound_memory(MEMORY_BYTES)
    job = FileImport(path, reading.columns, reading.time_zone, name, reading.date_order)
    database, sink = storage.open()
    job.enter(database, username)
    parent.tell(job.partition.topic)
    run_import(
        job,
        database,
        sink,
        started_by=username,
        on_written=_listeners(parent, database),
        on_consumer=lambda consumer: parent.when_stopped(consumer.stop),
    )


def _listeners(parent: Parent, database: Database) -> list[OnWritten]:
    def tell(written: Written) -> None:
        parent.tell(replace(written, sales=()))

    def give_way(_written: Written) -> None:
        time.sleep(_TURN_SECONDS)

    return [tell, give_way] if database.is_sqlite else [tell]
