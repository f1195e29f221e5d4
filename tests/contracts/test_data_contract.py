"""What every `DataService` promises: the real one on both databases, and the double that page tests use."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy.orm import Session

from nebuloviz.cache import Cache, day_node
from nebuloviz.db import Database
from nebuloviz.errors import Unavailable
from nebuloviz.ingest.sale import Sale
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE
from nebuloviz.permissions import SYSTEM, Actor
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.interfaces import OTHER, DataService, Frame, SaleLine
from tests.fakes import FakeDataService
from tests.metrics import shop

NOW = datetime(2026, 11, 22, 14, 37, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0)
DAY = timedelta(days=1)


def sale(number: int, days_ago: float = 0, **fields: object) -> Sale:
    """A line of one piece for 10, of an order and a customer of its own, sold so many days before today's first hour."""
    usual: dict[str, object] = {
        "sold_at": TODAY + timedelta(hours=1, minutes=number) - timedelta(days=days_ago),
        "key": blake2b(f"{number}".encode(), digest_size=16).digest(),
        "sale_id": f"s{number}",
        "order_id": f"o{number}",
        "customer_id": f"c{number}",
        "product_id": f"p{number % 3}",
        "category": "Dairy",
        "region": "",
        "country": "DE",
        "channel": "shop",
        "store": "1",
        "quantity": QUANTITY_SCALE,
        "unit_price": 10 * MONEY_SCALE,
        "discount": 0,
        "revenue": 10 * MONEY_SCALE,
        "cost": None,
        "product": f"Product {number % 3}",
        "currency": "",
        "fingerprint": number,
    }
    return Sale(**{**usual, **fields})  # type: ignore[arg-type]  # the fields' own types hold


class Case(ABC):
    """One implementation, and a way to let sales arrive in it."""

    service: DataService
    session: Session
    arrived = 0

    @abstractmethod
    def put(self, sales: Sequence[Sale]) -> None: ...

    def have(self, *sales: Sale) -> None:
        self.put(sales)
        self.arrived += len(sales)

    def frame(self, *metrics: str, days: int = 3, **fields: object) -> Frame:
        """The frame over today and the days before it, `days` in all."""
        query = Query(metrics, TODAY + DAY - days * DAY, TODAY + DAY, **fields)  # type: ignore[arg-type]  # as above
        return self.service.frame(self.session, SYSTEM, query)


class FakeCase(Case):
    def __init__(self, session: Session) -> None:
        self.service = self.fake = FakeDataService(now=NOW)
        self.fake.lines = self.fake.lines.iloc[:0]
        self.session = session

    def put(self, sales: Sequence[Sale]) -> None:
        rows = shop.table(sales)
        money = {name: rows[name] / MONEY_SCALE for name in ("unit_price", "discount", "revenue")}
        quantity = rows["quantity"] / QUANTITY_SCALE
        returned = (-money["revenue"]).where(quantity < 0, 0.0)
        rows = rows.assign(
            **money, quantity=quantity, lines=1.0, cost=0.0, costed_revenue=0.0, returned_amount=returned
        )
        known = [self.fake.lines, rows] if len(self.fake.lines) else [rows]
        self.fake.lines = pd.concat(known).sort_values("sold_at", ignore_index=True)


class RealCase(Case):
    def __init__(self, database: Database, session: Session) -> None:
        self.cache = Cache(secret="s" * 40)
        self.now = NOW
        self.service = SalesDataService(self.cache, ZoneInfo("UTC"), now=lambda: self.now)
        self.database = database
        self.session = session

    def put(self, sales: Sequence[Sale]) -> None:
        self.session.rollback()
        shop.store(self.database, sales, ZoneInfo("UTC"), offset=self.arrived)
        self.cache.invalidate(*{day_node(sale.sold_at.date()) for sale in sales})
        self.now += timedelta(seconds=1)  # by then open pages hear of it


@pytest.fixture(params=["real", "fake"])
def case(request: pytest.FixtureRequest, database: Database) -> Iterator[Case]:
    with database.session() as session:
        yield RealCase(database, session) if request.param == "real" else FakeCase(session)


class TestAFrame:
    def test_without_grain_and_dimensions_has_one_row(self, case: Case) -> None:
        case.have(sale(1), sale(2, revenue=5 * MONEY_SCALE), sale(3, days_ago=9))
        data = case.frame("revenue", "orders", "average_order_value").data
        assert data.to_dict("records") == [{"revenue": 15.0, "orders": 2.0, "average_order_value": 7.5}]

    def test_of_nothing_has_zeros_for_sums_and_no_ratio(self, case: Case) -> None:
        case.have(sale(1, days_ago=40))
        row = case.frame("revenue", "customers", "average_order_value").data.iloc[0]
        assert (row["revenue"], row["customers"]) == (0.0, 0.0)
        assert pd.isna(row["average_order_value"])

    def test_with_a_grain_has_every_bucket_and_marks_the_unfinished_one(self, case: Case) -> None:
        case.have(sale(1), sale(2, days_ago=2))
        data = case.frame("revenue", grain="day").data
        assert list(data["bucket"]) == [pd.Timestamp(TODAY - n * DAY) for n in (2, 1, 0)]
        assert list(data["revenue"]) == [10.0, 0.0, 10.0]
        assert list(data["unfinished"]) == [False, False, True]

    def test_has_a_row_for_each_value_the_empty_one_included(self, case: Case) -> None:
        case.have(sale(1, region="north"), sale(2), sale(3))
        data = case.frame("lines", dimensions=("region",)).data
        assert dict(zip(data["region"], data["lines"], strict=True)) == {"": 2.0, "north": 1.0}

    @pytest.mark.parametrize(
        ("item", "lines"),
        [
            (Filter("region", "in", ("north", "south")), 2.0),
            (Filter("region", "not_in", ("north",)), 2.0),
            (Filter("region", "in", ("",)), 1.0),
            (Filter("region", "not_in", ("",)), 2.0),
            (Filter("region", "in", ("nor%",)), 0.0),
        ],
    )
    def test_keeps_what_a_filter_says(self, case: Case, item: Filter, lines: float) -> None:
        case.have(sale(1, region="north"), sale(2, region="south"), sale(3))
        assert case.frame("lines", filters=(item,)).data["lines"].tolist() == [lines]

    def test_sums_what_is_beyond_the_limit_as_other(self, case: Case) -> None:
        amounts = {"a": 50, "b": 20, "c": 10, "d": 2}
        case.have(*(sale(n, store=s, revenue=v * MONEY_SCALE) for n, (s, v) in enumerate(amounts.items())))
        asked: dict[str, Any] = {"dimensions": ("store",), "limit": 2, "other": True, "order": "-revenue"}
        data = case.frame("revenue", "orders", "average_order_value", **asked).data.set_index("store")
        assert data["revenue"].to_dict() == {"a": 50.0, "b": 20.0, OTHER: 12.0}
        assert data.loc[OTHER, "average_order_value"] == 6.0

    def test_counts_an_order_of_several_lines_once(self, case: Case) -> None:
        spread = sale(3, order_id="o1", store="2", sold_at=TODAY + timedelta(hours=9))
        case.have(sale(1), sale(2, order_id="o1"), spread)
        assert case.frame("orders").data["orders"].tolist() == [1.0]
        by_store = case.frame("orders", dimensions=("store",)).data
        assert dict(zip(by_store["store"], by_store["orders"], strict=True)) == {"1": 1.0, "2": 1.0}

    def test_does_not_count_unknown_customers(self, case: Case) -> None:
        case.have(sale(1, customer_id="a"), sale(2, customer_id="a"), sale(3, customer_id=""))
        assert case.frame("customers").data["customers"].tolist() == [1.0]

    def test_is_set_beside_what_it_is_compared_with(self, case: Case) -> None:
        case.have(sale(1), sale(2), sale(3, days_ago=7))
        row = case.frame("revenue", days=1, comparison="weekdays").data.iloc[0]
        assert (row["revenue"], row["revenue:comparison"]) == (20.0, 10.0)

    def test_names_products(self, case: Case) -> None:
        case.have(sale(1))
        data = case.frame("revenue", dimensions=("product",)).data
        name = "Product p1" if isinstance(case, FakeCase) else "Product 1"
        assert (data["product"].tolist(), data["product:name"].tolist()) == (["p1"], [name])

    def test_is_rendered_within_the_readers_scope_and_anew_once_sales_have_arrived(self, case: Case) -> None:
        query = Query(("lines",), TODAY - DAY, TODAY + DAY)
        bakery = replace(SYSTEM, scope=(("category", ("Bakery",)),))

        def lines(actor: Actor) -> bytes:
            return case.service.rendered(
                case.session, actor, query, "lines", lambda frame: b"%d" % frame.data["lines"].sum()
            )

        case.have(sale(1), sale(2))
        assert [lines(SYSTEM), lines(SYSTEM)] == [b"2", b"2"]
        case.have(sale(3, category="Bakery"))
        assert lines(SYSTEM) == b"3"
        if isinstance(case, RealCase):  # the double knows no scope
            assert lines(bakery) == b"1"

    def test_a_view_is_drawn_for_all_who_may_see_the_same_until_sales_have_arrived(self, case: Case) -> None:
        bakery = replace(SYSTEM, scope=(("category", ("Bakery",)),))
        drawn: list[str] = []

        def view(actor: Actor, name: str = "tiles") -> float:
            def draw() -> float:
                drawn.append(name)
                return (
                    case.service.frame(case.session, actor, Query(("lines",), TODAY, TODAY + DAY)).data["lines"].sum()
                )

            return case.service.view(case.session, actor, case.service.stamp(case.session, actor), name, draw)

        case.have(sale(1), sale(2, category="Bakery"))
        assert [view(SYSTEM), view(replace(SYSTEM, user_id=7))] == [2, 2]
        if isinstance(case, RealCase):  # the double keeps nothing, and knows no scope
            assert drawn == ["tiles"]
            assert view(bakery) == 1
        view(SYSTEM, "trend")
        assert drawn[-1] == "trend"
        case.have(sale(3))
        assert view(SYSTEM) == 3

    def test_a_view_that_cannot_be_drawn_is_not_kept(self, case: Case) -> None:
        def fail() -> int:
            raise Unavailable("away")

        with pytest.raises(Unavailable):
            case.service.view(case.session, SYSTEM, "1", "tiles", fail)
        assert case.service.view(case.session, SYSTEM, "1", "tiles", lambda: 1) == 1

    def test_what_is_derived_of_closed_days_is_kept_until_a_late_sale_of_them_arrives(self, case: Case) -> None:
        bakery = replace(SYSTEM, scope=(("category", ("Bakery",)),))
        yesterday = Query(("lines",), TODAY - DAY, TODAY)
        drawn: list[str] = []

        def derived(actor: Actor = SYSTEM, name: str = "sum") -> float:
            def derive() -> float:
                drawn.append(name)
                return float(case.service.frame(case.session, actor, yesterday).data["lines"].sum())

            return case.service.derived(
                case.session, actor, name, (yesterday, yesterday.with_(metrics=("units",))), derive
            )

        case.have(sale(1, 1), sale(2, 1, category="Bakery"), sale(3))
        assert [derived(), derived(replace(SYSTEM, user_id=7)), derived(name="other")] == [2, 2, 2]
        case.have(sale(4))
        assert derived() == 2
        if isinstance(case, RealCase):  # the double keeps nothing, and knows no scope
            assert drawn == ["sum", "other"]
            assert derived(bakery) == 1
        case.have(sale(5, 1))
        assert derived() == 3

    def test_what_cannot_be_derived_is_not_kept(self, case: Case) -> None:
        def fail() -> int:
            raise Unavailable("away")

        queries = [Query(("lines",), TODAY - DAY, TODAY)]
        with pytest.raises(Unavailable):
            case.service.derived(case.session, SYSTEM, "sum", queries, fail)
        assert case.service.derived(case.session, SYSTEM, "sum", queries, lambda: 1) == 1

    def test_describes_its_columns(self, case: Case) -> None:
        case.have(sale(1))
        frame = case.frame("revenue", "orders", dimensions=("store",), grain="day")
        assert [column.name for column in frame.columns] == list(frame.data.columns)
        units = {column.name: column.unit for column in frame.columns}
        kinds = {column.name: column.type for column in frame.columns}
        assert (units["revenue"], units["orders"]) == ("money", "count")
        assert (kinds["bucket"], kinds["store"], kinds["revenue"], kinds["unfinished"]) == (
            "time",
            "text",
            "number",
            "boolean",
        )


class TestSales:
    def test_come_in_pages_newest_first_each_once(self, case: Case) -> None:
        case.have(*(sale(n) for n in range(25)), sale(30, days_ago=9))
        query = Query(("revenue",), TODAY, TODAY + DAY)
        lines: list[SaleLine] = []
        cursor = None
        while True:
            page = case.service.sales(case.session, SYSTEM, query, cursor, limit=10)
            lines += page.lines
            assert page.total == 25
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [line.sale_id for line in lines] == [f"s{n}" for n in reversed(range(25))]

    def test_are_in_their_own_units(self, case: Case) -> None:
        case.have(sale(1, quantity=1500, revenue=123_400, discount=5_000))
        (line,) = case.service.sales(case.session, SYSTEM, Query(("revenue",), TODAY, TODAY + DAY)).lines
        assert (line.quantity, line.unit_price, line.discount, line.revenue) == (1.5, 10.0, 0.5, 12.34)

    def test_follow_the_filters_and_the_order(self, case: Case) -> None:
        case.have(*(sale(n, store=str(n % 2), revenue=n * MONEY_SCALE) for n in range(6)))
        query = Query(("revenue",), TODAY, TODAY + DAY, filters=(Filter("store", "in", ("1",)),))
        page = case.service.sales(case.session, SYSTEM, query, order="-revenue")
        assert [line.revenue for line in page.lines] == [5.0, 3.0, 1.0]


class TestValues:
    def test_come_with_the_largest_first(self, case: Case) -> None:
        case.have(sale(1, store="small"), sale(2, store="large", revenue=99 * MONEY_SCALE))
        assert [value for value, _ in case.service.values(case.session, SYSTEM, "store")] == ["large", "small"]

    @pytest.mark.parametrize(
        ("search", "found"), [("NOR", ["north"]), ("%", ["50%"]), ("_", []), ("t", ["south", "north"])]
    )
    def test_are_searched_literally_in_either_case(self, case: Case, search: str, found: list[str]) -> None:
        stores = {"north": 10, "south": 20, "50%": 5}
        case.have(*(sale(n, store=s, revenue=v * MONEY_SCALE) for n, (s, v) in enumerate(stores.items())))
        assert [value for value, _ in case.service.values(case.session, SYSTEM, "store", search)] == found

    def test_are_limited(self, case: Case) -> None:
        case.have(*(sale(n, store=str(n)) for n in range(9)))
        assert len(case.service.values(case.session, SYSTEM, "store", limit=4)) == 4


class TestTheData:
    def test_has_the_dimensions_that_vary(self, case: Case) -> None:
        case.have(sale(1, region="north"), sale(2, region="south"), sale(3, store="2"))
        assert list(case.service.dimensions_in_use(case.session, SYSTEM)) == ["region", "store", "product"]

    def test_knows_how_old_and_how_large_it_is(self, case: Case) -> None:
        assert case.service.freshness(case.session, SYSTEM).lines == 0
        case.have(sale(1, days_ago=4), sale(2))
        freshness = case.service.freshness(case.session, SYSTEM)
        assert (freshness.first_sale, freshness.last_sale) == (sale(1, days_ago=4).sold_at, sale(2).sold_at)
        assert freshness.lines == 2

    def test_has_another_stamp_once_sales_have_arrived(self, case: Case) -> None:
        case.have(sale(1))
        before = case.service.stamp(case.session, SYSTEM)
        assert case.service.stamp(case.session, SYSTEM) == before
        case.have(sale(2))
        assert case.service.stamp(case.session, SYSTEM) != before
