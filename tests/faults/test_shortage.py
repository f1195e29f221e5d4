"""A database without room, and one that answers slowly: it says so, holds no more than before, and goes on by itself."""

import os
import threading
import time
from collections.abc import Iterator
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
from tests.faults.conftest import wait_for
from tests.ingest.support import Ledger, assert_kept_exactly_once, shop

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


def test_a_full_disk_is_said_and_waited_for(sqlite_database: Database) -> None:
    with sqlite_database.session() as session:
        pages = session.scalar(text("PRAGMA page_count")) or 0
    room = [pages + 60]  # some batches
    failures = []

    @event.listens_for(sqlite_database.engine, "checkout")
    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={room[0]}")

    event.listen(sqlite_database.engine, "handle_error", lambda context: failures.append(context.original_exception))
    source, ledger = source_of(shop(300, seed=3))
    consumer = Consumer(source, DatabaseSink(sqlite_database, ZoneInfo("UTC")))
    consumer.start()
    wait_for(lambda: not consumer.health().ok, "it says that nothing can be stored")
    assert "database or disk is full" in consumer.health().detail
    before, seen = resident_bytes(), len(failures)
    wait_for(lambda: len(failures) > seen + 10, "it keeps trying")
    assert resident_bytes() - before < FLAT_BYTES
    room[0] = 1_000_000_000
    assert wait_for(lambda: consumer.health().ok, "it heals by itself") < 30
    assert consumer.join(60)
    assert_kept_exactly_once(sqlite_database, ledger)


def test_half_a_second_more_for_each_statement_only_slows_it_down(sqlite_database: Database) -> None:
    slow = [True]

    @event.listens_for(sqlite_database.engine, "before_cursor_execute")
    def wait(*_statement: Any) -> None:
        time.sleep(0.5 if slow[0] else 0)

    source, ledger = source_of(shop(60, seed=4))
    n_sold, written = len(ledger.sales), threading.Event()
    consumer = Consumer(
        source, DatabaseSink(sqlite_database, ZoneInfo("UTC")), on_written=[lambda _written: written.set()]
    )
    consumer.start()
    assert written.wait(90)
    # Of batches of 50, one is stored, one is being written and one is parsed: nothing piles up behind a slow database
    assert sum(source.lag().values()) >= n_sold - 3 * 50
    slow[0] = False
    assert consumer.join(60)
    assert consumer.exhausted
    assert_kept_exactly_once(sqlite_database, ledger)
