"""A dimension that nobody keeps sums of is answered from the facts, and is offered like the others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.i18n import lazy
from nebuloviz.metrics import registry
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import DIMENSIONS, Dimension, add_dimension
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from tests.metrics import shop
from tests.metrics.shop import NOW

ZONE = ZoneInfo("Europe/Berlin")
SALES = shop.lines(300, seed=3)
TABLE = shop.table(SALES)
START = NOW - timedelta(days=120, minutes=11)


@pytest.fixture(autouse=True)
def _customer(monkeypatch: pytest.MonkeyPatch) -> None:
    added = list(DIMENSIONS)
    for module in ("metrics.registry", "metrics.planner", "services.data"):
        monkeypatch.setattr(f"nebuloviz.{module}.DIMENSIONS", added)
    add_dimension(Dimension("customer", lazy("Customer"), "customer_id"))
    assert added[-1] is registry.dimension("customer")


@pytest.fixture
def service() -> SalesDataService:
    return SalesDataService(Cache(None, secret="s" * 32), ZONE, now=lambda: NOW)


@pytest.fixture
def sold(database: Database) -> Database:
    shop.store(database, SALES, ZONE)
    return database


def _rows(table: pd.DataFrame) -> dict[str, tuple[float, int, int]]:
    """Revenue, orders and distinct known customers by customer."""
    found = {}
    for value, rows in table.groupby("customer_id"):
        found[str(value)] = (rows["revenue"].sum() / 1e4, rows["order_id"].nunique(), int(value != ""))
    return found


def _sold_since(start: datetime) -> pd.DataFrame:
    return TABLE[(TABLE["sold_at"] >= start) & (TABLE["sold_at"] < NOW)]


class TestAnAddedDimension:
    @pytest.mark.parametrize("chosen", [(), ("a",), ("a", "", "c")])
    def test_is_counted_right(self, sold: Database, service: SalesDataService, chosen: tuple[str, ...]) -> None:
        filters = (Filter("customer", "in", chosen),) if chosen else ()
        query = Query(("revenue", "orders", "customers"), START, NOW, dimensions=("customer",), filters=filters)
        with sold.session() as session:
            frame = service.frame(session, SYSTEM, query).data
        wanted = _rows(_sold_since(START))
        kept = {value: figures for value, figures in wanted.items() if not chosen or value in chosen}
        found = {
            row["customer"]: (row["revenue"], row["orders"], row["customers"])
            for row in frame.to_dict(orient="records")
        }
        assert found == {value: pytest.approx(figures) for value, figures in kept.items()}

    def test_splits_other_dimensions_and_leaves_a_rest(self, sold: Database, service: SalesDataService) -> None:
        query = Query(
            ("revenue",), START, NOW, ("region", "customer"), grain="month", order="-revenue", limit=3, other=True
        )
        with sold.session() as session:
            frame = service.frame(session, SYSTEM, query).data
        assert frame["revenue"].sum() == pytest.approx(_sold_since(START)["revenue"].sum() / 1e4)

    def test_is_in_use_where_customers_differ(self, sold: Database, service: SalesDataService) -> None:
        with sold.session() as session:
            everybody = service.dimensions_in_use(session, SYSTEM)
            one_customers = service.dimensions_in_use(session, replace(SYSTEM, scope=(("customer", ("a",)),)))
        assert everybody == ["category", "region", "channel", "store", "product", "customer"]
        assert one_customers == everybody[:-1]

    def test_offers_its_values_of_late_by_revenue(self, sold: Database, service: SalesDataService) -> None:
        recent = _sold_since(datetime(2026, 8, 24, tzinfo=ZONE).astimezone(UTC))
        wanted = recent.groupby("customer_id")["revenue"].sum().sort_values(ascending=False)
        with sold.session() as session:
            values = service.values(session, SYSTEM, "customer")
        assert [value for value, _label in values] == list(wanted.index)
        assert dict(values)["a"] == "a"
        assert dict(values)[""] == "Not given"

    @pytest.mark.parametrize(("search", "found"), [("A", ["a"]), ("b", ["b"]), ("%", []), ("zz", [])])
    def test_is_searched(self, sold: Database, service: SalesDataService, search: str, found: list[str]) -> None:
        with sold.session() as session:
            assert [value for value, _label in service.values(session, SYSTEM, "customer", search)] == found
