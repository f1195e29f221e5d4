"""What closed days have kept and what the open day adds are the same figures as those that are read anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy.orm import Session

from nebuloviz.cache import Cache, day_node
from nebuloviz.db import Database
from nebuloviz.ingest.batch import Batch, Item
from nebuloviz.ingest.sale import Record, Sale
from nebuloviz.ingest.writer import SaleWriter
from nebuloviz.metrics import closed
from nebuloviz.metrics.answer import Answer, measure
from nebuloviz.metrics.calendar import day_floor
from nebuloviz.metrics.planner import Slice
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from tests.metrics import shop
from tests.metrics.shop import NOW

ZONE = ZoneInfo("Asia/Kolkata")
TODAY = day_floor(NOW, ZONE)
DAY = timedelta(days=1)
_ALL = ("revenue", "orders", "customers", "units", "average_order_value", "discount_rate", "returns")
QUERIES = [
    Query(_ALL, TODAY - 6 * DAY, TODAY + DAY, comparison="previous"),
    Query(_ALL, TODAY - 6 * DAY, TODAY + DAY, grain="day", time_zone="Asia/Kolkata", comparison="weekdays"),
    Query(_ALL, TODAY - 9 * DAY, NOW, grain="week", time_zone="America/New_York"),
    Query(("revenue",), TODAY - 2 * DAY, TODAY + DAY, grain="hour", comparison="previous"),
    Query(_ALL, TODAY - 6 * DAY, TODAY + DAY, ("category",), comparison="previous", order="-revenue"),
    Query(("revenue", "orders"), TODAY - 6 * DAY, TODAY + DAY, ("store",), limit=2, other=True, comparison="previous"),
    Query(("revenue",), TODAY - 6 * DAY, NOW, ("product",), limit=3, order="revenue"),
    Query(("orders",), TODAY - 6 * DAY, TODAY, ("region",), grain="day", comparison="weekdays"),
    Query(("units",), TODAY - 20 * DAY, NOW, filters=(Filter("region", "in", ("north",)),), comparison="previous"),
    Query(("revenue", "customers"), TODAY, TODAY + DAY, comparison="weekdays"),
]


class Shop:
    """A database, and a service whose cache hears of the days of each batch, as from a consumer."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.cache = Cache(secret="s" * 40)
        self.service = SalesDataService(self.cache, ZONE, now=lambda: self.now)
        self.now = NOW + timedelta(seconds=17)
        self.sent = 0

    def have(self, sales: Sequence[Sale]) -> None:
        records = [Item(Record("test", 0, self.sent + place, b"{}"), sale) for place, sale in enumerate(sales)]
        batch = Batch("test", 0, self.sent, self.sent + len(records), records)
        with self.database.transaction() as session:
            written = SaleWriter(ZONE).write(session, batch, NOW)
        self.sent = batch.next_offset
        self.cache.invalidate(*(day_node(day) for day in written.days))

    def frames(self, service: SalesDataService) -> list[pd.DataFrame]:
        found = []
        for query in QUERIES:
            with self.database.session() as session:
                found.append(service.frame(session, SYSTEM, query).data)
        return found

    def check(self) -> None:
        """What is kept against what a service says that has kept nothing and knows of no closed days."""
        anew = SalesDataService(Cache(secret="t" * 40), ZONE, now=lambda: self.now)
        anew._closed_days = lambda *_: None  # type: ignore[method-assign,assignment]  # reads all of it at once
        for query, kept, read in zip(QUERIES, self.frames(self.service), self.frames(anew), strict=True):
            pd.testing.assert_frame_equal(kept, read, obj=query.key)


@pytest.fixture
def place(database: Database) -> Shop:
    place = Shop(database)
    place.have(shop.lines(250, seed=3, first=NOW - timedelta(days=25)))
    place.check()
    return place


def anew(sales: Sequence[Sale], run: str, *, at: datetime | None = None, order: str = "") -> list[Sale]:
    """`sales` as others, all sold `at` that moment if it is given."""
    return [
        sale._replace(
            sale_id=f"{run}{number}",
            key=f"{run}{number}".encode().ljust(16, b"_"),
            order_id=order or f"{run}{number}",
            sold_at=at or sale.sold_at,
        )
        for number, sale in enumerate(sales)
    ]


def test_after_sales_of_today_late_ones_and_the_same_ones_again(place: Shop) -> None:
    today = anew(shop.lines(30, seed=11, first=TODAY, last=NOW), "today")
    place.have(today)
    place.check()
    place.have(anew(shop.lines(20, seed=12, first=NOW - timedelta(days=12), last=TODAY), "late"))
    place.check()
    place.have(today[:10])
    place.check()
    place.now += timedelta(minutes=7, seconds=4)
    place.have(anew(shop.lines(5, seed=13, first=TODAY, last=NOW), "later"))
    place.check()


def test_with_an_order_of_several_days(place: Shop) -> None:
    lines = shop.lines(3, seed=14)
    place.have(anew(lines, "one", at=TODAY - 2 * DAY, order="long"))
    place.check()
    place.have(anew(lines, "two", at=TODAY + timedelta(minutes=1), order="long"))
    place.check()
    place.have(anew(lines, "three", at=TODAY - 8 * DAY, order="long"))
    place.check()


def test_after_midnight(place: Shop) -> None:
    place.now = TODAY + DAY + timedelta(minutes=3, seconds=8)
    place.check()
    place.have(anew(shop.lines(10, seed=15), "night", at=TODAY + DAY + timedelta(minutes=1)))
    place.check()


def test_of_more_than_is_kept(place: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "_MAX_CELLS", 3)
    place.have(anew(shop.lines(10, seed=16, first=TODAY, last=NOW), "today"))
    place.check()


def test_closed_days_are_not_read_again(place: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[datetime] = []

    def noting(session: Session, asked: Slice, zone: ZoneInfo) -> Answer:
        read.append(asked.spans[0].start)
        return measure(session, asked, zone)

    monkeypatch.setattr(closed, "measure", noting)
    sums = Query(("revenue", "units"), TODAY - 6 * DAY, TODAY + DAY, ("category",), comparison="previous")
    place.have(anew(shop.lines(5, seed=17, first=TODAY, last=NOW), "today"))
    with place.database.session() as session:
        place.service.frame(session, SYSTEM, sums)
    place.have(anew(shop.lines(5, seed=18, first=TODAY, last=NOW), "more"))
    read.clear()
    with place.database.session() as session:
        place.service.frame(session, SYSTEM, sums)
    assert read == [TODAY]
