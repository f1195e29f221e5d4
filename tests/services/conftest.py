"""The shop of `watched_shop` in a database of its own for each test; it sells and learns only once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nebuloviz.db import Database
from tests.servers import PostgresServer
from tests.services.large_shop import LargeShop, learn_large
from tests.services.watched_shop import Shop, learn


@pytest.fixture(scope="session")
def _sqlite_shop(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    shutil.copy(_sqlite_template, path)
    learn(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_shop(postgres: PostgresServer, _postgres_template: str) -> str:
    name = postgres.create_database(template=_postgres_template)
    learn(postgres.database_url(name))
    return name


@pytest.fixture
def shop_sqlite_url(_sqlite_shop: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(_sqlite_shop, tmp_path / 'shop.sqlite3')}"


@pytest.fixture
def shop_postgres_url(postgres: PostgresServer, _postgres_shop: str) -> Iterator[str]:
    postgres.start()
    name = postgres.create_database(template=_postgres_shop)
    yield postgres.database_url(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The shop as of `LEARNED`, with a watch that has learned: the test runs once on each kind of database."""
    database = Database(
        request.getfixturevalue(f"shop_{'postgres' if request.param == 'postgresql' else 'sqlite'}_url")
    )
    yield Shop(database)
    database.dispose()


@pytest.fixture(scope="session")
def _sqlite_large_shop(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "shop.sqlite3"
    shutil.copy(_sqlite_template, path)
    learn_large(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_large_shop(postgres: PostgresServer, _postgres_template: str) -> str:
    name = postgres.create_database(template=_postgres_template)
    learn_large(postgres.database_url(name))
    return name


@pytest.fixture
def large_sqlite_url(_sqlite_large_shop: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(_sqlite_large_shop, tmp_path / 'large.sqlite3')}"


@pytest.fixture
def large_postgres_url(postgres: PostgresServer, _postgres_large_shop: str) -> Iterator[str]:
    postgres.start()
    name = postgres.create_database(template=_postgres_large_shop)
    yield postgres.database_url(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def large_shop(request: pytest.FixtureRequest) -> Iterator[LargeShop]:
    """The large shop as of its `LEARNED`: the test runs once on each kind of database."""
    kind = "postgres" if request.param == "postgresql" else "sqlite"
    database = Database(request.getfixturevalue(f"large_{kind}_url"))
    yield LargeShop(database)
    database.dispose()
