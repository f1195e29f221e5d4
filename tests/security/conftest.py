"""One running program a kind of database, which all files here attack over HTTP: SQLite alone, and PostgreSQL with Redis."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nebuloviz.db import Database
from tests.program import PASSWORD, Program, add_users, environment_of, started

SECRET = "6rYt1Zc0mQ8uWv3Kx5Lb7Ne9Pd2Sg4Hj-tests"
MAX_UPLOAD_MB = 2
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
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    given = {"secret_key": SECRET, "max_upload_mb": str(MAX_UPLOAD_MB)}
    if request.param == "postgresql":
        postgres, redis = request.getfixturevalue("postgres"), request.getfixturevalue("redis_server")
        name = postgres.create_database(template=request.getfixturevalue("_postgres_template"))
        given |= {"database_url": postgres.database_url(name), "redis_url": redis.url}
    environment = environment_of(tmp_path_factory.mktemp("attacked"), **given)
    with started(environment) as program:
        add_users(program)
        url = given.get("database_url") or f"sqlite:///{environment['NEBULOVIZ_DATA_DIR']}/nebuloviz.sqlite3"
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
