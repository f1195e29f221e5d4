"""A made-up shop with a week's rhythm and ten weeks behind it, written through the real sink: what tests of alerts look at."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from sqlalchemy import select

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.detection.forest import ForestDetector, LargestDeviation
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.ingest.batch import Batch, Item, Written
from nebuloviz.ingest.sale import Record, parse
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import Alert, AlertEvent, DetectorState
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.series_watch import DETECTOR, SeriesWatcher

SECRET = "the secret of an installation that only tests know"
START = datetime(2026, 4, 6, tzinfo=UTC)  # a Monday
LEARNED = START + timedelta(weeks=10)  # a Monday as well: up to here the shop has sold and the watch has learned
AFTER_THE_HOUR = timedelta(minutes=5)
NOON = LEARNED + timedelta(hours=12)
QUICK = WatchSettings(detector=LargestDeviation)  # trains at once
_FEW_TREES = 10
_TOPIC = "shop"
_OPEN = range(8, 20)
_ORDERS_AN_HOUR = 30.0
_BUSY_DAYS = (0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7)  # Monday to Sunday
_SHARES = {"region": {"north": 0.6, "south": 0.4}, "channel": {"shop": 0.7, "web": 0.3}}


class SmallForest(ForestDetector):
    """The usual detector, with trees enough to tell that the south is closed; it is trained five times as fast."""

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(trees=_FEW_TREES, seed=seed)


FOREST = WatchSettings(detector=SmallForest)


@dataclass
class Shop:
    """`now` is the clock of all its services. Sales are a function of their hour: the same whenever they are made."""

    database: Database
    now: datetime = LEARNED + AFTER_THE_HOUR
    sold_until: datetime = LEARNED

    def clock(self) -> datetime:
        return self.now

    def sell(self, until: datetime, without: Collection[str] = ()) -> None:
        """Sales up to `until`, none of the regions or channels `without`; it is five minutes later afterwards."""
        write(self.database, payloads(self.sold_until, until, without), until)
        self.sold_until, self.now = until, until + AFTER_THE_HOUR

    def sell_hours(self, hours: int, without: Collection[str] = ()) -> None:
        self.sell(self.sold_until + timedelta(hours=hours), without)

    def watcher(self, *, secret: str = SECRET, settings: WatchSettings | None = None) -> SeriesWatcher:
        return SeriesWatcher(self.database, settings or FOREST, secret=secret, now=self.clock)

    @property
    def data(self) -> SalesDataService:
        return SalesDataService(Cache(secret=SECRET), ZoneInfo("UTC"), self.clock)

    @property
    def alerts(self) -> DatabaseAlerts:
        return DatabaseAlerts(self.data, self.clock)


def payloads(start: datetime, end: datetime, without: Collection[str] = ()) -> list[bytes]:
    """The lines of each whole hour in [`start`, `end`), one an order."""
    hours = int((end - start) / timedelta(hours=1))
    return [line for n in range(hours) for line in _hour(start + timedelta(hours=n), without)]


def _hour(hour: datetime, without: Collection[str]) -> Iterator[bytes]:
    random = np.random.default_rng(int(hour.timestamp()))
    shape = np.sin((hour.hour - _OPEN.start + 0.5) / len(_OPEN) * np.pi) if hour.hour in _OPEN else 0.0
    orders = int(random.poisson(_ORDERS_AN_HOUR * _BUSY_DAYS[hour.weekday()] * shape))
    chosen = {name: random.choice(list(of), orders, p=list(of.values())).tolist() for name, of in _SHARES.items()}
    products, quantities, seconds = (random.integers(1, high, orders).tolist() for high in (21, 4, 3600))
    for number in range(orders):
        segment = {name: values[number] for name, values in chosen.items()}
        line = {
            "sale_id": f"{hour:%Y%m%d%H}-{number}",
            "order_id": f"{hour:%Y%m%d%H}-{number}",
            "sold_at": hour + timedelta(seconds=seconds[number]),
            "product_id": f"p{products[number]}",
            "category": "food" if products[number] < 11 else "home",
            "quantity": quantities[number],
            "unit_price": 5 + products[number],
            "currency": "EUR",
            **segment,
        }
        if not set(segment.values()) & set(without):
            yield orjson.dumps(line)


def write(database: Database, lines: list[bytes], now: datetime) -> list[Written]:
    """Put records into the topic, behind those that are there; they arrive `now`."""
    sink = DatabaseSink(database, ZoneInfo("UTC"), now=lambda: now)
    batches = []
    for first in range(0, len(lines), 5000):
        offset = sink.begin(_TOPIC, 0, 0).next_offset
        records = [Record(_TOPIC, 0, offset + n, line) for n, line in enumerate(lines[first : first + 5000])]
        items = [Item(record, parse(record.value, now)) for record in records]
        batches.append(sink.write(Batch(_TOPIC, 0, offset, offset + len(items), items)))
        assert batches[-1].accepted == len(items)
    return batches


def learn(url: str) -> None:
    """Ten weeks of sales, and what the watches make of them."""
    database = Database(url)
    write(database, payloads(START, LEARNED), LEARNED)
    watcher = Shop(database).watcher()
    while watcher.step():
        pass
    database.dispose()


def alerts(shop: Shop) -> list[Alert]:
    with shop.database.session() as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))


def events(shop: Shop) -> list[str]:
    with shop.database.session() as session:
        return list(session.scalars(select(AlertEvent.kind).order_by(AlertEvent.id)))


def state(shop: Shop) -> DetectorState:
    with shop.database.session() as session:
        return session.get_one(DetectorState, DETECTOR)


def catch_up(watcher: SeriesWatcher) -> None:
    while watcher.step():
        pass


def outage(shop: Shop, watcher: SeriesWatcher, hours: int = 3) -> None:
    """Monday up to noon as usual, then nothing from the south for some hours; the watch looks every hour."""
    shop.sell(NOON)
    catch_up(watcher)
    sell_and_watch(shop, watcher, hours, without="south")


def sell_and_watch(shop: Shop, watcher: SeriesWatcher, hours: int, without: str = "") -> None:
    for _ in range(hours):
        shop.sell_hours(1, [without])
        watcher.step()
