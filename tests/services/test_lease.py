from datetime import UTC, datetime, timedelta

from nebuloviz.db import Database
from nebuloviz.services import lease

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


def test_names_differ_within_one_process() -> None:
    assert lease.own_name() != lease.own_name()
