"""The watch over series goes on: after a stop or a kill, in another process, anew, and in a shop that has just begun."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from nebuloviz.db import Database
from nebuloviz.detection.grained_watch import GrainedWatch
from nebuloviz.models import Alert, DetectorState, ImportJob
from nebuloviz.services import series_watch
from nebuloviz.services.series_watch import DETECTOR, SeriesWatcher
from nebuloviz.services.watch_process import LEASE_LIFE
from nebuloviz.services.watching import StoredState
from tests.services.conftest import on_both_databases
from tests.services.watched_shop import (
    LEARNED,
    NOON,
    QUICK,
    START,
    Shop,
    alerts,
    catch_up,
    events,
    outage,
    payloads,
    sell_and_watch,
    state,
    write,
)


class TestRestart:
    @on_both_databases
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

    @on_both_databases
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
    @on_both_databases
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

    @on_both_databases
    def test_who_stops_hands_over_at_once(self, shop: Shop) -> None:
        one, other = shop.watcher(), shop.watcher()
        shop.sell(NOON)
        one.step()
        one.stop()
        shop.now = NOON + timedelta(hours=1, minutes=3)
        shop.sold_until = NOON
        other.step()
        assert state(shop).scored_until == NOON + timedelta(hours=1)

    @on_both_databases
    def test_who_was_away_goes_on_from_what_the_other_stored(self, shop: Shop) -> None:
        one, other = shop.watcher(), shop.watcher()
        outage(shop, one, 1)
        sell_and_watch(shop, other, 1, without="south")
        sell_and_watch(shop, one, 1, without="south")
        (alert,) = alerts(shop)
        assert alert.bucket_end == NOON + timedelta(hours=3)
        assert state(shop).scored_until == NOON + timedelta(hours=3)

    @on_both_databases
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
    @on_both_databases
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

    @on_both_databases
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
