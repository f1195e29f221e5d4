"""One running program a kind of database, which all files here attack over HTTP: SQLite alone, and PostgreSQL with Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nebuloviz.db import Database
from tests.program import PASSWORD, Program, add_users, environment_of, started
from tests.servers import PostgresServer, RedisServer

SECRET = "6rYt1Zc0mQ8uWv3Kx5Lb7Ne9Pd2Sg4Hj-tests"
MAX_UPLOAD_MB = 2
TOKEN_MINUTES = 240  # so that none ends before the tests that share it
NOW = datetime.now(UTC).replace(microsecond=0)
YESTERDAY = NOW - timedelta(days=1)


@dataclass
class Target:
    """The running program, with a user of each role; `database` is what it stands on."""

    program: Program
    database: Database
    alert_id: int = 0
    _clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.program.url

    @property
    def data_dir(self) -> Path:
        return Path(self.program.environment["NEBULOVIZ_DATA_DIR"])

    def nobody(self, **headers: str) -> httpx.Client:
        return self.program.client(**headers)

    def browser(self, role: str) -> httpx.Client:
        """A browser signed in as `role`, which all tests share."""
        return self.program.as_(role)

    def tokens(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        """New tokens of a sign-in."""
        with self.nobody() as client:
            answer = client.post("/api/v1/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def api(self, role: str) -> httpx.Client:
        """The API with the token of `role`, which all tests share."""
        if role not in self._clients:
            self._clients[role] = self.bearing(self.tokens(role)["access_token"])
        return self._clients[role]

    def forget(self, role: str) -> None:
        """`role` signs in anew when it is next asked for."""
        for clients in (self._clients, self.program._clients):
            if role in clients:
                clients.pop(role).close()

    def bearing(self, token: str) -> httpx.Client:
        return self.nobody(Authorization=f"Bearer {token}")

    def add_user(self, name: str, role: str = "viewer") -> int:
        """A user who may sign in with `PASSWORD`; their id."""
        return self.program.add_user(name, role)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def target(request: pytest.FixtureRequest) -> Target:
    """The program to attack. Each kind runs until the session's end: starting it takes seconds, and all files ask for both."""
    found: Target = request.getfixturevalue(f"_on_{request.param}")
    return found


@pytest.fixture(scope="session")
def _on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    environment = environment_of(
        tmp_path_factory.mktemp("attacked"),
        secret_key=SECRET,
        max_upload_mb=str(MAX_UPLOAD_MB),
        access_token_minutes=str(TOKEN_MINUTES),
    )
    with _attacked(environment, f"sqlite:///{environment['NEBULOVIZ_DATA_DIR']}/nebuloviz.sqlite3") as target:
        yield target


@pytest.fixture(scope="session")
def _on_postgresql(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    _postgres_template: str,
    redis_server: RedisServer,
) -> Iterator[Target]:
    url = postgres.database_url(postgres.create_database(template=_postgres_template))
    redis_server.start()
    redis_server.flush()  # of failed sign-ins to other programs
    settings = {
        "secret_key": SECRET,
        "max_upload_mb": str(MAX_UPLOAD_MB),
        "access_token_minutes": str(TOKEN_MINUTES),
        "database_url": url,
        "redis_url": redis_server.url,
    }
    with _attacked(environment_of(tmp_path_factory.mktemp("attacked"), **settings), url) as target:
        yield target


@contextmanager
def _attacked(environment: dict[str, str], url: str) -> Iterator[Target]:
    with started(environment) as program:
        add_users(program)
        database = Database(url)
        running = Target(program, database)
        yield running
        running.close()
        database.dispose()
        said = program.log.read_text()
        assert "Traceback" not in said, said[said.index("Traceback") - 1000 :][:4000]


def sale(number: int, **changes: object) -> dict[str, Any]:
    """A good sale of yesterday, told from others by `number`, but for `changes`."""
    usual = {"sale_id": f"s-{number}", "order_id": f"o-{number}", "sold_at": YESTERDAY.isoformat(), "product_id": "p"}
    return usual | {"quantity": 1, "unit_price": 2, "category": "Dairy", "product": "Milk"} | changes
