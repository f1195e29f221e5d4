"""Servers that go away and come back, and what a topic may throw at its reader: the consumer heals itself, and nothing is lost."""

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from kafka import TopicPartition
from sqlalchemy import select, text

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest.kafka_source import SESSION_TIMEOUT_MS
from nebuloviz.models import IngestGap, IngestOffset
from tests.faults.conftest import (
    ENDS_SECONDS,
    FLAT_BYTES,
    HORIZON,
    RESUMES_SECONDS,
    UNREADY_SECONDS,
    Running,
    Till,
    operators_are_told_of,
    resident_bytes,
    stored,
    wait_for,
)
from tests.ingest.support import Ledger, assert_kept_exactly_once, encoded, line, shop
from tests.servers import KafkaServer, PostgresServer

#: Longer than a reader believes what it knows of the topic, is a member of its group, waits for an answer, or between two tries.
AWAY_SECONDS = 60.0
MEMBERS = 20


def sales(n_orders: int, seed: int = 1, first: str = "") -> list[dict[str, object]]:
    """Of the last days, as a stream has them."""
    made = shop(n_orders, seed, first, days=3)
    age = datetime.now(UTC) - datetime.fromisoformat("2026-03-31T12:00:00+00:00")
    return [sale | {"sold_at": (datetime.fromisoformat(sale["sold_at"]) + age).isoformat()} for sale in made]


def all_stored(database: Database, till: Till) -> Callable[[], bool]:
    return lambda: stored(database) >= till.sent


@pytest.mark.parametrize("away_seconds", [0.0, AWAY_SECONDS], ids=["at once", "after a minute"])
def test_the_broker_goes_away_and_comes_back(
    start: Running,
    postgres_database: Database,
    kafka: KafkaServer,
    till: Till,
    away_seconds: float,
    record_property: Callable[[str, object], None],
) -> None:
    """With the times that the program has: by the end of a minute each of them has passed."""
    till.sell(sales(200), 3)
    consumer = start(SESSION_TIMEOUT_MS)
    wait_for(lambda: stored(postgres_database) > 0, "it has begun")
    kafka.kill()
    before, computed = resident_bytes(), time.process_time()
    time.sleep(away_seconds)
    grown, computed = resident_bytes() - before, time.process_time() - computed
    kafka.start()
    back = time.monotonic()
    till.sell(sales(100, seed=2), 3)
    wait_for(all_stored(postgres_database, till), "everything is stored")
    took = time.monotonic() - back
    record_property(f"caught up after {away_seconds:.0f} s without the broker, s", f"{took:.1f}")
    record_property("meanwhile grown, MB, and computed, s", f"{grown / 1e6:.1f}, {computed:.1f}")
    assert grown < FLAT_BYTES
    wait_for(lambda: consumer.health().ok, "it is well")
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_the_database_crashes_and_recovers(
    start: Running,
    postgres_database: Database,
    postgres: PostgresServer,
    till: Till,
    record_property: Callable[[str, object], None],
) -> None:
    """At once, and after so long that whoever asks is told."""
    till.sell(sales(300), 3)
    consumer = start()
    before, known = resident_bytes(), 0

    def goes_on() -> bool:
        return stored(postgres_database) > known

    for long in (False, True):
        wait_for(goes_on, "it has begun")
        postgres.crash()
        known = till.sent
        till.sell(sales(300, seed=2 + long, first=f"after {long}-"), 3)
        if long:
            unready = wait_for(lambda: not consumer.health().ok, "it says so", UNREADY_SECONDS)
            record_property("unready after the database's crash, s", f"{unready:.1f}")
            assert "Nothing can be stored" in consumer.health().detail
        grown = resident_bytes() - before
        assert grown < FLAT_BYTES
        postgres.start()
        took = wait_for(goes_on, "it resumes", RESUMES_SECONDS)
        record_property("resumes after the database's return, s", f"{took:.1f}")
        wait_for(all_stored(postgres_database, till), "everything is stored")
        wait_for(lambda: consumer.health().ok, "it is well", RESUMES_SECONDS)
        assert_kept_exactly_once(postgres_database, till.ledger)


def test_its_sessions_are_killed_again_and_again(
    start: Running, postgres_database: Database, till: Till, record_property: Callable[[str, object], None]
) -> None:
    """Each time in the midst of what was sold; that is so soon over that it is well all the while."""
    consumer = start()
    killer = Database(postgres_database.url.render_as_string(hide_password=False))
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    before, longest, known = resident_bytes(), 0.0, 0

    def goes_on() -> bool:
        return stored(killer) > known or stored(killer) >= till.sent

    for round_ in range(4):
        known = till.sent
        till.sell(sales(200, seed=round_, first=f"{round_}-"), 3)
        wait_for(goes_on, "it has begun")
        with killer.session() as session:
            session.execute(others)
        known = stored(killer)
        longest = max(longest, wait_for(goes_on, "it resumes", RESUMES_SECONDS))
        wait_for(all_stored(killer, till), "everything is stored")
        assert_kept_exactly_once(killer, till.ledger)
    record_property("resumes after its sessions were killed, at most, s", f"{longest:.1f}")
    assert consumer.health().ok
    assert resident_bytes() - before < FLAT_BYTES
    killer.dispose()


def test_members_come_and_go(
    start: Running, postgres_database: Database, till: Till, record_property: Callable[[str, object], None]
) -> None:
    steady = start()
    longest = 0.0
    for round_ in range(MEMBERS):
        guest = start()
        till.sell(sales(30, seed=round_, first=f"{round_}-"), 3)
        longest = max(longest, wait_for(all_stored(postgres_database, till), "everything is stored"))
        assert guest.health().ok
        guest.stop()
        assert guest.join(ENDS_SECONDS)
    record_property(f"everything is stored while {MEMBERS} members come and go, at most, s", f"{longest:.1f}")
    assert steady.health().ok
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_retention_has_removed_what_was_not_read(
    start: Running, postgres_database: Database, kafka: KafkaServer, till: Till, tmp_path: Path
) -> None:
    till.sell(sales(40), 1)
    consumer = start()
    wait_for(all_stored(postgres_database, till), "everything is stored")
    consumer.stop()
    assert consumer.join(ENDS_SECONDS)
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
    operators_are_told_of(postgres_database, lost - read, tmp_path)
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_a_zoo_of_bad_records_in_the_middle_of_good_ones(
    start: Running, postgres_database: Database, till: Till
) -> None:
    now = datetime.now(UTC)
    zoo: list[tuple[bytes | None, str]] = [
        (b"no json", "malformed"),
        (None, "empty"),
        (b'{"sale_id": "\\ud800"}', "malformed"),
        (encoded().replace(b"Tea", b"\xed\xa0\x80"), "malformed"),
        (encoded().replace(b"2.5", b"NaN"), "malformed"),
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
    assert consumer.health().ok, "the other partitions go on"
    sent = {(till.topic, 0): refused}
    assert_kept_exactly_once(postgres_database, Ledger(sent=sent, rejected={"malformed": refused}))
    for number in range(350 * 2):
        till.send(b"junk", 1 + number % 2)
    till.flush()
    wait_for(lambda: not consumer.health().ok, "it is not ready where no partition goes on")
    assert consumer.health().detail.count("in a row") == 3


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
