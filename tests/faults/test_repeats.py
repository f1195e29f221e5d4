"""What a broker may deliver twice, late or in any order: each sale is counted once, in the hour in which it was made."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson

from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions
from nebuloviz.ingest.kafka_source import KafkaSource
from nebuloviz.ingest.sinks import DatabaseSink
from tests.faults.conftest import ENDS_SECONDS, HORIZON, Running, Till, stored, wait_for
from tests.ingest.support import assert_kept_exactly_once, shop
from tests.servers import KafkaServer

PARTITIONS = 3


def of_the_last_weeks(n_orders: int) -> list[dict[str, object]]:
    """Up to a day within the horizon, in no order."""
    made = shop(n_orders, seed=5, days=HORIZON.days - 2)
    newest = max(datetime.fromisoformat(sale["sold_at"]) for sale in made)
    age = datetime.now(UTC) - newest - timedelta(minutes=1)
    sales = [sale | {"sold_at": (datetime.fromisoformat(sale["sold_at"]) + age).isoformat()} for sale in made]
    random.Random(5).shuffle(sales)
    return sales


def test_delivered_again_elsewhere_late_and_in_any_order_each_sale_counts_once(
    start: Running, postgres_database: Database, till: Till
) -> None:
    sales = of_the_last_weeks(80)
    till.sell(sales, PARTITIONS)
    start()
    wait_for(lambda: stored(postgres_database) >= till.sent, "all is stored")
    for _ in range(3):
        till.sell(sales, PARTITIONS)
    till.sell([*sales[1:], sales[0]], PARTITIONS)  # each on another partition than before
    for number, sale in enumerate(sales[:5]):
        till.reject(orjson.dumps(sale | {"quantity": 77}), number % PARTITIONS, "conflict")
    start()  # of two consumers, each is asked for what the other has stored
    wait_for(lambda: stored(postgres_database) >= till.sent, "all has been dealt with")
    assert_kept_exactly_once(postgres_database, till.ledger)


def test_a_second_installation_that_reads_the_same_topic_keeps_the_same(
    start: Running, postgres_database: Database, migrated_sqlite_url: str, kafka: KafkaServer, till: Till
) -> None:
    second = Database(migrated_sqlite_url)
    source = KafkaSource(kafka.url, till.topic, f"second-{till.topic}")
    consumer = Consumer(source, DatabaseSink(second, ZoneInfo("UTC")), ConsumerOptions(HORIZON, 100))
    start()
    consumer.start()
    sales = of_the_last_weeks(40)
    till.sell([*sales, *sales[:10]], PARTITIONS)
    till.reject(b"no sale", 0, "malformed")
    for database in (postgres_database, second):
        wait_for(lambda where=database: stored(where) >= till.sent, "all is stored")  # type: ignore[misc]
    consumer.stop()
    assert consumer.join(ENDS_SECONDS)
    for database in (postgres_database, second):
        assert_kept_exactly_once(database, till.ledger)
    second.dispose()
