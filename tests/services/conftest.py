"""The shops of `watched_shop` and `large_shop`, in a database of its own for each test; each sells and learns only once.

What a watch makes of its figures does not depend on where they are kept, so its tests run on SQLite. Those through which each of
its statements goes, and those about several processes, are marked to run `on_both_databases`.
"""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nebuloviz.db import Database
from tests.services.large_shop import LargeShop, learn_large
from tests.services.watched_shop import Shop, learn

Learn = Callable[[str], None]
_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
on_both_databases = pytest.mark.parametrize("shop", _KINDS, indirect=True)
large_on_both_databases = pytest.mark.parametrize("large_shop", _KINDS, indirect=True)


@pytest.fixture(scope="session")
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Learn], str]:
    """`learned(kind, learn)`: the file or the name of a database in which that shop has learned."""

    @functools.cache
    def once(kind: str, learn: Learn) -> str:
        template = request.getfixturevalue(f"_{'postgres' if kind == 'postgresql' else kind}_template")
        if kind == "postgresql":
            server = request.getfixturevalue("postgres")
            name: str = server.create_database(template=template)
            learn(server.database_url(name))
            return name
        path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
        shutil.copy(template, path)
        learn(f"sqlite:///{path}")
        return str(path)

    return once


@contextmanager
def own_database(request: pytest.FixtureRequest, learn: Learn) -> Iterator[Database]:
    """A copy of what the shop has learned, for one test; on the kind of database that the fixture's parameter names."""
    kind = getattr(request, "param", "sqlite")
    template = request.getfixturevalue("learned")(kind, learn)
    if kind == "sqlite":
        copy = Path(request.getfixturevalue("tmp_path"), f"{learn.__name__}.sqlite3")
        database = Database(f"sqlite:///{shutil.copy(template, copy)}")
        yield database
        database.dispose()
        return
    server = request.getfixturevalue("postgres")
    server.start()
    name = server.create_database(template=template)
    database = Database(server.database_url(name))
    yield database
    database.dispose()
    server.start()
    server.drop_database(name)


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """The shop as of `LEARNED`, with a watch that has learned."""
    with own_database(request, learn) as database:
        yield Shop(database)


@pytest.fixture
def large_shop(request: pytest.FixtureRequest) -> Iterator[LargeShop]:
    """The large shop as of its `LEARNED`."""
    with own_database(request, learn_large) as database:
        yield LargeShop(database)
