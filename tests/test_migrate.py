"""The migrations lead to the models' tables, up and down, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.models import Base


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


def test_upgrading_makes_exactly_the_tables_of_the_models(database: Database) -> None:
    migrate.upgrade(database)
    assert migrate.differences(database) == []
    assert migrate.current(database) == migrate.head()


def test_downgrading_leaves_nothing_behind(database: Database) -> None:
    migrate.upgrade(database)
    migrate.downgrade(database, "base")
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    assert migrate.current(database) is None


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    migrate.upgrade(database)
    migrate.upgrade(database)
    assert set(Base.metadata.tables) <= set(inspect(database.engine).get_table_names())
