"""A database that is full, locked or slow: the consumer says so, holds no more than before, and goes on by itself."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import event, text

from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource
from tests.faults.conftest import FLAT_BYTES, RESUMES_SECONDS, UNREADY_SECONDS, resident_bytes, stored, wait_for
from tests.ingest.support import Ledger, assert_kept_exactly_once, shop
from tests.servers import PostgresServer


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


@dataclass
class Trouble:
    """A database that takes some batches, and from `begin` on none until `end`; and what it says then."""

    database: Database
    said: str
    begin: Callable[[], object]
    end: Callable[[], object]


def tight(database: Database, said: str, room: int, limit: Callable[[Any, int], object]) -> Trouble:
    """Until the end it has `room` for some batches only, of which `limit` tells each connection."""
    rooms = [room]
    event.listen(database.engine, "checkout", lambda connection, *_: limit(connection, rooms[-1]))
    return Trouble(database, said, lambda: None, lambda: rooms.append(1_000_000_000))


@pytest.fixture
def locked_sqlite(sqlite_database: Database, migrated_sqlite_url: str) -> Iterator[Trouble]:
    path = migrated_sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)) as other:
        yield Trouble(sqlite_database, "database is locked", lambda: other.execute("BEGIN IMMEDIATE"), other.rollback)


@pytest.fixture
def tight_sqlite(sqlite_database: Database) -> Trouble:
    with sqlite_database.session() as session:
        pages = session.scalar(text("PRAGMA page_count")) or 0

    def limit(connection: Any, room: int) -> None:
        connection.execute(f"PRAGMA max_page_count={room}")

    return tight(sqlite_database, "database or disk is full", pages + 60, limit)


@pytest.fixture
def tight_postgres(postgres_database: Database, postgres: PostgresServer) -> Iterator[Trouble]:
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

    yield tight(postgres_database, "could not extend file", size + 2 * 8192, limit)
    with postgres_database.engine_begin() as connection:
        connection.execute(text("ALTER TABLE sale_key RESET (autovacuum_enabled)"))


@pytest.mark.parametrize(
    "fixture", ["locked_sqlite", "tight_sqlite", pytest.param("tight_postgres", marks=pytest.mark.servers)]
)
def test_that_nothing_can_be_stored_is_said_and_waited_for(
    request: pytest.FixtureRequest,
    fixture: str,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    trouble: Trouble = request.getfixturevalue(fixture)
    database, began = trouble.database, threading.Event()

    def begin(_written: object) -> None:
        if not began.is_set():
            trouble.begin()
            began.set()

    source, ledger = source_of(shop(300, seed=3))
    consumer = Consumer(source, DatabaseSink(database, ZoneInfo("UTC")), on_written=[begin])
    consumer.start()
    wait_for(began.is_set, "it has begun")
    before = resident_bytes()
    unready = wait_for(lambda: not consumer.health().ok, "it says that nothing can be stored", UNREADY_SECONDS)
    wait_for(lambda: trouble.said in consumer.health().detail, "and why", UNREADY_SECONDS)
    assert "a failure" in caplog.text, "it keeps trying"
    known, grown = stored(database), resident_bytes() - before
    assert 0 < known < len(ledger.sales)
    assert grown < FLAT_BYTES
    trouble.end()
    resumed = wait_for(lambda: stored(database) > known, "it resumes", RESUMES_SECONDS)
    wait_for(lambda: consumer.health().ok, "it is well again", RESUMES_SECONDS)
    record_property(f"{trouble.said}: unready, and when that is over storing again, s", f"{unready:.1f}, {resumed:.1f}")
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
    assert consumer.health().ok, "it is slow, and goes on"
    # Of batches of 50, one is stored, one is being written and one is parsed: nothing piles up behind a slow database
    assert sum(source.lag().values()) >= n_sold - 3 * 50
    grown = resident_bytes() - before
    record_property("grown while each statement took half a second more, MB", f"{grown / 1e6:.1f}")
    assert grown < FLAT_BYTES
    slow[0] = False
    written.clear()
    resumed = wait_for(written.is_set, "it goes on as fast as ever", RESUMES_SECONDS)
    record_property("stored again once statements were fast, s", f"{resumed:.1f}")
    assert consumer.join(60)
    assert consumer.exhausted
    assert_kept_exactly_once(database, ledger)
