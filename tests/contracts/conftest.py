"""What the suites of users, sign-ins and second factors share."""

import shutil
from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from nebuloviz.db import Database
from nebuloviz.models import User
from tests.contracts.people import Clock
from tests.servers import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def kept_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database of each kind for all tests of a module; a new one for each would take most of the time."""
    if request.param == "sqlite":
        template = request.getfixturevalue("_sqlite_template")
        url = f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('people') / 'people.sqlite3')}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.database_url(request.getfixturevalue("_postgres_copies").take())
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def people(kept_database: Database) -> Database:
    """A database without users."""
    with kept_database.transaction() as session:
        session.execute(delete(User))
    return kept_database


@pytest.fixture
def clock() -> Clock:
    return Clock()
