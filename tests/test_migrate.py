"""The migrations lead to the models' tables, up and down, on both databases."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, inspect, select, text

from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.ingest.recount import differences, rebuild
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import ROLLUPS, Base, OrderDays
from tests.ingest.support import orders_beyond_their_days, shop, write


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


def test_users_and_their_sessions_survive_the_way_up_and_down(database: Database) -> None:
    """On SQLite, copying the table of users would delete what refers to it."""
    migrate.upgrade(database, "0001")
    with database.engine_begin() as connection:
        user = "1, 'anna', 'anna', 'x', 'viewer', '', '', 'auto', false, false, 0"
        moment = "0" if database.is_sqlite else "now()"
        names = (
            "id, username, name_key, password_hash, role, language, time_zone, theme, disabled, must_change_password"
        )
        connection.execute(text(f"INSERT INTO app_user ({names}, sign_in_epoch, created_at) VALUES ({user}, {moment})"))
        columns = "token_hash, user_id, epoch, created_at, expires_at"
        connection.execute(text(f"INSERT INTO browser_session ({columns}) VALUES ('t', 1, 0, {moment}, {moment})"))
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT email, scope, version FROM app_user")).all() == [("", "{}", 1)]
    migrate.downgrade(database, "0001")
    with database.engine.connect() as connection:
        found = connection.execute(
            text("SELECT username, token_hash FROM app_user JOIN browser_session ON user_id = id")
        )
        assert found.all() == [("anna", "t")]


def test_the_weeks_of_products_are_counted_from_the_facts_that_are_there(database: Database) -> None:
    zone = "America/Sao_Paulo"
    migrate.upgrade(database)
    sales = shop(60, seed=3)
    random.Random(1).shuffle(sales)
    write(DatabaseSink(database, ZoneInfo(zone)), [orjson.dumps(sale) for sale in sales])
    rebuild(database, zone)  # which notes the zone, as a start does
    migrate.downgrade(database, "0007")
    migrate.upgrade(database)
    assert differences(database, zone) == []
    [weekly] = [rollup.table for rollup in ROLLUPS if rollup.grain == "week"]
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(weekly))


def test_where_orders_are_is_noted_of_the_facts_that_are_there(database: Database) -> None:
    days = select(OrderDays.order_id, OrderDays.first_day, OrderDays.last_day).order_by(OrderDays.order_id)
    migrate.upgrade(database)
    sales = [sale | {"order_id": f"№ {sale['order_id']}"} for sale in shop(60, seed=3)]
    write(DatabaseSink(database, ZoneInfo("UTC")), [orjson.dumps(sale) for sale in sales])
    with database.session() as session:
        before = session.execute(days).all()
    migrate.downgrade(database, "0017")
    migrate.upgrade(database)
    assert orders_beyond_their_days(database) == []
    with database.session() as session:
        assert session.execute(days).all() == before
