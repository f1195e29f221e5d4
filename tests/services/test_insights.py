import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import InvalidQuery, PermissionDenied
from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.models import Alert
from nebuloviz.permissions import SYSTEM, Actor, Permission
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.forecasts import DayForecasts
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import Digest, Insight
from tests.services.watched_shop import write

NOW = datetime(2026, 6, 15, tzinfo=UTC)
WEEK = Query(("revenue",), NOW - timedelta(days=7), NOW)
Tell = Callable[..., Sequence[Insight]]


def sales(days_ago: int, amounts: Sequence[float], region: str = "north") -> list[bytes]:
    """One order a line."""
    at = NOW - timedelta(days=days_ago)
    return [
        orjson.dumps(
            {
                "sale_id": f"{region}-{days_ago}-{n}",
                "order_id": f"{region}-{days_ago}-{n}",
                "sold_at": at,
                "product_id": "p",
                "region": region,
                "quantity": 1,
                "amount": amount,
            }
        )
        for n, amount in enumerate(amounts)
    ]


@pytest.fixture
def tell(database: Database) -> Tell:
    """Insights into this week, against the one before, of an installation with `lines`."""

    def insights(
        lines: Sequence[bytes],
        query: Query = WEEK,
        actor: Actor = SYSTEM,
        language: str = "en",
        limit: int = 9,
        *,
        known_before: bool = True,
    ) -> Sequence[Insight]:
        if known_before and lines:
            lines = [*lines, *sales(14, [0.0])]
        write(database, list(lines), NOW)
        data = SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC"), lambda: NOW)
        service = FigureInsights(data, DatabaseAlerts(data, lambda: NOW), DayForecasts(data, lambda: NOW), lambda: NOW)
        with database.session() as session, use(Preferences(language=language, currency="EUR")):
            return service.insights(session, actor, query, limit)

    return insights


class TestTheHeadline:
    @pytest.mark.parametrize(
        ("before", "after", "expected", "severity"),
        [
            ([100.0], [120.0], "Revenue is €120.00, up 20.0% from €100.00.", "low"),
            ([100.0], [50.0], "Revenue is €50.00, down 50.0% from €100.00.", "medium"),
            ([100.0], [101.0], "Revenue is steady at €101.00.", "low"),
        ],
    )
    def test_comes_first_and_says_what_the_tile_says(
        self, tell: Tell, before: list[float], after: list[float], expected: str, severity: str
    ) -> None:
        first, *_ = tell([*sales(10, before), *sales(3, after)])
        assert (first.text, first.severity, first.weight) == (expected, severity, math.inf)
        assert first.query.comparison == "previous"

    def test_is_left_out_where_there_is_nothing_to_compare_with(self, tell: Tell) -> None:
        assert not any("Revenue" in each.text for each in tell(sales(3, [100.0])))

    def test_is_left_out_where_sales_begin_within_what_it_would_be_compared_with(self, tell: Tell) -> None:
        half_loaded = [*sales(10, [10.0]), *sales(3, [100.0])]
        assert list(tell(half_loaded, known_before=False)) == []

    def test_nothing_is_said_without_sales(self, tell: Tell) -> None:
        assert list(tell([])) == []


class TestTheDriver:
    def test_is_the_number_of_orders_where_that_changed(self, tell: Tell) -> None:
        found = tell([*sales(10, [10.0] * 4), *sales(3, [10.0] * 8)])
        (driver,) = [each for each in found if each.text.startswith("The number of orders was the main driver")]
        assert driver.query.metrics == ("orders",)

    def test_is_their_value_where_that_changed(self, tell: Tell) -> None:
        found = tell([*sales(10, [10.0] * 4), *sales(3, [20.0] * 4)])
        (driver,) = [each for each in found if each.text.startswith("Average order value was the main driver")]
        assert driver.query.metrics == ("average_order_value",)


class TestTheMovers:
    def test_name_the_value_that_moved_most(self, tell: Tell) -> None:
        lines = [*sales(10, [100.0]), *sales(3, [100.0]), *sales(10, [80.0], "south"), *sales(3, [20.0], "south")]
        (mover,) = [each for each in tell(lines) if "Region" in each.text]
        assert mover.text == "Region south fell by €60.00 (75.0%)."
        assert mover.weight == pytest.approx(60.0)
        assert mover.query.dimensions == ("region",)

    def test_say_what_is_new(self, tell: Tell) -> None:
        found = tell([*sales(10, [100.0]), *sales(3, [100.0]), *sales(3, [30.0], "south")])
        assert "Region south is new with €30.00." in [each.text for each in found]

    def test_say_what_is_gone(self, tell: Tell) -> None:
        found = tell([*sales(10, [100.0]), *sales(3, [100.0]), *sales(10, [30.0], "south")])
        assert "Region south fell by €30.00 (100.0%)." in [each.text for each in found]


def nine_sundays(south: Sequence[float], north: Sequence[float] = (10.0,) * 10) -> list[bytes]:
    """What was sold yesterday in the south and in the north, and on the eight Sundays before: a hundred or a little more in each."""
    before = [sales(8 + 7 * week, [10.0 + week // 2 % 3] * 10) for week in range(8)]
    before += [sales(8 + 7 * week, [10.0 + week // 2 % 2] * 10, "south") for week in range(8)]
    return [line for lines in (*before, sales(1, north), sales(1, south, "south")) for line in lines]


@pytest.fixture
def digest(database: Database) -> Callable[..., Digest]:
    def told(lines: Sequence[bytes], language: str = "en", **asked: object) -> Digest:
        write(database, list(lines), NOW)
        data = SalesDataService(Cache(secret="of no importance here"), ZoneInfo("UTC"), lambda: NOW)
        service = FigureInsights(data, DatabaseAlerts(data, lambda: NOW), DayForecasts(data, lambda: NOW), lambda: NOW)
        with database.session() as session, use(Preferences(language=language, currency="EUR")):
            return service.digest(session, SYSTEM, **asked)  # type: ignore[arg-type]  # as each test says

    return told


class TestTheDigest:
    def test_tells_of_yesterday_what_changed_that_it_is_unusual_and_where(self, digest: Callable[..., Digest]) -> None:
        found = digest(nine_sundays([10.0] * 2))
        assert found.day == date(2026, 6, 14)
        assert [each.text for each in found.of_day][:3] == [
            "Revenue is €120.00, down 40.0% from €200.00.",
            "That is lower than on the same weekday in each of the previous 8 weeks: €200.00 to €220.00.",
            "Region south explains all of the decline: €80.00 less, now €20.00.",
        ]
        assert not any("Region south fell" in each.text for each in found.of_day)  # it is said already
        where = next(each for each in found.of_day if each.kind == "segment")
        assert where.query.filters == (Filter("region", "in", ("south",)),)

    def test_says_that_a_day_is_usual(self, digest: Callable[..., Digest]) -> None:
        found = digest(nine_sundays([11.0] * 10))
        assert [each.text for each in found.of_day if each.kind == "usual"] == [
            "That is normal: the same weekday in the previous 8 weeks brought in €200.00 to €220.00."
        ]

    def test_names_no_segment_where_all_of_them_moved_alike(self, digest: Callable[..., Digest]) -> None:
        lines = nine_sundays([10.0] * 2, [10.0] * 2)
        assert "The decline is spread across all sales; no segment stands out." in [
            each.text for each in digest(lines).of_day
        ]

    def test_tells_of_the_last_day_of_what_ended_long_ago(self, digest: Callable[..., Digest]) -> None:
        assert digest(sales(30, [10.0])).day == date(2026, 5, 16)

    def test_refuses_a_day_before_all_others(self, digest: Callable[..., Digest]) -> None:
        with pytest.raises(InvalidQuery):
            digest([], day=date.min)

    @pytest.mark.parametrize("language", ["de", "es", "ar"])
    def test_speaks_the_readers_language(self, digest: Callable[..., Digest], language: str) -> None:
        found = digest(nine_sundays([10.0] * 2), language)
        assert len(found.of_day) >= 4
        for english in ("Revenue", "That is", "explains", "moved"):
            assert not any(english in each.text for each in (*found.of_day, *found.of_week))


class TestOpenAlerts:
    @pytest.fixture
    def alerted(self, database: Database) -> None:
        at = {"bucket_start": NOW - timedelta(days=2), "bucket_end": NOW - timedelta(days=2, hours=-1)}
        figures = {"observed": 2.0, "expected": 12.0, "score": 3.0, "severity": "critical", "metric": "orders"}
        moments = {"created_at": NOW, "updated_at": NOW}
        with database.transaction() as session:
            for region in ("north", "south"):
                series = {"series": f"orders|region={region}", "dimensions": f'{{"region": "{region}"}}'}
                session.add(Alert(detector="series", **series, **at, **figures, **moments))

    def test_are_counted_with_the_worst_to_look_at(self, tell: Tell, alerted: None) -> None:
        (open_alerts,) = [each for each in tell(sales(3, [10.0, 10.0])) if each.alert_id]
        assert open_alerts.text == "2 alerts are open for this period."
        assert open_alerts.severity == "critical"
        assert open_alerts.weight == pytest.approx(2 * 10 * 10.0 * 3.0)  # 10 orders each, of 10 euros, surprising as 3

    def test_are_those_of_the_filters(self, tell: Tell, alerted: None) -> None:
        query = WEEK.with_(filters=(Filter("region", "in", ("north",)),))
        assert "One alert is open for this period." in [each.text for each in tell(sales(3, [10.0]), query)]

    def test_of_another_time_are_left_out(self, tell: Tell, alerted: None) -> None:
        query = WEEK.with_(end=NOW - timedelta(days=4))
        assert not any(each.alert_id for each in tell(sales(5, [10.0]), query))

    def test_are_not_for_who_may_not_see_alerts(self, tell: Tell, alerted: None) -> None:
        reader = Actor(1, "reader", "reader", frozenset({Permission.DATA_READ}))
        assert not any(each.alert_id for each in tell(sales(3, [10.0]), actor=reader))


@pytest.mark.parametrize("language", ["de", "es", "ar"])
def test_everything_is_said_in_the_readers_language(tell: Tell, language: str) -> None:
    lines = [*sales(10, [100.0] * 2), *sales(3, [70.0] * 3), *sales(10, [80.0], "s"), *sales(3, [20.0], "s")]
    found = tell(lines, language=language)
    assert len(found) >= 3
    for english in ("Revenue", "moved", "fell by", "order"):
        assert not any(english in each.text for each in found)


def test_who_may_not_read_data_is_told_nothing(tell: Tell) -> None:
    with pytest.raises(PermissionDenied):
        tell([], actor=Actor(1, "nobody", "none", frozenset()))
