from datetime import UTC, datetime, timedelta

import pytest

from nebuloviz.bootstrap.watches import ELECTION_SECONDS
from nebuloviz.db import Database
from nebuloviz.services import lease
from nebuloviz.services.watch_process import LEASE_LIFE

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
LIFE = timedelta(seconds=12)


def hold(database: Database, holder: str, seconds: float = 0, task: str = "watch") -> bool:
    with database.transaction() as session:
        return lease.hold(session, task, holder, NOW + timedelta(seconds=seconds), LIFE)


class TestHolding:
    def test_the_first_who_asks_gets_it_and_keeps_it_by_renewing(self, database: Database) -> None:
        assert hold(database, "a")
        assert hold(database, "a", 10)
        assert hold(database, "a", 20)

    def test_no_second_holder_while_it_lives(self, database: Database) -> None:
        hold(database, "a")
        assert not hold(database, "b", 11.9)

    def test_who_stops_renewing_loses_it(self, database: Database) -> None:
        hold(database, "a")
        assert hold(database, "b", 12)
        assert not hold(database, "a", 13)

    def test_a_renewal_counts_from_its_own_moment(self, database: Database) -> None:
        hold(database, "a")
        hold(database, "a", 10)
        assert not hold(database, "b", 21)
        assert hold(database, "b", 22)

    def test_a_transaction_that_fails_has_taken_nothing(self, database: Database) -> None:
        with database.session() as session:
            assert lease.hold(session, "watch", "a", NOW, LIFE)
        assert hold(database, "b")

    def test_tasks_are_held_apart(self, database: Database) -> None:
        assert hold(database, "a", task="watch")
        assert hold(database, "b", task="digest")


class TestRelease:
    def test_the_next_need_not_wait(self, database: Database) -> None:
        hold(database, "a")
        with database.transaction() as session:
            lease.release(session, "watch", "a", NOW)
        assert hold(database, "b", 0.1)

    def test_only_the_holder_can_give_it_up(self, database: Database) -> None:
        hold(database, "a")
        with database.transaction() as session:
            lease.release(session, "watch", "b", NOW)
        assert not hold(database, "b", 0.1)


class TestTheWatchIsTakenOver:
    """With the times that the watches have, and a clock of the test's own: what a busy machine adds is not in it."""

    PROMISED_SECONDS, LOADING_SECONDS = 15, 3  # what the next one needs from its election to its first look

    def kept(self, database: Database, holder: str, seconds: float) -> bool:
        return lease.keep(database, "watch", holder, NOW + timedelta(seconds=seconds), LEASE_LIFE)

    @pytest.mark.parametrize("behind", [0.1, 0.5, 0.9], ids="{:.0%} of a round behind".format)
    @pytest.mark.parametrize("signs_of_life", range(8))
    def test_in_time_whenever_its_holder_is_lost(self, database: Database, signs_of_life: int, behind: float) -> None:
        for number in range(signs_of_life + 1):
            assert self.kept(database, "lost", number * ELECTION_SECONDS)
            assert not self.kept(database, "next", (number + behind) * ELECTION_SECONDS)
        lost = signs_of_life * ELECTION_SECONDS
        waited = next(
            seconds
            for seconds in (lost + (number + behind) * ELECTION_SECONDS for number in range(1, 100))
            if self.kept(database, "next", seconds)
        )
        assert waited - lost <= self.PROMISED_SECONDS - self.LOADING_SECONDS

    def test_and_never_from_a_holder_that_misses_one_round(self, database: Database) -> None:
        for number in range(0, 40, 2):
            assert self.kept(database, "slow", number * ELECTION_SECONDS)
            assert not self.kept(database, "next", (number + 1.9) * ELECTION_SECONDS)


def test_names_differ_within_one_process() -> None:
    assert lease.own_name() != lease.own_name()
