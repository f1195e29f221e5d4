"""Engines, sessions and transactions, for PostgreSQL and SQLite alike. Nothing else in the program commits."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, CursorResult, Engine, Result, Table, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry, Pool, QueuePool

from nebuloviz import tracing
from nebuloviz.errors import ConfigurationError, NebuloVizError, Unavailable
from nebuloviz.i18n import gettext as _

BUSY_TIMEOUT_MS = 15_000
_LOG_BYTES = 64 << 20
_OVERFLOW = 5
_REST_SECONDS = 1.0
_RESTS_SINCE = "rests_since"


class Database:
    """One database, reached by synchronous code (pages, consumer, command line) and by the asynchronous API.

    Connections are opened on first use, so constructing one needs no server.
    """

    def __init__(self, url: str, *, pool_size: int = 10, statement_timeout_seconds: int = 30) -> None:
        self.url = _normalised(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._pool_size = pool_size
        self._timeout_ms = statement_timeout_seconds * 1000
        self.engine = self._sync_engine()
        self._async_engine: AsyncEngine | None = None

    @property
    def where(self) -> str:
        """The database's address without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """For reading; whatever is not committed is rolled back at the end."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self, *, patience_ms: int = BUSY_TIMEOUT_MS) -> Iterator[Session]:
        """For writing: commits at the end, rolls back when the block raises (but for errors that keep changes).

        SQLite takes its write lock at the start, for which it waits `patience_ms` and then raises OperationalError.
        """
        writing = self.engine.execution_options(write=True, patience_ms=patience_ms)
        with Session(writing, expire_on_commit=False) as session:
            try:
                yield session
            except NebuloVizError as error:
                if error.keeps_changes:
                    session.commit()
                raise
            session.commit()

    @contextmanager
    def engine_begin(self) -> Iterator[Connection]:
        """A bare connection in one writing transaction, for schema changes; commits at the end."""
        with self.engine.execution_options(write=True).begin() as connection:
            yield connection

    @asynccontextmanager
    async def async_session(self) -> AsyncIterator[AsyncSession]:
        """As `session`, for coroutines."""
        async with AsyncSession(self.async_engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def async_glance(self) -> AsyncIterator[AsyncSession]:
        """As `async_session`, for statements of which each stands for itself: PostgreSQL is not told of a transaction around them."""
        async with AsyncSession(self._glancing_engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def async_transaction(self) -> AsyncIterator[AsyncSession]:
        """As `transaction`, for coroutines."""
        async with AsyncSession(self.async_engine.execution_options(write=True), expire_on_commit=False) as session:
            try:
                yield session
            except NebuloVizError as error:
                if error.keeps_changes:
                    await session.commit()
                raise
            await session.commit()

    @property
    def async_engine(self) -> AsyncEngine:
        """Made at first use, so that only the process that serves the API pays for it."""
        if self._async_engine is None:
            self._async_engine = self._make_async_engine()
        return self._async_engine

    @cached_property
    def _glancing_engine(self) -> AsyncEngine:
        return (
            self.async_engine if self.is_sqlite else self.async_engine.execution_options(isolation_level="AUTOCOMMIT")
        )

    def connections(self) -> dict[str, tuple[int, int]]:
        """How many are in use and idle, by pool: `sync` of pages and consumer, `async` of the API."""
        engines = {"sync": self.engine, "async": self._async_engine and self._async_engine.sync_engine}
        return {name: _connections(engine.pool) if engine else (0, 0) for name, engine in engines.items()}

    def dispose(self) -> None:
        """Close the idle synchronous connections."""
        self.engine.dispose()

    async def dispose_async(self) -> None:
        """Close the idle asynchronous connections; call it on the loop that used them."""
        if self._async_engine is not None:
            await self._async_engine.dispose()

    def _sync_engine(self) -> Engine:
        if self.is_sqlite:
            engine = create_engine(
                self.url,
                connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
                hide_parameters=True,  # what is in a statement is nobody's who reads the log; so below
            )
            _prepare_sqlite(engine)
            tracing.watch(engine)
            return engine
        options = " ".join(f"-c {name}={value}" for name, value in self._postgresql_settings().items())
        connect = {"options": options, "connect_timeout": 5, "application_name": "nebuloviz"}
        engine = create_engine(
            self.url, pool_size=self._pool_size, max_overflow=_OVERFLOW, connect_args=connect, hide_parameters=True
        )
        _ping_after_rest(engine)
        tracing.watch(engine)
        return engine

    def _make_async_engine(self) -> AsyncEngine:
        if self.is_sqlite:
            engine = create_async_engine(
                self.url.set(drivername="sqlite+aiosqlite"),
                connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
                hide_parameters=True,
            )
            _prepare_sqlite(engine.sync_engine)
            tracing.watch(engine.sync_engine)
            return engine
        server = self._postgresql_settings() | {"application_name": "nebuloviz"}
        connect: dict[str, Any] = {"server_settings": server, "timeout": 5}
        engine = create_async_engine(
            self.url.set(drivername="postgresql+asyncpg"),
            pool_size=self._pool_size + _OVERFLOW,  # those beyond the pool would be opened and closed with each request
            max_overflow=0,
            connect_args=connect,
            hide_parameters=True,
        )
        _ping_after_rest(engine.sync_engine)
        tracing.watch(engine.sync_engine)
        return engine

    def _postgresql_settings(self) -> dict[str, str]:
        return {
            "statement_timeout": str(self._timeout_ms),
            "timezone": "UTC",
            "jit": "off",
            # Starting helpers takes 5 to 15 ms, which is more than a question to the rollups does; large scans still get them
            "parallel_setup_cost": "100000",
        }


def _connections(pool: Pool) -> tuple[int, int]:
    return (pool.checkedout(), pool.checkedin()) if isinstance(pool, QueuePool) else (0, 0)


def _ping_after_rest(engine: Engine) -> None:
    """Ask a connection that has rested whether it is still one, before it is used; a busy one need not be asked each time."""

    @event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_RESTS_SINCE, math.inf) < _REST_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except (engine.dialect.loaded_dbapi.Error, OSError) as error:
            raise DisconnectionError from error


def dialect_of(where: Session | Connection) -> str:
    """`postgresql` or `sqlite`."""
    return (where.get_bind() if isinstance(where, Session) else where).dialect.name


Insert = PostgresqlInsert | SqliteInsert


def insert(where: Session | Connection, table: type[DeclarativeBase] | Table) -> Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, which SQLAlchemy has once a dialect."""
    return inserting(dialect_of(where), table)


def inserting(dialect: str, table: type[DeclarativeBase] | Table) -> Insert:
    """As `insert`, for statements that are made once."""
    return (sqlite_insert if dialect == "sqlite" else postgresql_insert)(table)


def rows_changed(result: Result[Any]) -> int:
    """How many rows an INSERT, UPDATE or DELETE changed."""
    return cast("CursorResult[Any]", result).rowcount


@contextmanager
def answering() -> Iterator[None]:
    """Turn a database that does not answer, or not in time, into an error that says so.

    Raises:
        Unavailable: the connection failed or broke, the pool is exhausted, or a statement was ended.
    """
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
        if isinstance(error, DBAPIError) and not _unanswered(error):
            raise
        raise Unavailable(_("The database is not responding at the moment. Please try again shortly.")) from error


#: PostgreSQL's codes for a table or column that is not there: its tables are of another version, or not made yet.
_NOT_SET_UP = frozenset({"42P01", "42703"})


def _unanswered(error: DBAPIError) -> bool:
    """Whether the server is away, shutting down, short of something, out of time or not set up, rather than asked something wrong."""
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
        return True
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
    return state.startswith(("08", "53", "57")) or state in _NOT_SET_UP


def _normalised(text: str) -> URL:
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1) if text.startswith("postgres://") else text)
    except (ArgumentError, ValueError):  # neither may tell what is in it
        message = "NEBULOVIZ_DATABASE_URL is no address of a database; write postgresql://user:password@host:port/name or sqlite:///file."
        raise ConfigurationError(message) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg2")
    if backend == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # sales are not for everybody
        return url.set(drivername="sqlite")
    message = f"The database must be PostgreSQL or SQLite, not {backend}. Set NEBULOVIZ_DATABASE_URL accordingly."
    raise ConfigurationError(message)


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, so that readers never wait for the writer, and BEGIN IMMEDIATE, so that a writer waits at its start and not mid-way."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN would defeat ours
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"journal_size_limit={_LOG_BYTES}",  # what a long load has let the log grow to is given back
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
            "cache_size=-8192",  # KiB a connection, of which there may be fifteen; the system keeps the file in memory as well
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("write", False):
            connection.exec_driver_sql("BEGIN")
            return
        patience = options.get("patience_ms", BUSY_TIMEOUT_MS)
        if patience == BUSY_TIMEOUT_MS:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        connection.exec_driver_sql(f"PRAGMA busy_timeout={patience:d}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:  # the connection goes back to the pool
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
