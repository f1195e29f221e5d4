"""Sends sales to a Kafka topic, so that anyone can try the pipeline: those of a file, or of a simulated shop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.admin import KafkaAdminClient, NewTopic

from nebuloviz.clock import utc_now
from nebuloviz.errors import Unavailable
from nebuloviz.ingest.importing import FileImport

PARTITIONS_OF_A_NEW_TOPIC = 3
FLUSH_SECONDS = 30
_TICK_SECONDS = 0.05

_GOODS = {
    "Dairy": ("Milk 1 l", "Butter", "Yoghurt", "Gouda"),
    "Bakery": ("Rye bread", "Croissant", "Baguette"),
    "Produce": ("Apples 1 kg", "Bananas 1 kg", "Tomatoes 500 g", "Lettuce"),
    "Drinks": ("Water 6 x 1.5 l", "Orange juice", "Coffee 500 g", "Green tea"),
    "Household": ("Dish soap", "Kitchen roll", "Batteries AA"),
}
_REGIONS = {"North": "DE", "South": "DE", "West": "FR", "East": "PL"}
_CHANNELS = ("store", "web", "app")


def simulated_sales(seed: int | None = None, now: Callable[[], datetime] | None = None) -> Iterator[dict[str, Any]]:
    """The sale lines of a made-up grocer, one after another, each sold at the moment it is asked for."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    clock = now or utc_now
    run = f"{clock():%Y%m%d%H%M%S}-{chance.randrange(16**6):06x}"
    number = 0
    while True:
        number += 1
        yield from _order(f"{run}-{number}", chance, clock)


def _order(order_id: str, chance: random.Random, clock: Callable[[], datetime]) -> Iterator[dict[str, Any]]:
    region = chance.choice(list(_REGIONS))
    place = {
        "region": region,
        "country": _REGIONS[region],
        "channel": chance.choices(_CHANNELS, (6, 3, 1))[0],
        "store": f"{region} {chance.randint(1, 9)}",
        "customer_id": f"c{chance.randint(1, 5000)}",
        "currency": "EUR",
    }
    for line in range(1, chance.randint(1, 6) + 1):
        category = chance.choice(list(_GOODS))
        product = chance.choice(_GOODS[category])
        price = 0.79 + sum(map(ord, product)) % 900 / 100
        quantity = -1 if chance.random() < 0.01 else chance.choices((1, 2, 3, 6), (7, 2, 1, 1))[0]
        yield {
            "sale_id": f"{order_id}-{line}",
            "order_id": order_id,
            "sold_at": clock().isoformat(),
            "product_id": product.lower().replace(" ", "-"),
            "product": product,
            "category": category,
            "quantity": quantity,
            "unit_price": round(price, 2),
            "discount": round(price / 10, 2) if chance.random() < 0.15 else 0,
            **place,
        }


def send(
    bootstrap_servers: str, topic: str, values: Iterable[tuple[bytes, bytes]], rate: float, count: int | None
) -> int:
    """Send (key, value) pairs at `rate` a second (0: as fast as possible) until they end, or `count` are sent. Returns how many.

    All lines of a key, which is the order's id, go to one partition. The topic is made where it does not exist.

    Raises:
        Unavailable: no broker answers; says which was asked.
    """
    servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
    try:
        _make_topic(servers, topic)
        producer = KafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            batch_size=128 * 1024,
            compression_type="lz4",
            max_block_ms=30_000,
        )
    except kafka_errors.KafkaError as error:
        raise _unavailable(bootstrap_servers, error) from error
    try:
        sent = 0
        for key, value in _paced(values, rate):
            producer.send(topic, key=key, value=value)
            sent += 1
            if count is not None and sent >= count:
                break
        producer.flush(timeout=FLUSH_SECONDS)
    except kafka_errors.KafkaError as error:
        raise _unavailable(bootstrap_servers, error) from error
    finally:
        producer.close(timeout=5)
    return sent


def _unavailable(servers: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"Kafka at {servers} does not take sales ({type(error).__name__}: {error})."
        " Check NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS and that the broker runs."
    )


def _make_topic(servers: list[str], topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=10_000)
    try:
        admin.create_topics([NewTopic(name=topic, num_partitions=PARTITIONS_OF_A_NEW_TOPIC, replication_factor=1)])
    except kafka_errors.TopicAlreadyExistsError:
        pass
    finally:
        admin.close()


def _paced(values: Iterable[tuple[bytes, bytes]], rate: float) -> Iterator[tuple[bytes, bytes]]:
    start = time.monotonic()
    for number, value in enumerate(values):
        if rate > 0:
            early = number / rate - (time.monotonic() - start)
            if early > _TICK_SECONDS / 2 or rate < 1 / _TICK_SECONDS:
                time.sleep(max(early, 0))
        yield value


def encoded(sales: Iterable[dict[str, Any]]) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) as `send` takes them."""
    return ((str(sale["order_id"]).encode(), orjson.dumps(sale)) for sale in sales)


def file_sales(job: FileImport) -> Iterator[tuple[bytes, bytes]]:
    """A file's rows as `send` takes them. One without a readable order id goes without a key, to be rejected where it arrives."""
    for record in job.records(0):
        value = record.value or record.original or b""
        yield _order_id(value), value


def _order_id(value: bytes) -> bytes:
    try:
        sale = orjson.loads(value)
    except orjson.JSONDecodeError:
        return b""
    return str(sale.get("order_id", "")).encode() if isinstance(sale, dict) else b""
