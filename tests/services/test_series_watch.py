import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from nebuloviz.db import Database
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.grained_watch import GrainedWatch
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.models import Alert, AlertEvent, DetectorState, Expectation, ImportJob
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import series_watch
from nebuloviz.services.interfaces import AlertVerdict
from nebuloviz.services.series_watch import DETECTOR, SeriesWatcher
from nebuloviz.services.watch_process import LEASE_LIFE
from nebuloviz.services.watching import StoredState
from tests.services.watched_shop import LEARNED, START, Shop, payloads, write

NOON = LEARNED + timedelta(hours=12)
QUICK = WatchSettings(detector=LargestDeviation)  # trains at once


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


class TestOrdinarySales:
    def test_ten_weeks_of_them_raise_next_to_nothing(self, shop: Shop) -> None:
        assert len(alerts(shop)) <= 2  # of two weeks, with one false alert a week acceptable

    def test_a_day_of_them_raises_nothing(self, shop: Shop) -> None:
        before = len(alerts(shop))
        shop.sell_hours(24)
        catch_up(shop.watcher())
        assert len(alerts(shop)) == before


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

    def test_resolves_by_itself_after_quiet_hours(self, shop: Shop) -> None:
        watcher = shop.watcher()
        outage(shop, watcher)
        sell_and_watch(shop, watcher, 24)
        (alert,) = alerts(shop)
        assert alert.state == "resolved"
        assert [kind for kind in events(shop) if kind != "worsened"] == ["raised", "closed"]

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


class TestRestart:
    def test_goes_on_from_the_stored_state_without_training(self, shop: Shop) -> None:
        trained = state(shop)
        shop.sell(NOON)
        catch_up(shop.watcher())
        assert state(shop).scored_until == NOON
        assert (state(shop).version, state(shop).trained_at) == (trained.version, trained.trained_at)

    def test_raises_nothing_twice(self, shop: Shop) -> None:
        outage(shop, shop.watcher(), 2)
        (first,) = alerts(shop)
        sell_and_watch(shop, shop.watcher(), 1, without="south")
        (later,) = alerts(shop)
        assert later.id == first.id

    def test_finds_what_an_unbroken_run_finds(self, shop: Shop) -> None:
        learned = state(shop)
        for _ in range(4):
            shop.sell_hours(3)
            shop.watcher().step()
        shop.sell_hours(2, ["south"])
        shop.watcher().step()
        broken = figures(shop)
        with shop.database.transaction() as session:
            session.execute(delete(Alert))
            session.merge(learned)
        shop.now += LEASE_LIFE
        catch_up(shop.watcher())
        assert figures(shop) == broken != []

    @pytest.mark.parametrize("killed_in", ["feed", "apply", "_store_expected", "store"])
    def test_killed_anywhere_in_a_step_nothing_is_lost_or_doubled(
        self, shop: Shop, killed_in: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watcher = shop.watcher()
        outage(shop, watcher, 1)
        before = (state(shop).scored_until, [alert.version for alert in alerts(shop)], events(shop))
        shop.sell_hours(1, ["south"])
        with monkeypatch.context() as patch:
            kill_in(patch, killed_in)
            with pytest.raises(KeyboardInterrupt):
                watcher.step()
        assert (state(shop).scored_until, [alert.version for alert in alerts(shop)], events(shop)) == before
        watcher.step()
        (alert,) = alerts(shop)
        assert alert.bucket_end == NOON + timedelta(hours=2)
        assert alert.version == 2


def figures(shop: Shop) -> list[tuple[str, datetime, datetime, float, float]]:
    return [(each.series, each.bucket_start, each.bucket_end, each.observed, each.score) for each in alerts(shop)]


def kill_in(patch: pytest.MonkeyPatch, place: str) -> None:
    """Whatever happens between two statements of a process, to the database a kill is a connection that ends."""

    def killed(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    owner = {"feed": GrainedWatch, "store": StoredState}.get(place, series_watch)
    patch.setattr(owner, place, killed)


class TestElection:
    def test_only_one_works_and_the_other_takes_over_when_it_is_gone(self, shop: Shop) -> None:
        one, other = shop.watcher(), shop.watcher()
        shop.sell(NOON)
        one.step()
        shop.now += timedelta(seconds=1)
        shop.sell_hours(1)
        shop.now = NOON + timedelta(minutes=5) + LEASE_LIFE / 2
        other.step()
        assert state(shop).scored_until == NOON
        shop.now = NOON + timedelta(hours=1, minutes=5)
        other.step()
        assert state(shop).scored_until == NOON + timedelta(hours=1)

    def test_who_stops_hands_over_at_once(self, shop: Shop) -> None:
        one, other = shop.watcher(), shop.watcher()
        shop.sell(NOON)
        one.step()
        one.stop()
        shop.now = NOON + timedelta(hours=1, minutes=3)
        shop.sold_until = NOON
        other.step()
        assert state(shop).scored_until == NOON + timedelta(hours=1)

    def test_who_was_away_goes_on_from_what_the_other_stored(self, shop: Shop) -> None:
        one, other = shop.watcher(), shop.watcher()
        outage(shop, one, 1)
        sell_and_watch(shop, other, 1, without="south")
        sell_and_watch(shop, one, 1, without="south")
        (alert,) = alerts(shop)
        assert alert.bucket_end == NOON + timedelta(hours=3)
        assert state(shop).scored_until == NOON + timedelta(hours=3)

    def test_who_loses_the_election_in_the_midst_of_a_step_stores_nothing(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow, quick = shop.watcher(), shop.watcher()
        shop.sell(NOON)
        judge = SeriesWatcher._judge

        def overtaken(self: SeriesWatcher, *args: Any) -> Any:
            monkeypatch.undo()
            shop.now += LEASE_LIFE
            quick.step()
            return judge(self, *args)

        monkeypatch.setattr(SeriesWatcher, "_judge", overtaken)
        slow.step()
        shop.sell_hours(1)
        quick.step()
        assert state(shop).scored_until == NOON + timedelta(hours=1)
        assert len(events(shop)) == len(alerts(shop))


class TestLearningAnew:
    def test_an_import_that_ends_is_learned_from(self, shop: Shop) -> None:
        catch_up(shop.watcher())
        trained = state(shop)
        shop.now += timedelta(minutes=20)
        enter_import(shop, "done", finished_at=shop.now - timedelta(minutes=1))
        catch_up(shop.watcher())
        assert state(shop).trained_at == shop.now > trained.trained_at
        assert state(shop).scored_until == trained.scored_until
        assert len(events(shop)) == len(alerts(shop))

    def test_one_under_way_is_waited_for(self, shop: Shop) -> None:
        shop.sell(NOON)
        enter_import(shop, "running")
        shop.watcher().step()
        assert state(shop).scored_until == LEARNED

    def test_one_that_was_killed_is_not_waited_for(self, shop: Shop) -> None:
        enter_import(shop, "running")
        shop.sell(NOON)
        shop.now += timedelta(hours=1)
        shop.watcher().step()
        assert state(shop).scored_until > LEARNED

    def test_a_stream_that_has_yet_to_catch_up_is_waited_for(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(series_watch, "BACKLOG", 5)
        shop.sell(NOON)
        shop.now = NOON + timedelta(minutes=1, hours=3)
        write(shop.database, payloads(NOON, NOON + timedelta(hours=1)), shop.now)
        shop.watcher().step()
        assert state(shop).scored_until == LEARNED
        shop.now += timedelta(minutes=5)
        shop.watcher().step()
        assert state(shop).scored_until == NOON + timedelta(hours=3)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda stored: stored[:40] + bytes([stored[40] ^ 1]) + stored[41:],
            lambda stored: bytes([stored[0] ^ 1]) + stored[1:],
            lambda stored: stored[:-1],
            lambda stored: b"",
        ],
        ids=["changed", "signed otherwise", "cut", "empty"],
    )
    def test_a_state_that_is_not_ours_is_never_unpickled(self, shop: Shop, spoil: Callable[[bytes], bytes]) -> None:
        stored = state(shop).state
        assert shop.watcher()._known(stored) is not None
        assert shop.watcher()._known(spoil(stored)) is None

    def test_it_is_learned_anew_instead(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        with shop.database.transaction() as session:
            session.get_one(DetectorState, DETECTOR).state = b"tampered with"
        shop.sell(NOON)
        catch_up(shop.watcher())
        assert "not signed with this installation's secret" in caplog.text
        assert state(shop).scored_until == NOON
        assert len(events(shop)) == len(alerts(shop))

    def test_nor_is_one_that_another_secret_signed(self, shop: Shop) -> None:
        assert shop.watcher(secret="the secret of quite another installation")._known(state(shop).state) is None

    def test_other_settings_are_learned_for(self, shop: Shop) -> None:
        before = state(shop).version
        shop.sell(NOON)
        catch_up(shop.watcher(settings=QUICK))
        assert state(shop).version != before


def enter_import(shop: Shop, how: str, finished_at: datetime | None = None) -> None:
    with shop.database.transaction() as session:
        moments = {"started_at": shop.now, "updated_at": shop.now, "finished_at": finished_at}
        session.add(ImportJob(topic="file:1", name="past.csv", state=how, **moments))


class TestExpectedRanges:
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


class TestAFreshInstallation:
    def test_without_sales_nothing_is_done(self, database: Database) -> None:
        shop = Shop(database)
        assert not shop.watcher(settings=QUICK).step()
        with database.session() as session:
            assert session.get(DetectorState, DETECTOR) is None

    def test_with_little_history_learns_and_raises_nothing(self, database: Database) -> None:
        write(database, payloads(LEARNED - timedelta(days=9), LEARNED), LEARNED)
        shop = Shop(database)
        catch_up(shop.watcher(settings=QUICK))
        assert state(shop).version == "learning"
        assert alerts(shop) == []

    def test_with_history_looks_back_two_weeks_at_most(self, database: Database) -> None:
        sold = START
        for days_ago in (20, 6):
            noon = LEARNED - timedelta(days=days_ago, hours=12)
            write(database, payloads(sold, noon), LEARNED)
            sold = noon + timedelta(hours=4)
            write(database, payloads(noon, sold, ["south"]), LEARNED)
        write(database, payloads(sold, LEARNED), LEARNED)
        shop = Shop(database)
        catch_up(shop.watcher(settings=QUICK))
        assert [alert.bucket_start for alert in alerts(shop) if "south" in alert.dimensions] == [noon]
        assert all(alert.created_at >= LEARNED - timedelta(days=14) for alert in alerts(shop))


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


def test_an_hour_of_a_learned_watch_takes_well_below_a_second(shop: Shop) -> None:
    watcher = shop.watcher()
    catch_up(watcher)
    shop.sell_hours(1)
    started = time.process_time()  # of the processor, as tests share their machine
    watcher.step()
    assert time.process_time() - started < 1.0
