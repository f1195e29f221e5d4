"""What every `ForecastService` promises, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import PermissionDenied
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import CalendarEntry
from nebuloviz.permissions import SYSTEM, Actor
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.interfaces import Forecast, ForecastService
from tests.services.watched_shop import write

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)  # a Wednesday; its month began on a Monday
MIDNIGHT = datetime(2026, 6, 17, tzinfo=UTC)
AMOUNTS = (10.0, 10.0, 10.0, 12.0, 16.0, 20.0, 8.0)  # Monday to Sunday, of the north; the south sells a tenth of it
QUERY = Query(("revenue",), NOW - timedelta(days=1), NOW, grain="day")
Ask = Callable[..., Forecast | None]


def lines(days: int, until: datetime = MIDNIGHT + timedelta(days=1)) -> list[bytes]:
    """A sale a day and region for so many days before `until`, at eleven o'clock."""
    found = []
    for back in range(1, days + 1):
        at = until - timedelta(days=back) + timedelta(hours=11)
        for region, share in (("north", 1.0), ("south", 0.1)):
            ids = {"sale_id": f"{region}-{back}", "order_id": f"{region}-{back}", "product_id": "p", "quantity": 1}
            line = {**ids, "sold_at": at, "region": region, "amount": AMOUNTS[at.weekday()] * share, "currency": "EUR"}
            found.append(orjson.dumps(line))
    return found


@pytest.fixture(params=[DayForecasts])
def ask(request: pytest.FixtureRequest, database: Database) -> Ask:
    def forecast(sold: list[bytes], query: Query = QUERY, ahead: int = 3, actor: Actor = SYSTEM) -> Forecast | None:
        write(database, sold, NOW)
        data = SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC"), lambda: NOW)
        with database.session() as session:
            service: ForecastService = request.param(data, lambda: NOW)
            return service.forecast(session, actor, query, ahead)

    return forecast


def values(found: Forecast | None) -> list[float]:
    assert found is not None
    nested = [(p.low_95, p.low_80, p.value, p.high_80, p.high_95) for p in found.points]
    assert all(ends == pytest.approx(sorted(ends)) for ends in nested)
    return [round(point.value, 6) for point in found.points]


def test_says_what_today_and_the_days_after_it_bring(ask: Ask) -> None:
    found = ask(lines(150))
    assert values(found) == pytest.approx([11.0, 13.2, 17.6])
    assert found is not None
    assert found.points[0].start == MIDNIGHT
    assert found.days == 148  # neither the first day, which may not be known whole, nor today


def test_counts_what_the_bucket_under_way_has_come_to(ask: Ask) -> None:
    week, month = (1.1 * sum(AMOUNTS), 1.1 * (4 * sum(AMOUNTS) + sum(AMOUNTS[:2])))
    sold = lines(150)
    assert values(ask(sold, QUERY.with_(grain="week"), 2)) == pytest.approx([week, week])
    assert values(ask([], QUERY.with_(grain="month"), 1)) == pytest.approx([month])


def test_today_brings_at_least_what_it_has_brought(ask: Ask) -> None:
    more = orjson.loads(lines(1)[0]) | {"sale_id": "more", "order_id": "more", "amount": 90.0}
    found = ask([*lines(150), orjson.dumps(more)])
    assert values(found)[0] == pytest.approx(101.0)


def test_goes_by_the_calendar(ask: Ask, database: Database) -> None:
    with database.transaction() as session:
        for kind, days, where in (("closure", 1, "north"), ("promotion", 2, "north"), ("closure", 2, "south")):
            day = NOW.date() + timedelta(days=days)
            entry = CalendarEntry(kind=kind, name="x", first=day, last=day, dimension="region", value=where)
            session.add(entry)
    north = QUERY.with_(filters=(Filter("region", "in", ("north",)),))
    sold = lines(150)
    found = ask(sold, north)
    assert values(found) == pytest.approx([10.0, 0.0, 16.0])
    assert found is not None
    assert found.uncounted, "no promotion was there before"
    every = ask([], QUERY)
    assert every is not None
    assert values(every)[1] == pytest.approx(13.2), "what is planned for a part is not counted"
    assert not every.uncounted
    confined = replace(SYSTEM, scope=(("region", ("north",)),))
    assert values(ask([], QUERY, 2, confined)) == pytest.approx([10.0, 0.0])


def test_is_of_what_the_filters_and_the_readers_scope_leave(ask: Ask) -> None:
    south = QUERY.with_(filters=(Filter("region", "in", ("south",)),))
    scoped = Actor(1, "s", "analyst", SYSTEM.permissions, scope=(("region", ("south",)),))
    assert values(ask(lines(150), south)) == pytest.approx([1.0, 1.2, 1.6])
    assert values(ask([], QUERY, 3, scoped)) == pytest.approx([1.0, 1.2, 1.6])


@pytest.mark.parametrize(
    "query",
    [
        QUERY.with_(grain="hour"),
        QUERY.with_(metrics=("average_order_value",)),
        QUERY.with_(metrics=("customers",), grain="week"),
        QUERY.with_(dimensions=("region",)),
    ],
    ids=["hours", "a ratio", "a distinct count by week", "several series"],
)
def test_is_not_given_of_what_days_do_not_add_up_to(ask: Ask, query: Query) -> None:
    assert ask(lines(150), query) is None


@pytest.mark.parametrize(
    "sold", [lines(60), lines(150, MIDNIGHT - timedelta(days=30))], ids=["too few days", "ended long ago"]
)
def test_is_not_given_where_nothing_is_known(ask: Ask, sold: list[bytes]) -> None:
    assert ask(sold) is None


def test_is_not_for_who_may_not_read_data(ask: Ask) -> None:
    with pytest.raises(PermissionDenied):
        ask([], actor=Actor(1, "nobody", "none", frozenset()))
