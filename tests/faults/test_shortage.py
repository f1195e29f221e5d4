"""A database without room, and one that answers slowly: it says so, holds no more than before, and goes on by itself."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import event, text

from nebuloviz.db import Database
from nebuloviz.ingest import consumer as consumer_module
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource
from tests.faults.conftest import stored, wait_for
from tests.ingest.support import Ledger, assert_kept_exactly_once, shop
from tests.servers import PostgresServer

STALLED_SECONDS = 2.0
FLAT_BYTES = 20_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unready after one second instead of fifteen."""
    monkeypatch.setattr(consumer_module, "STALLED_SECONDS", STALLED_SECONDS)
    monkeypatch.setattr(consumer_module, "LAST_BACKOFF_SECONDS", 0.2)


@pytest.fixture
def sqlite_database(migrated_sqlite_url: str) -> Iterator[Database]:
    database = Database(migrated_sqlite_url)
    yield database
    database.dispose()


def source_of(made: list[dict[str, Any]]) -> tuple[ListSource, Ledger]:
    records = [Record("list", 0, number, orjson.dumps(sale)) for number, sale in enumerate(made)]
    ledger = Ledger(sent={("list", 0): len(made)})
    ledger.add(made)
    return ListSource(records, 50), ledger


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Tight:
    """A database that has `room` for some batches only, what it says then, and how a connection is told of the room."""

    database: Database
    said: str
    room: int
    limit: Callable[[Any, int], object]

    def __post_init__(self) -> None:
        event.listen(self.database.engine, "checkout", lambda connection, *_: self.limit(connection, self.room))


@pytest.fixture
def tight_sqlite(sqlite_database: Database) -> Tight:
    with sqlite_database.session() as session:
        pages = session.scalar(text("PRAGMA page_count")) or 0

    def limit(connection: Any, room: int) -> None:
        connection.execute(f"PRAGMA max_page_count={room}")

    return Tight(sqlite_database, "database or disk is full", pages + 60, limit)


@pytest.fixture
def tight_postgres(postgres_database: Database, postgres: PostgresServer) -> Iterator[Tight]:
    """The kernel lets it write no file beyond a size, which that of the ids has after rows that were rolled back."""
    with postgres_database.engine.connect() as connection:
        connection.execute(text("ALTER TABLE sale_key SET (autovacuum_enabled = false)"))
        connection.commit()
        four_a_page = "SELECT decode(lpad(n::text, 3992, '0'), 'hex'), 0 FROM generate_series(1, 9000) AS n"
        connection.execute(text(f"INSERT INTO sale_key {four_a_page}"))
        connection.rollback()
        size = int(connection.scalar(text("SELECT pg_relation_size('sale_key')")) or 0)
    assert size > 16 * 2**20, "files of its log are smaller"

    def limit(connection: Any, room: int) -> None:
        postgres.limit_files(connection.info.backend_pid, room)

    yield Tight(postgres_database, "could not extend file", size + 2 * 8192, limit)
    with postgres_database.engine_begin() as connection:
        connection.execute(text("ALTER TABLE sale_key RESET (autovacuum_enabled)"))


@pytest.mark.parametrize("fixture", ["tight_sqlite", pytest.param("tight_postgres", marks=pytest.mark.servers)])
def test_a_full_disk_is_said_and_waited_for(
    request: pytest.FixtureRequest,
    fixture: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    tight: Tight = request.getfixturevalue(fixture)
    database = tight.database
    source, ledger = source_of(shop(300, seed=3))
    consumer = Consumer(source, DatabaseSink(database, ZoneInfo("UTC")))
    consumer.start()
    wait_for(lambda: tight.said in consumer.health().detail, "it says that nothing can be stored")
    assert not consumer.health().ok
    assert 0 < stored(database) < len(ledger.sales)
    before, seen = resident_bytes(), len(caplog.records)
    wait_for(lambda: len(caplog.records) > seen + 10, "it keeps trying")
    grown = resident_bytes() - before
    assert grown < FLAT_BYTES
    tight.room = 1_000_000_000
    took = wait_for(lambda: consumer.health().ok, "it heals by itself")
    record_property("well again once there is room, s", f"{took:.1f}")
    record_property("grown meanwhile, MB", f"{grown / 1e6:.1f}")
    assert consumer.join(60)
    assert_kept_exactly_once(database, ledger)


@pytest.mark.parametrize("fixture", ["sqlite_database", pytest.param("postgres_database", marks=pytest.mark.servers)])
def test_half_a_second_more_for_each_statement_only_slows_it_down(
    request: pytest.FixtureRequest, fixture: str, record_property: Callable[[str, object], None]
) -> None:
    database: Database = request.getfixturevalue(fixture)
    slow = [True]

    @event.listens_for(database.engine, "before_cursor_execute")
    def wait(*_statement: Any) -> None:
        time.sleep(0.5 if slow[0] else 0)

    source, ledger = source_of(shop(60, seed=4))
    n_sold, written, before = len(ledger.sales), threading.Event(), resident_bytes()
    consumer = Consumer(source, DatabaseSink(database, ZoneInfo("UTC")), on_written=[lambda _written: written.set()])
    consumer.start()
    assert written.wait(90)
    # Of batches of 50, one is stored, one is being written and one is parsed: nothing piles up behind a slow database
    assert sum(source.lag().values()) >= n_sold - 3 * 50
    grown = resident_bytes() - before
    record_property("grown while each statement took half a second more, MB", f"{grown / 1e6:.1f}")
    assert grown < FLAT_BYTES
    slow[0] = False
    assert consumer.join(60)
    assert consumer.exhausted
    assert_kept_exactly_once(database, ledger)
