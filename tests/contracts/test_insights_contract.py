"""What every source of insights promises: the real one on both databases, and the double that page tests use."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.ingest.batch import Batch, Item
from nebuloviz.ingest.sale import Record, parse
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import Insight
from tests.fakes import FakeInsights

NOW = datetime(2026, 6, 15, tzinfo=UTC)
WEEK = Query(("revenue",), NOW - timedelta(days=7), NOW)
Tell = Callable[[int], Sequence[Insight]]


def fill(database: Database) -> None:
    """Two weeks in which one region gained and the other lost, and an earlier sale, so that they can be compared."""
    sink = DatabaseSink(database, ZoneInfo("UTC"), now=lambda: NOW)
    figures = [("north", 20, 70), ("north", 10, 100), ("north", 3, 190), ("south", 10, 80), ("south", 3, 20)]
    items = []
    for n, (region, days_ago, amount) in enumerate(figures):
        ids = {"sale_id": str(n), "order_id": str(n), "product_id": "p", "quantity": 1}
        line = {**ids, "sold_at": NOW - timedelta(days=days_ago), "region": region, "amount": amount}
        record = Record("t", 0, n, orjson.dumps(line))
        items.append(Item(record, parse(record.value, NOW)))
    sink.begin("t", 0, 0)
    assert sink.write(Batch("t", 0, 0, len(items), items)).accepted == len(figures)


@pytest.fixture(params=["fake", "sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def tell(request: pytest.FixtureRequest) -> Iterator[Tell]:
    if request.param == "fake":
        found = [Insight(f"Finding {weight}.", "low", WEEK, weight) for weight in (1.0, 30.0, 2.0)]
        fake = FakeInsights(found)
        yield lambda limit: fake.insights(None, SYSTEM, WEEK, limit)  # type: ignore[arg-type]  # it asks no database
        return
    kind = "migrated_postgres_url" if request.param == "postgresql" else "migrated_sqlite_url"
    database = Database(request.getfixturevalue(kind))
    fill(database)
    data = SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC"), lambda: NOW)
    service = FigureInsights(data, DatabaseAlerts(data, lambda: NOW), DayForecasts(data, lambda: NOW), lambda: NOW)
    with database.session() as session:
        yield lambda limit: service.insights(session, SYSTEM, WEEK, limit)
    database.dispose()


def test_come_weightiest_first(tell: Tell) -> None:
    weights = [each.weight for each in tell(50)]
    assert len(weights) >= 3
    assert weights == sorted(weights, reverse=True)


def test_are_at_most_as_many_as_asked_for_and_those_the_weightiest(tell: Tell) -> None:
    assert list(tell(2)) == list(tell(50))[:2]


def test_are_sentences_with_the_question_that_backs_them(tell: Tell) -> None:
    for each in tell(50):
        assert each.text.endswith(".")
        assert each.severity in {"low", "medium", "high", "critical"}
        assert (each.query.start, each.query.end) == (WEEK.start, WEEK.end)
