"""A made-up shop that sells enough to be watched by the quarter of an hour, five weeks old, written through the real sink."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from sqlalchemy import select

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.models import Alert, DetectorState
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.series_watch import DETECTOR, SeriesWatcher
from tests.services.watched_shop import SECRET, write

START = datetime(2026, 4, 6, tzinfo=UTC)  # a Monday
WEEKS = 5
LIVE = START + timedelta(
    weeks=WEEKS - 1
)  # from here on sales are stored as they come, and before they came from a file
LEARNED = START + timedelta(weeks=WEEKS)
QUARTER = timedelta(minutes=15)
AFTER = timedelta(minutes=4)  # so late the watch looks
TEN = LEARNED + timedelta(hours=10)
_OPEN = range(9, 15)
_ORDERS = 30  # a quarter of an hour; a fifth of them in the south


def lines(quarter: datetime, *, shut: bool = False) -> Iterator[bytes]:
    """One line an order, of the quarter of an hour; the same whenever they are made."""
    if quarter.hour not in _OPEN or shut:
        return
    random = np.random.default_rng(int(quarter.timestamp()))
    orders = int(random.poisson(_ORDERS))
    seconds, products = random.integers(0, 900, orders).tolist(), random.integers(1, 20, orders).tolist()
    south = (random.random(orders) < 0.2).tolist()
    for number in range(orders):
        name = f"{quarter:%Y%m%d%H%M}-{number}"
        yield orjson.dumps(
            {
                "sale_id": name,
                "order_id": name,
                "sold_at": quarter + timedelta(seconds=seconds[number]),
                "product_id": f"p{products[number]}",
                "region": "south" if south[number] else "north",
                "quantity": 1,
                "unit_price": 5 + products[number],
                "currency": "EUR",
            }
        )


@dataclass
class LargeShop:
    """`now` is the clock of its watch, `AFTER` what has been sold."""

    database: Database
    now: datetime = LEARNED + AFTER

    def clock(self) -> datetime:
        return self.now

    def sell(self, start: datetime, end: datetime, *, arriving: datetime | None = None, shut: bool = False) -> None:
        found = [line for n in range((end - start) // QUARTER) for line in lines(start + n * QUARTER, shut=shut)]
        write(self.database, found, arriving or end)
        self.now = end + AFTER

    def live(self, start: datetime, end: datetime) -> None:
        for n in range((end - start) // QUARTER):
            if (start + n * QUARTER).hour in _OPEN:
                self.sell(start + n * QUARTER, start + (n + 1) * QUARTER)
        self.now = end + AFTER

    def watcher(self) -> SeriesWatcher:
        settings = WatchSettings(detector=LargestDeviation)
        return SeriesWatcher(self.database, settings, secret=SECRET, now=self.clock)

    def alerts(self, since: datetime = LEARNED) -> list[Alert]:
        with self.database.session() as session:
            return list(session.scalars(select(Alert).where(Alert.bucket_end > since).order_by(Alert.id)))

    def watched(self) -> dict[str, str]:
        with self.database.session() as session:
            return {each.series: each.grain for each in self.service.detectors(session, SYSTEM)[0].watched}

    @property
    def data(self) -> SalesDataService:
        return SalesDataService(Cache(secret=SECRET), ZoneInfo("UTC"), self.clock)

    @property
    def service(self) -> DatabaseAlerts:
        return DatabaseAlerts(self.data, self.clock)

    @property
    def judged_until(self) -> datetime:
        with self.database.session() as session:
            return session.get_one(DetectorState, DETECTOR).scored_until


def catch_up(watcher: SeriesWatcher) -> None:
    while watcher.step():
        pass


def learn_large(url: str) -> None:
    """Five weeks of sales, of which the last day was stored as it came, and what the watch makes of them."""
    database = Database(url)
    shop = LargeShop(database)
    shop.sell(START, LEARNED - timedelta(days=1))
    shop.live(LEARNED - timedelta(days=1), LEARNED)
    catch_up(shop.watcher())
    database.dispose()
