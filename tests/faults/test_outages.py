"""Servers that go away and come back, and what a topic may throw at its reader: the consumer heals itself, and nothing is lost."""

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from kafka import TopicPartition
from sqlalchemy import select, text

from nebuloviz import db
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest import kafka_source
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource
from nebuloviz.models import IngestGap, IngestOffset
from tests.faults.conftest import HORIZON, Running, Till, stored, wait_for
from tests.ingest.support import Ledger, assert_kept_exactly_once, encoded, line, shop
from tests.servers import KafkaServer, PostgresServer

#: More than each of a reader's own times, as the test sets them; the longest between two tries to connect is two seconds.
AWAY_SECONDS = 6.0
#: By then a consumer waits as long as it ever does between two tries to store.
DATABASE_AWAY_SECONDS = 3.0


def sales(n_orders: int, seed: int = 1, first: str = "") -> list[dict[str, object]]:
    """Of the last days, as a stream has them."""
    made = shop(n_orders, seed, first, days=3)
    age = datetime.now(UTC) - datetime.fromisoformat("2026-03-31T12:00:00+00:00")
    return [sale | {"sold_at": (datetime.fromisoformat(sale["sold_at"]) + age).isoformat()} for sale in made]


def all_stored(database: Database, till: Till) -> Callable[[], bool]:
    return lambda: stored(database) >= till.sent


@pytest.mark.parametrize("away_seconds", [0.0, AWAY_SECONDS], ids=["at once", "after all patience"])
def test_the_broker_goes_away_and_comes_back(
    start: Running,
    postgres_database: Database,
    kafka: KafkaServer,
    till: Till,
    monkeypatch: pytest.MonkeyPatch,
    away_seconds: float,
    record_property: Callable[[str, object], None],
) -> None:
    """Longer than it believes what it knows of the topic, is a member of its group, waits for an answer, or between two tries."""
    monkeypatch.setattr(kafka_source, "METADATA_MAX_AGE_MS", 500)
    monkeypatch.setattr(kafka_source, "REQUEST_TIMEOUT_MS", 2_000)
    till.sell(sales(200), 3)
    consumer = start()
    wait_for(lambda: stored(postgres_database) > 0, "it has begun")
    kafka.kill()
    time.sleep(away_seconds)
    kafka.start()
    till.sell(sales(100, seed=2), 3)
    took = wait_for(all_stored(postgres_database, till), "everything is stored")
    record_property("caught up after the broker's return, s", f"{took:.1f}")
    wait_for(lambda: consumer.health().ok, "it is well")
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_the_database_crashes_and_recovers(
    start: Running,
    postgres_database: Database,
    postgres: PostgresServer,
    till: Till,
    record_property: Callable[[str, object], None],
) -> None:
    till.sell(sales(300), 3)
    start()
    wait_for(lambda: stored(postgres_database) > 0, "it has begun")
    postgres.crash()
    time.sleep(DATABASE_AWAY_SECONDS)
    postgres.start()
    before = stored(postgres_database)
    till.sell(sales(50, seed=2, first="after-"), 3)
    took = wait_for(lambda: stored(postgres_database) > before, "it resumes")
    record_property("resumes after the database's return, s", f"{took:.1f}")
    wait_for(all_stored(postgres_database, till), "everything is stored")
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_its_sessions_are_killed_again_and_again(start: Running, postgres_database: Database, till: Till) -> None:
    till.sell(sales(400), 3)
    start()
    killer = Database(postgres_database.url.render_as_string(hide_password=False))
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    for _ in range(4):
        time.sleep(0.7)
        with killer.session() as session:
            session.execute(others)
    wait_for(all_stored(killer, till), "everything is stored")
    assert_kept_exactly_once(killer, till.ledger)
    killer.dispose()


def test_members_come_and_go(start: Running, postgres_database: Database, till: Till) -> None:
    start()
    for round_ in range(10):  # ten come, and ten go
        guest = start()
        till.sell(sales(30, seed=round_, first=f"{round_}-"), 3)
        wait_for(all_stored(postgres_database, till), "everything is stored")
        guest.stop()
        assert guest.join(15)
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_retention_has_removed_what_was_not_read(
    start: Running, postgres_database: Database, kafka: KafkaServer, till: Till
) -> None:
    till.sell(sales(40), 1)
    consumer = start()
    wait_for(all_stored(postgres_database, till), "everything is stored")
    consumer.stop()
    assert consumer.join(15)
    read = till.sent
    for number in range(20):
        till.send(encoded(sale_id=f"lost-{number}"), 0)
    lost = till.sent
    till.sell([line(sale_id="after", sold_at=datetime.now(UTC).isoformat())], 1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(till.topic, 0): lost})
    start()
    till.ledger.sent = {(till.topic, 0): read + 1}
    wait_for(all_stored(postgres_database, till), "it goes on behind the gap")
    with postgres_database.session() as session:
        gap = session.scalars(select(IngestGap)).one()
    assert (gap.topic, gap.partition, gap.first_offset, gap.next_offset) == (till.topic, 0, read, lost)
    till.ledger.sent = {}
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_a_zoo_of_bad_records_in_the_middle_of_good_ones(
    start: Running, postgres_database: Database, till: Till
) -> None:
    now = datetime.now(UTC)
    zoo: list[tuple[bytes | None, str]] = [
        (b"no json", "malformed"),
        (None, "empty"),
        (b'{"sale_id": "\\ud800"}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"quantity": ' + b"9" * 5000 + b"}", "malformed"),
        (encoded(sale_id="nul\x00"), "invalid_text"),
        (encoded(sale_id="1", quantity="NaN", sold_at=now.isoformat()), "invalid_number"),
        (encoded(sale_id="2", sold_at=(now - HORIZON - timedelta(hours=1)).isoformat()), "too_late"),
        (encoded(sale_id="3", sold_at=(now + timedelta(minutes=30)).isoformat()), "future"),
        (encoded(sale_id="4", sold_at="2026-13-01T00:00:00Z"), "invalid_time"),
        (encoded(sale_id="5", product="x" * 900_000), "too_long"),
    ]
    good = sales(len(zoo) * 3)
    for number, (value, reason) in enumerate(zoo):
        till.sell(good[number :: len(zoo)], 3)
        till.reject(value, number % 3, reason)
    known = good[0]
    # On the partition of the original, behind it: between partitions the first to come would be the one that holds
    till.reject(orjson.dumps(known | {"quantity": 77}), 0, "conflict")
    till.sell(good, 3)
    start()
    wait_for(all_stored(postgres_database, till), "everything is stored")
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_nothing_but_bad_records_halts_the_partition(start: Running, postgres_database: Database, till: Till) -> None:
    for _ in range(350):
        till.send(b"junk", 0)
    till.reject(b"junk", 0, "malformed")
    consumer = start()
    till.sell(sales(30), 1)

    def halted() -> bool:
        with postgres_database.session() as session:
            offset = session.get(IngestOffset, (till.topic, 0))
            return offset is not None and "in a row" in offset.halted_reason

    wait_for(halted, "it halts")
    refused = stored(postgres_database)
    assert refused < 350
    assert "halted" in consumer.health().detail
    assert_kept_exactly_once(postgres_database, Ledger(rejected={"malformed": refused}))


def test_a_clock_that_is_moved_by_an_hour_changes_nothing(
    start: Running, postgres_database: Database, till: Till
) -> None:
    """Forth and back with each look at it; these sales are as old as may be, and of no future, whatever it says."""
    hours = itertools.cycle([0, 1, -1])
    consumer = start(now=lambda: utc_now() + timedelta(hours=next(hours)))
    young = utc_now() - timedelta(hours=2)
    till.sell([sale for sale in sales(200) if datetime.fromisoformat(str(sale["sold_at"])) < young], 3)
    wait_for(all_stored(postgres_database, till), "all is stored")
    assert_kept_exactly_once(postgres_database, till.ledger)
    assert consumer.health().ok


def test_a_locked_sqlite_file_is_waited_for(migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 100)
    database = Database(migrated_sqlite_url)
    made = shop(60, seed=9)
    records = [Record("list", 0, number, orjson.dumps(sale)) for number, sale in enumerate(made)]
    consumer = Consumer(ListSource(records, 20), DatabaseSink(database, ZoneInfo("UTC")), give_up_seconds=60)
    locker = sqlite3.connect(
        migrated_sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    locker.execute("BEGIN IMMEDIATE")
    unlock = threading.Timer(2.0, locker.rollback)
    unlock.start()
    consumer.run()
    unlock.join()
    locker.close()
    ledger = Ledger(sent={("list", 0): len(made)})
    ledger.add(made)
    assert_kept_exactly_once(database, ledger)
    database.dispose()
