"""What the database keeps to: no statement takes for ever, and who uses its connections is told."""

import asyncio
import platform
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from nebuloviz import __version__, db
from nebuloviz.bootstrap.core import show_process
from nebuloviz.db import Database

_SLEEP = text("SELECT pg_sleep(600)")
_ENDED = "canceling statement due to statement timeout"


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    database = Database(postgres_url, statement_timeout_seconds=1)
    with pytest.raises(DBAPIError, match=_ENDED), database.session() as session:
        session.execute(_SLEEP)
    with database.session() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.dispose()


def test_so_is_one_of_the_event_loop(postgres_url: str) -> None:
    database = Database(postgres_url, statement_timeout_seconds=1)

    async def sleep() -> None:
        async with database.async_session() as session:
            await session.execute(_SLEEP)

    async def all_of_it() -> None:
        with pytest.raises(DBAPIError, match=_ENDED):
            await sleep()
        await database.dispose_async()

    asyncio.run(all_of_it())


def told(pool: str) -> tuple[float | None, float | None]:
    """How many connections of a pool are in use, and how many idle."""
    in_use, idle = (
        REGISTRY.get_sample_value("nebuloviz_db_connections", {"pool": pool, "state": state})
        for state in ("in_use", "idle")
    )
    return in_use, idle


def test_connections_are_told_as_they_are_taken_and_given_back(database_url: str) -> None:
    database = Database(database_url)
    show_process(database)
    version = {"version": __version__, "python": platform.python_version()}
    assert REGISTRY.get_sample_value("nebuloviz_build_info", version) == 1
    assert (told("sync"), told("async")) == ((0, 0), (0, 0))
    with database.session() as one, database.session() as other:
        for session in (one, other):
            session.execute(text("SELECT 1"))
        assert told("sync") == (2, 0)
    assert told("sync") == (0, 2)

    async def ask() -> None:
        async with database.async_session() as session:
            await session.execute(text("SELECT 1"))
            assert (told("async"), told("sync")) == ((1, 0), (0, 2))
        assert told("async") == (0, 1)
        await database.dispose_async()

    asyncio.run(ask())
    database.dispose()
    assert (told("sync"), told("async")) == ((0, 0), (0, 0))


def test_what_a_long_transaction_has_let_sqlites_log_grow_to_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_LOG_BYTES", 100_000)
    database = Database(f"sqlite:///{tmp_path}/shop.sqlite3")
    log = tmp_path / "shop.sqlite3-wal"
    with database.transaction() as session:
        session.execute(text("CREATE TABLE kept (words TEXT)"))
        session.execute(text("INSERT INTO kept VALUES (hex(randomblob(5000000)))"))
    grown = log.stat().st_size
    for _ in range(2):  # the first brings the log into the file, the second begins it anew
        with database.transaction() as session:
            session.execute(text("INSERT INTO kept VALUES ('one more')"))
    assert grown > 5_000_000
    assert log.stat().st_size <= 100_000
    database.dispose()


def test_who_does_not_wait_for_sqlites_lock_leaves_a_connection_that_does(tmp_path: Path) -> None:
    database, other = (Database(f"sqlite:///{tmp_path}/shop.sqlite3") for _ in range(2))
    with database.transaction() as session:
        session.execute(text("CREATE TABLE kept (words TEXT)"))
    with other.transaction() as holding:
        holding.execute(text("SELECT 1"))
        with pytest.raises(OperationalError, match="locked"), database.transaction(patience_ms=1) as session:
            session.execute(text("SELECT 1"))
        with database.session() as session:
            assert session.scalar(text("PRAGMA busy_timeout")) == db.BUSY_TIMEOUT_MS
    with database.transaction(patience_ms=1) as session:
        session.execute(text("INSERT INTO kept VALUES ('free again')"))
    with database.session() as session:
        assert session.scalar(text("PRAGMA busy_timeout")) == db.BUSY_TIMEOUT_MS
    database.dispose()
    other.dispose()
