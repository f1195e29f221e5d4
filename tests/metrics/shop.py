"""A small made-up shop: random sale lines, stored through the real writer, and the same lines as a table to count again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

import pandas as pd

from nebuloviz.db import Database
from nebuloviz.ingest.batch import Batch, Item
from nebuloviz.ingest.sale import Record, Sale
from nebuloviz.ingest.writer import SaleWriter
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE

NOW = datetime(2026, 11, 22, 14, 37, tzinfo=UTC)
FIRST = NOW - timedelta(days=420)


def lines(count: int, seed: int, *, first: datetime = FIRST, last: datetime = NOW) -> list[Sale]:
    """Random lines, most of them late: returns, lines without a customer, region or cost, orders spread over hours and places."""
    dice = random.Random(seed)
    orders: dict[str, tuple[datetime, str, str]] = {}
    return [_line(dice, number, orders, first, last) for number in range(count)]


def _line(
    dice: random.Random, number: int, orders: dict[str, tuple[datetime, str, str]], first: datetime, last: datetime
) -> Sale:
    order = f"order {dice.randrange(1 + number // 2)}"
    fresh = (
        last - (last - first) * dice.random() ** 2,
        dice.choice(["Berlin", "Zürich", "北京"]),
        dice.choice(["web", "shop"]),
    )
    sold_at, store, channel = orders.setdefault(order, fresh)
    if dice.random() < 0.1:  # this line is an hour or a day apart from its order, or was sold elsewhere
        sold_at, store, channel = dice.choice(
            [(fresh[0], store, channel), (sold_at, fresh[1], channel), (sold_at, store, fresh[2])]
        )
    product = dice.randrange(8)
    quantity = dice.choice([1, 1, 2, 3, -1]) * QUANTITY_SCALE + dice.choice([0, 0, 500])
    return Sale(
        sold_at=sold_at.replace(microsecond=dice.choice([0, 999_999])),
        key=blake2b(f"{number}".encode(), digest_size=16).digest(),
        sale_id=f"sale {number}",
        order_id=order,
        customer_id=dice.choice(["", *"abcdefgh"]),
        product_id=f"p{product}",
        category=f"category {product % 3}",
        region=dice.choice(["north", "south", ""]),
        country="DE",
        channel=channel,
        store=store,
        quantity=quantity,
        unit_price=dice.randrange(1, 100) * MONEY_SCALE // 100,
        discount=dice.choice([0, 0, 1234]),
        revenue=quantity * dice.randrange(1, 99) + dice.randrange(10),
        cost=dice.choice([None, 5_000]),
        product=f"Product {product}",
        currency="",
        fingerprint=number,
    )


def store(database: Database, sales: Sequence[Sale], zone: ZoneInfo, *, offset: int = 0) -> None:
    """Write `sales` in one batch; the daily rollups hold the days of `zone`."""
    items = [Item(Record("test", 0, offset + place, b"{}"), sale) for place, sale in enumerate(sales)]
    with database.transaction() as session:
        written = SaleWriter(zone).write(session, Batch("test", 0, offset, offset + len(items), items), NOW)
    assert written.accepted == len(sales)


def store_one_by_one(database: Database, sales: Sequence[Sale], zone: ZoneInfo, *, offset: int) -> None:
    """As `store`, each in a batch of its own."""
    for place, sale in enumerate(sales):
        store(database, [sale], zone, offset=offset + place)


def table(sales: Sequence[Sale]) -> pd.DataFrame:
    """One row a line, in stored integers, with `product` as the id."""
    frame = pd.DataFrame([sale._asdict() for sale in sales])
    return frame.assign(product=frame["product_id"])
