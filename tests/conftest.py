"""Fixtures for every test: real servers, fresh databases and topics, a real browser.

A server that is not installed skips the tests that need it, with the reason; with `NEBULOVIZ_TEST_SERVERS=required`, as in
CI, it fails them. Tests marked `thorough` take minutes and are left out; `--thorough` runs them as well, and so does naming their
file. A test that takes a session's server away need not give it back: the next fixture that hands it out does.
"""

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from nebuloviz import migrate, process
from nebuloviz.db import Database
from tests.servers import KafkaServer, PostgresServer, RedisServer, Server
from tests.servers.postgres_copies import PostgresCopies
from tests.servers.required import needs_servers

process.begin()  # as the program does

pytest_plugins = ["tests.browser", "tests.sharing_out"]
pytest.register_assert_rewrite("tests.ingest.support")  # the oracle says what differs

ServerKind = TypeVar("ServerKind", bound=Server)

#: Fixture -> the markers of all tests that ask for it, directly or not.
MARKERS = {
    "postgres": ["servers"],
    "redis_server": ["servers"],
    "kafka": ["servers", "kafka"],
    "chromium": ["browser"],
    "image": ["image", "thorough"],
    "online_retail": ["real_data"],
}


_MAX_ID_LENGTH = 16

# How fast the machine is decides nothing: not whether an example took long, nor whether making it did.
settings.register_profile("nebuloviz", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nebuloviz")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run the tests marked so as well, which take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they use, and leave out those for which nobody has the time."""
    for item in items:
        for fixture, markers in MARKERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                for marker in markers:
                    item.add_marker(marker)
    named = any(".py" in argument for argument in config.args)
    if named or config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_collection_finish() -> None:
    """All that was collected stays: the collector need not walk through it again and again."""
    process.settle()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests have recorded: they prove nothing, and are good to know."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in reports:
        if report.when == "call":
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long text and bytes are named by their length: readable, and equal in every process, which gzip's time stamps are not."""
    return f"{argname}-of-{len(val)}" if isinstance(val, bytes | str) and len(val) > _MAX_ID_LENGTH else None


def _session_server(kind: type[ServerKind]) -> Iterator[ServerKind]:
    with needs_servers():
        server = kind.started()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the developer's shell must not decide what a test sees."""
    for name in os.environ:
        if name.startswith("NEBULOVIZ_") and not name.startswith("NEBULOVIZ_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def refused_hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No test, and nothing it runs in this process, connects to another machine: the network is unreachable.

    A try fails the test at its end, unless the test clears this list.
    """
    refused: list[str] = []
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any, /) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            refused.append(address[0])
            raise OSError(errno.ENETUNREACH, f"tests reach no other host: {address[0]}")
        real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield refused
    assert not refused, f"tried to connect to {', '.join(refused)}"


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1", ""} or host.startswith("127.")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL; `postgres_url` is what most tests want."""
    yield from _session_server(PostgresServer)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's Redis; `redis_url` is what most tests want."""
    yield from _session_server(RedisServer)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """The session's Kafka broker, for its `url`; topics come from `kafka_topic`."""
    yield from _session_server(KafkaServer)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """URL of a database that is new and empty."""
    postgres.start()
    name = postgres.create_database()
    yield postgres.database_url(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a new and empty database: the test runs once on each kind."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: PostgresServer) -> str:
    """Name of a migrated database, to be copied."""
    name = postgres.create_database()
    _migrate(postgres.database_url(name))
    return name


def _migrate(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database)
    database.dispose()


@pytest.fixture
def migrated_sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a new SQLite database with all tables, and no rows."""
    return f"sqlite:///{shutil.copy(_sqlite_template, tmp_path / 'migrated.sqlite3')}"


@pytest.fixture(scope="session")
def _postgres_copies(postgres: PostgresServer, _postgres_template: str) -> PostgresCopies:
    """Migrated databases, used again by one test after the other."""
    return PostgresCopies(postgres, _postgres_template)


@pytest.fixture
def migrated_postgres_url(postgres: PostgresServer, _postgres_copies: PostgresCopies) -> Iterator[str]:
    """URL of a PostgreSQL database as if it were new, with all tables, and no rows."""
    postgres.start()
    name = _postgres_copies.take()
    yield postgres.database_url(name)
    postgres.start()
    _postgres_copies.give_back(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """URL of a new database with all tables, and no rows: the test runs once on each kind."""
    fixtures = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}
    url: str = request.getfixturevalue(fixtures[request.param])
    return url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A new database with all tables, and no rows: the test runs once on each kind."""
    database = Database(migrated_url)
    yield database
    database.dispose()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of a Redis that is empty."""
    redis_server.start()
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def kafka_topic(kafka: KafkaServer) -> Callable[..., str]:
    """`kafka_topic(partitions=1)` makes a new topic, and returns its name."""
    kafka.start()
    return kafka.create_topic
