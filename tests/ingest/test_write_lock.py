"""Writers take turns, and one that sleeps in its turn does not keep the others waiting for ever."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import orjson
import psycopg2
import pytest
from sqlalchemy import exc

from nebuloviz.db import Database
from nebuloviz.ingest import write_lock
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.write_lock import acquire_write_lock
from tests.ingest.support import NOW, Ledger, assert_kept_exactly_once, shop, write


class Frozen:
    """A writer that has its turn, and stops in the midst of a COPY: what it is asked for next never comes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends = threading.Event()
        self.copying = threading.Event()
        self.error: Exception | None = None

    def read(self, _size: int = -1) -> str:
        self.copying.set()
        self._ends.wait(60)
        return ""

    def run(self) -> None:
        try:
            with self._database.transaction() as session:
                acquire_write_lock(session.connection())
                session.connection().connection.cursor().copy_expert("COPY product (product_id) FROM STDIN", self)
        except (exc.DBAPIError, psycopg2.Error) as error:
            self.error = error

    def wake(self) -> None:
        self._ends.set()


@contextmanager
def frozen_within_a_copy(database: Database) -> Iterator[Frozen]:
    frozen = Frozen(database)
    thread = threading.Thread(target=frozen.run)
    thread.start()
    try:
        assert frozen.copying.wait(30)
        yield frozen
    finally:
        frozen.wake()
        thread.join(30)


@pytest.fixture
def second(migrated_postgres_url: str) -> Iterator[Database]:
    database = Database(migrated_postgres_url)
    yield database
    database.dispose()


@pytest.fixture
def database(migrated_postgres_url: str) -> Iterator[Database]:
    database = Database(migrated_postgres_url)
    yield database
    database.dispose()


def test_a_writer_that_sleeps_within_a_copy_loses_its_turn(
    database: Database, second: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_lock, "SLEEP_SECONDS", 2)
    monkeypatch.setattr(write_lock, "LOOK_SECONDS", 1)
    sales = shop(5, seed=1)
    ledger = Ledger()
    ledger.add(sales)
    with frozen_within_a_copy(second) as frozen:
        write(DatabaseSink(database, ZoneInfo("UTC"), now=lambda: NOW), [orjson.dumps(sale) for sale in sales])
    assert frozen.error is not None
    assert_kept_exactly_once(database, ledger)


def test_a_writer_at_work_keeps_its_turn(database: Database, second: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_lock, "LOOK_SECONDS", 1)
    monkeypatch.setattr(write_lock, "LOOKS", 2)
    with frozen_within_a_copy(second) as frozen, database.transaction() as session:
        with pytest.raises(exc.OperationalError, match="lock timeout"):
            acquire_write_lock(session.connection())  # it has been silent for seconds only
        session.rollback()
    assert frozen.error is None


def test_a_turn_is_held_until_the_transaction_ends(
    database: Database, second: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_lock, "LOOK_SECONDS", 1)
    waited = threading.Event()

    def wait_for_it() -> None:
        with second.transaction() as session:
            acquire_write_lock(session.connection())
            waited.set()

    with database.transaction() as session:
        acquire_write_lock(session.connection())
        other = threading.Thread(target=wait_for_it)
        other.start()
        assert not waited.wait(2.5)  # longer than it waits before it looks again
    assert waited.wait(30)
    other.join(30)
