from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.metrics.query import Query
from nebuloviz.models import AlertEvent, DetectorState, Expectation, QuarterExpectation
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.series_watch import DETECTOR
from tests.services.conftest import large_on_both_databases
from tests.services.large_shop import AFTER, LEARNED, QUARTER, START, TEN, LargeShop, catch_up


class TestALargeShop:
    def test_is_watched_by_the_quarter_of_an_hour_where_it_sells_enough(self, large_shop: LargeShop) -> None:
        watched = large_shop.watched()
        assert watched["orders"] == watched["revenue"] == watched["orders|region=north"] == "quarter_hour"
        assert watched["orders|region=south"] == "hour"

    @large_on_both_databases
    def test_hears_of_twenty_minutes_without_sales_once(self, large_shop: LargeShop) -> None:
        watcher = large_shop.watcher()
        large_shop.live(LEARNED, TEN)
        catch_up(watcher)
        large_shop.sell(TEN, TEN + QUARTER, shut=True)  # and five minutes more
        watcher.step()
        found = large_shop.alerts()
        assert {(each.state, each.bucket_start, each.created_at) for each in found} == {("open", TEN, TEN + QUARTER)}
        assert "{}" in {each.dimensions for each in found}
        assert len({each.incident_id for each in found}) == 1
        large_shop.live(TEN + QUARTER, TEN + timedelta(hours=4))
        catch_up(watcher)
        assert [each.id for each in large_shop.alerts()] == [each.id for each in found]

    def test_resolves_it_after_quiet_hours(self, large_shop: LargeShop) -> None:
        large_shop.live(LEARNED, TEN)
        large_shop.sell(TEN, TEN + QUARTER, shut=True)
        large_shop.live(TEN + QUARTER, TEN + timedelta(hours=8))
        catch_up(large_shop.watcher())
        assert {each.state for each in large_shop.alerts()} == {"resolved"}

    def test_goes_on_after_a_restart_in_the_midst_of_an_hour(self, large_shop: LargeShop) -> None:
        large_shop.live(LEARNED, TEN + QUARTER)
        catch_up(large_shop.watcher())
        before = large_shop.judged_until
        with large_shop.database.session() as session:
            trained = session.get_one(DetectorState, DETECTOR).trained_at
        large_shop.sell(TEN + QUARTER, TEN + 2 * QUARTER, shut=True)
        large_shop.watcher().step()
        assert (before, large_shop.judged_until) == (TEN + QUARTER, TEN + 2 * QUARTER)
        assert {each.created_at for each in large_shop.alerts()} == {TEN + 2 * QUARTER}
        with large_shop.database.session() as session:
            assert session.get_one(DetectorState, DETECTOR).trained_at == trained

    @large_on_both_databases
    def test_takes_an_alert_back_when_the_sales_come_late(self, large_shop: LargeShop) -> None:
        watcher = large_shop.watcher()
        large_shop.live(LEARNED, TEN)
        catch_up(watcher)
        large_shop.now = TEN + QUARTER + AFTER
        watcher.step()
        assert {each.state for each in large_shop.alerts()} == {"open"}
        large_shop.sell(TEN, TEN + QUARTER, arriving=TEN + QUARTER + 2 * AFTER)
        large_shop.now = TEN + QUARTER + 2 * AFTER
        watcher.step()
        assert {each.state for each in large_shop.alerts()} == {"resolved"}
        with large_shop.database.session() as session:
            assert session.scalar(select(AlertEvent.kind).order_by(AlertEvent.id.desc()).limit(1)) == "corrected"

    def test_shows_what_was_expected_of_each_quarter(self, large_shop: LargeShop) -> None:
        query = Query(metrics=("orders",), start=LEARNED - timedelta(days=1), end=LEARNED, grain="quarter_hour")
        with large_shop.database.session() as session:
            expected = large_shop.service.expected(session, SYSTEM, query)
            hours = session.scalar(select(func.sum(Expectation.expected)).where(Expectation.series == "orders"))
            quarters = session.scalar(
                select(func.sum(QuarterExpectation.expected)).where(QuarterExpectation.series == "orders")
            )
        assert expected is not None
        busy = expected[expected["bucket"].dt.hour == TEN.hour]
        assert busy["expected"].between(20, 40).all()
        assert (busy["expected_low"] < busy["expected"]).all()
        assert (busy["expected"] < busy["expected_high"]).all()
        assert quarters == pytest.approx(hours, rel=0.05)


class TestASlowShop:
    def test_whose_sales_come_in_bulk_is_watched_by_the_hour(self, migrated_sqlite_url: str) -> None:
        database = Database(migrated_sqlite_url)
        shop = LargeShop(database)
        shop.sell(START, LEARNED - timedelta(days=1))
        shop.sell(LEARNED - timedelta(days=1), LEARNED)  # all at midnight
        catch_up(shop.watcher())
        assert set(shop.watched().values()) == {"hour"}
        database.dispose()
