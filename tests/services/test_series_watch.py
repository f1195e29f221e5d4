"""What the watch over series raises, takes back and expects, as the shop sells."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, func, select, update

from nebuloviz.db import Database
from nebuloviz.detection.calendar import Calendar
from nebuloviz.models import Alert, Expectation, WatchedSeries
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.interfaces import AlertVerdict
from nebuloviz.services.series_watch import DETECTOR
from tests.figures import Growth
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import (
    LEARNED,
    NOON,
    QUICK,
    Shop,
    alerts,
    catch_up,
    events,
    outage,
    payloads,
    sell_and_watch,
    write,
)


class TestOrdinarySales:
    def test_ten_weeks_of_them_raise_next_to_nothing(self, shop: Shop) -> None:
        assert len(alerts(shop)) <= 2  # of two weeks, with one false alert a week acceptable

    def test_a_day_of_them_raises_nothing(self, shop: Shop) -> None:
        before = len(alerts(shop))
        shop.sell_hours(24)
        catch_up(shop.watcher())
        assert len(alerts(shop)) == before


class TestTheFigures:
    def test_tell_what_was_judged_and_how_many_series(self, shop: Shop) -> None:
        watcher = shop.watcher()
        catch_up(watcher)
        shop.sell_hours(2)
        since = Growth()
        began = time.time()
        catch_up(watcher)
        assert since.of("detector_seconds_count") == {("series", "score"): 1}, "two hours of one day, none trained"
        assert since.of("alerts_raised_total") == {}
        checked, watched = (
            REGISTRY.get_sample_value(f"nebuloviz_{name}")
            for name in ("detector_checked_timestamp_seconds", "series_watched")
        )
        assert began <= (checked or 0) <= time.time()
        with shop.database.session() as session:
            of_hours = select(func.count()).select_from(WatchedSeries).where(WatchedSeries.detector == DETECTOR)
            assert watched == session.scalar(of_hours)

    def test_tell_that_another_process_watches(self, shop: Shop) -> None:
        shop.watcher().step()
        shop.watcher().step()
        assert REGISTRY.get_sample_value("nebuloviz_detector_checked_timestamp_seconds") == 0


class TestAnOutage:
    def test_is_one_alert_of_its_segment(self, shop: Shop) -> None:
        outage(shop, shop.watcher())
        (alert,) = alerts(shop)
        assert (alert.metric, alert.dimensions, alert.state) == ("orders", '{"region": "south"}', "open")
        assert alert.bucket_start == NOON
        assert alert.expected is not None
        assert alert.observed < alert.expected

    def test_extends_its_alert_while_it_goes_on(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 2)
        (first,) = alerts(shop)
        sell_and_watch(shop, watcher, 2, without="south")
        (later,) = alerts(shop)
        assert (later.id, later.bucket_start) == (first.id, first.bucket_start)
        assert later.bucket_end == NOON + timedelta(hours=4)
        assert later.judged_start is not None
        assert later.judged_end is not None
        assert later.bucket_start <= later.judged_start < later.judged_end <= later.bucket_end
        assert later.score >= first.score
        assert later.version > first.version

    @on_both_databases
    def test_resolves_by_itself_after_quiet_hours(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher)
        sell_and_watch(shop, watcher, 24)
        (alert,) = alerts(shop)
        assert alert.state == "resolved"
        assert [kind for kind in events(shop) if kind != "worsened"] == ["raised", "closed"]

    @on_both_databases
    def test_found_late_is_the_same_alert(self, shop: Shop) -> None:
        shop.sell(NOON)
        shop.sell_hours(3, ["south"])
        catch_up(shop.watcher())
        (alert,) = alerts(shop)
        assert (alert.bucket_start, alert.bucket_end) == (NOON, NOON + timedelta(hours=3))

    def test_somebody_resolved_too_early_stays_theirs(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 2)
        (alert,) = alerts(shop)
        with shop.database.transaction() as session:
            shop.alerts.resolve(session, SYSTEM, alert.id)
        sell_and_watch(shop, shop.watcher(), 2, without="south")
        (later,) = alerts(shop)
        assert later.state == "resolved"
        assert later.bucket_end > alert.bucket_end

    def test_open_pages_notice_it(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 2)
        shop.sell_hours(1, ["south"])
        with shop.database.session() as session:
            before = shop.data.stamp(session, SYSTEM)
        watcher.step()
        assert alerts(shop)
        with shop.database.session() as session:
            assert shop.data.stamp(session, SYSTEM) != before


class TestSalesThatArriveLate:
    def late(self, shop: Shop, hours: int) -> None:
        """All that the south has sold in the last hours, of which nothing had arrived."""
        start = shop.sold_until - timedelta(hours=hours)
        write(shop.database, payloads(start, shop.sold_until, ["north"]), shop.now)

    @on_both_databases
    def test_take_an_alert_back(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        (before,) = alerts(shop)
        self.late(shop, 3)
        with shop.database.session() as session:
            counted = shop.alerts.counted(session, SYSTEM, before.id)
        watcher.step()
        (after,) = alerts(shop)
        assert (after.state, events(shop)[-1], after.observed) == ("resolved", "corrected", before.observed)
        assert counted is not None
        assert after.expected_low is not None
        assert before.observed < after.expected_low <= counted
        sell_and_watch(shop, watcher, 3)  # whose windows reach back to the hours that were corrected
        assert [each.state for each in alerts(shop)] == ["resolved"]

    def test_that_are_few_leave_it_open(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        write(shop.database, payloads(NOON, shop.sold_until, ["north", "shop"])[:3], shop.now)
        watcher.step()
        assert [each.state for each in alerts(shop)] == ["open"]

    def test_of_a_part_of_an_outage_leave_it_open(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 6)
        (before,) = alerts(shop)
        due = (before.expected or 0) / 2
        figures = {"expected": due, "expected_low": 0.7 * due, "expected_high": 1.5 * due}
        worst = {"judged_start": NOON, "judged_end": NOON + timedelta(hours=3)}  # of six hours
        with shop.database.transaction() as session:
            session.execute(update(Alert).values(**figures, **worst))
        write(shop.database, payloads(NOON, NOON + timedelta(hours=3), ["north"]), shop.now)
        watcher.step()
        assert [each.state for each in alerts(shop)] == ["open"]

    def test_make_an_outage_that_follows_news(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        self.late(shop, 3)
        watcher.step()
        sell_and_watch(shop, watcher, 4, without="south")
        assert [each.state for each in alerts(shop)] == ["resolved", "open"]


class TestReopened:
    @on_both_databases
    def test_is_resolved_by_hand_alone_and_takes_in_nothing_of_later(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        shop.sell_hours(21)
        catch_up(watcher)
        (first,) = alerts(shop)
        assert first.state == "resolved"
        with shop.database.transaction() as session:
            shop.alerts.reopen(session, SYSTEM, first.id)
        shop.sell_hours(24)
        catch_up(watcher)
        assert [each.state for each in alerts(shop)] == ["open"]
        shop.sell_hours(6, ["south"])
        catch_up(watcher)
        assert [each.bucket_end == first.bucket_end for each in alerts(shop)] == [True, False]


class TestVerdicts:
    """Given through the service, on alerts of the replayed stream; `test_lessons` asks what each does to the figures."""

    @on_both_databases
    def test_an_expected_outage_is_not_heard_of_again_and_teaches_nothing(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        (alert,) = alerts(shop)
        said = AlertVerdict("expected", "other", NOON + timedelta(days=1, hours=12))
        with shop.database.transaction() as session:
            shop.alerts.judge(session, SYSTEM, alert.id, said)
        sell_and_watch(shop, watcher, 30, without="south")
        assert [each.state for each in alerts(shop)] == ["resolved"]
        assert not [each for each in alerts(shop) if each.bucket_end > alert.bucket_end]

    def test_one_that_was_left_alone_goes_on(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        (alert,) = alerts(shop)
        sell_and_watch(shop, watcher, 30, without="south")
        assert [each for each in alerts(shop) if each.bucket_end > alert.bucket_end]

    @on_both_databases
    def test_a_new_normal_moves_the_range_that_is_shown(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 3)
        (alert,) = alerts(shop)
        with shop.database.transaction() as session:
            shop.alerts.judge(session, SYSTEM, alert.id, AlertVerdict("new_normal"))
        before = due(shop, NOON + timedelta(hours=4))
        sell_and_watch(shop, watcher, 1, without="south")
        assert due(shop, NOON + timedelta(hours=4)) < before / 5
        with shop.database.transaction() as session:
            shop.alerts.unjudge(session, SYSTEM, alert.id)
        sell_and_watch(shop, watcher, 1, without="south")
        assert due(shop, NOON + timedelta(hours=4)) == pytest.approx(before)


def due(shop: Shop, hour: datetime) -> float:
    """What is expected of the south in an hour."""
    with shop.database.session() as session:
        return session.get_one(Expectation, ("orders|region=south", hour)).expected


class TestExpectedRanges:
    @on_both_databases
    def test_reach_from_five_weeks_back_to_the_end_of_the_day(self, shop: Shop) -> None:
        shop.sell_hours(1)
        catch_up(shop.watcher())
        with shop.database.session() as session:
            first, last = session.execute(
                select(func.min(Expectation.bucket), func.max(Expectation.bucket)).where(Expectation.series == "orders")
            ).one()
        assert first == LEARNED - timedelta(days=35)
        assert last == LEARNED + timedelta(hours=23)

    def test_are_written_once_a_day(self, shop: Shop) -> None:
        watcher = shop.watcher()
        shop.sell_hours(1)
        watcher.step()
        with shop.database.transaction() as session:
            session.execute(delete(Expectation))
        sell_and_watch(shop, watcher, 1)
        with shop.database.session() as session:
            assert session.scalar(select(func.count()).select_from(Expectation)) == 0

    def test_hold_most_of_what_was_sold(self, shop: Shop) -> None:
        shop.sell_hours(24)
        catch_up(shop.watcher())
        with shop.database.session() as session:
            expected = session.execute(
                select(Expectation).where(Expectation.series == "orders", Expectation.bucket >= LEARNED)
            ).scalars()
            bounds = {row.bucket: (row.low, row.high) for row in expected}
        sold = {LEARNED + timedelta(hours=n): 0 for n in range(24)}
        for hour in sold:
            sold[hour] = len(payloads(hour, hour + timedelta(hours=1)))
        inside = [low - 1e-9 <= sold[hour] <= high + 1e-9 for hour, (low, high) in bounds.items()]
        assert len(inside) == 24
        assert sum(inside) >= 22


class TestDimensions:
    def test_one_with_a_single_value_is_not_watched_beside_the_total(self, database: Database) -> None:
        write(database, payloads(LEARNED - timedelta(weeks=6), LEARNED, ["north", "web"]), LEARNED)
        shop = Shop(database)
        catch_up(shop.watcher(settings=QUICK))
        with database.session() as session:
            series = set(session.scalars(select(Expectation.series)))
        assert "orders" in series
        assert "orders|category=food" in series
        assert not any("region" in name or "channel" in name for name in series)

    def test_days_are_those_of_the_shop(self, database: Database) -> None:
        write(database, payloads(LEARNED - timedelta(weeks=6), LEARNED), LEARNED)
        shop = Shop(database)
        catch_up(shop.watcher(settings=replace(QUICK, calendar=Calendar("Asia/Kolkata"))))
        with database.session() as session:
            last = session.scalar(select(func.max(Expectation.bucket)).where(Expectation.series == "orders"))
        assert last == datetime(2026, 6, 15, 18, tzinfo=UTC)  # the last hour that begins on 15 June in India, at 23:30
