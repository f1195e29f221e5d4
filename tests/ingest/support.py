"""Made-up sales, and the oracle that everything stored must satisfy."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.ingest.batch import Batch, Item, Written
from nebuloviz.ingest.recount import differences
from nebuloviz.ingest.sale import Record, Sale, parse
from nebuloviz.ingest.sinks import Sink
from nebuloviz.models import EPOCH, DeadLetter, IngestOffset, OrderDays, SaleKey, SaleRow

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TOPIC = "sales"


def line(**fields: Any) -> dict[str, Any]:
    """A sale as JSON has it; `fields` change it, and None takes a field out."""
    sale: dict[str, Any] = {
        "sale_id": "s1",
        "order_id": "o1",
        "sold_at": "2026-03-30T10:15:00+02:00",
        "customer_id": "c1",
        "product_id": "p1",
        "product": "Tea",
        "category": "Drinks",
        "region": "North",
        "country": "DE",
        "channel": "web",
        "store": "7",
        "quantity": 2,
        "unit_price": 2.5,
        "discount": 0.5,
    }
    sale.update(fields)
    return {name: value for name, value in sale.items() if value is not None}


def encoded(**fields: Any) -> bytes:
    return orjson.dumps(line(**fields))


def sale(**fields: Any) -> Sale:
    parsed = parse(encoded(**fields), NOW)
    assert isinstance(parsed, Sale), parsed
    return parsed


def batch(values: Sequence[bytes | None], start: int = 0, topic: str = TOPIC, partition: int = 0) -> Batch:
    """A batch of records at consecutive offsets from `start`."""
    records = [Record(topic, partition, start + number, value) for number, value in enumerate(values)]
    items = [Item(record, parse(record.value, NOW)) for record in records]
    return Batch(topic, partition, start, start + len(values), items)


def write(sink: Sink, values: Sequence[bytes | None], topic: str = TOPIC, partition: int = 0) -> Written:
    """Store `values` behind what the partition has."""
    position = sink.position(topic, partition) or sink.begin(topic, partition, 0)
    return sink.write(batch(values, position.next_offset, topic, partition))


def figures_by_month(data: pd.DataFrame, column: str, scale: int) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Month, value of `column` -> revenue times `scale`, lines and orders, where there are lines; of a frame by month."""
    answered = data[data["lines"] > 0][["bucket", column, "revenue", "lines", "orders"]]
    return {
        (f"{month:%Y-%m}", value): (round(revenue * scale), lines, orders)
        for month, value, revenue, lines, orders in answered.itertuples(index=False)
    }


def shop(n_orders: int, seed: int, first: str = "", days: int = 40) -> list[dict[str, Any]]:
    """Sales of a shop with all that makes counting hard: orders over midnight and over months, in two shops, returns, no category."""
    chance = random.Random(seed)
    start = NOW - timedelta(days=days)
    sales = []
    for number in range(n_orders):
        order = f"{first}{seed}-{number}"
        at = start + timedelta(seconds=chance.randrange(days * 86_400))
        place = {"region": chance.choice(("North", "South", "")), "store": str(chance.randrange(5)), "channel": "web"}
        for item in range(chance.randint(1, 5)):
            if chance.random() < 0.05:
                place["store"] = "another"
            if chance.random() < 0.05:
                at = min(at + timedelta(hours=chance.randrange(30)), NOW)
            sales.append(
                line(
                    sale_id=f"{order}-{item}",
                    order_id=order,
                    sold_at=at.isoformat(),
                    customer_id=f"c{chance.randrange(50)}",
                    product_id=f"p{chance.randrange(30)}",
                    category=chance.choice(("Drinks", "Bakery", "")),
                    quantity=chance.choice((1, 2, 0.125, -1, 0)),
                    unit_price=chance.choice((0.99, 12, 1.2345, -3)),
                    discount=chance.choice((0, 0.1)),
                    cost=chance.choice((None, 0.4)),
                    **place,
                )
            )
    return sales


@dataclass
class Ledger:
    """What a producer knows that must be stored in the end: each sale once, and how many records were sent to each partition."""

    sales: dict[str, tuple[int, int]] = field(default_factory=dict)  # id -> quantity and revenue, scaled
    sent: dict[tuple[str, int], int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)  # reason -> dead letters
    refused: dict[tuple[str, int, int], str] = field(default_factory=dict)  # where it was sent to -> why; all, or none

    def add(self, sales: Iterable[dict[str, Any]]) -> None:
        for item in sales:
            parsed = parse(orjson.dumps(item), datetime.now(UTC) + timedelta(days=3650))
            assert isinstance(parsed, Sale), parsed
            self.sales[parsed.sale_id] = (parsed.quantity, parsed.revenue)


def assert_kept_exactly_once(database: Database, ledger: Ledger, zone: str = "UTC") -> None:
    """The oracle of the fault tests."""
    with database.session() as session:
        stored = {row.sale_id: (row.quantity, row.revenue) for row in session.execute(_FACTS)}
        n_facts = session.scalar(select(func.count()).select_from(SaleRow))
        n_keys = session.scalar(select(func.count()).select_from(SaleKey))
        counts = {
            (row.topic, row.partition): dealt_with
            for row in session.scalars(select(IngestOffset))
            if (dealt_with := row.n_ok + row.n_duplicate + row.n_rejected)
        }
        by_reason = select(DeadLetter.reason, func.count()).group_by(DeadLetter.reason)
        letters = {reason: number for reason, number in session.execute(by_reason)}  # noqa: C416 - rows are not tuples to mypy
        refused = {(row.topic, row.partition, row.offset): row.reason for row in session.scalars(select(DeadLetter))}
    assert n_facts == n_keys == len(stored)
    assert stored == ledger.sales
    assert orders_beyond_their_days(database) == []
    assert differences(database, zone) == []
    if ledger.sent:
        assert counts == ledger.sent
    assert letters == ledger.rejected
    if ledger.refused:
        assert refused == ledger.refused


def orders_beyond_their_days(database: Database) -> list[str]:
    """Orders with lines where nobody would look for them, so that they could be counted twice."""
    first, last = func.min(SaleRow.sold_at), func.max(SaleRow.sold_at)
    with database.session() as session:
        noted = {days.order_id: (days.first_day, days.last_day) for days in session.scalars(select(OrderDays))}
        lines = session.execute(select(SaleRow.order_id, first, last).group_by(SaleRow.order_id)).all()
    return [
        order
        for order, begin, end in lines
        if (days := noted.get(order)) is None or not days[0] <= (begin - EPOCH).days <= (end - EPOCH).days <= days[1]
    ]


_FACTS = select(SaleRow.sale_id, SaleRow.quantity, SaleRow.revenue)
