"""What every `Sink` promises: the list for tests, and the database on both engines."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.db import Database
from nebuloviz.ingest.sale import Reason
from nebuloviz.ingest.sinks import DatabaseSink, ListSink, Position, Sink, StaleOffset
from tests.ingest.support import NOW, TOPIC, batch, encoded, write


@pytest.fixture(params=["list", "sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    if request.param == "list":
        yield ListSink()
        return
    url = request.getfixturevalue("migrated_sqlite_url" if request.param == "sqlite" else "migrated_postgres_url")
    database = Database(url)
    yield DatabaseSink(database, ZoneInfo("UTC"), now=lambda: NOW)
    database.dispose()


class TestPositions:
    def test_there_is_none_before_something_begins(self, sink: Sink) -> None:
        assert sink.position(TOPIC, 0) is None

    def test_beginning_again_changes_nothing(self, sink: Sink) -> None:
        assert sink.begin(TOPIC, 0, 7) == Position(7)
        assert sink.begin(TOPIC, 0, 99) == Position(7)

    def test_a_stored_batch_moves_its_partition_and_no_other(self, sink: Sink) -> None:
        sink.begin(TOPIC, 0, 10)
        sink.begin(TOPIC, 1, 10)
        sink.write(batch([encoded()], start=10))
        assert sink.position(TOPIC, 0) == Position(11)
        assert sink.position(TOPIC, 1) == Position(10)

    def test_who_is_not_at_the_stored_position_is_refused_and_stores_nothing(self, sink: Sink) -> None:
        sink.begin(TOPIC, 0, 0)
        first = batch([encoded()])
        sink.write(first)
        with pytest.raises(StaleOffset):
            sink.write(batch([encoded(sale_id="s2")]))
        assert sink.position(TOPIC, 0) == Position(1)
        assert write(sink, [encoded(sale_id="s2")]).accepted == 1

    def test_a_halted_partition_says_why_until_it_goes_on(self, sink: Sink) -> None:
        sink.begin(TOPIC, 0, 3)
        sink.halt(TOPIC, 0, "bad news")
        assert sink.position(TOPIC, 0) == Position(3, "bad news")
        sink.halt(TOPIC, 0, "")
        assert sink.position(TOPIC, 0) == Position(3)

    def test_skipping_moves_the_position_unless_somebody_else_has(self, sink: Sink) -> None:
        sink.begin(TOPIC, 0, 3)
        sink.skip(TOPIC, 0, 3, 50)
        assert sink.position(TOPIC, 0) == Position(50)
        with pytest.raises(StaleOffset):
            sink.skip(TOPIC, 0, 3, 60)


class TestOutcomes:
    @pytest.mark.parametrize("split", [True, False], ids=["in two batches", "in one batch"])
    def test_a_sale_is_accepted_once(self, sink: Sink, *, split: bool) -> None:
        values = [encoded(), encoded(unit_price="2.50")]
        parts = [[value] for value in values] if split else [values]
        outcomes = [outcome.status for part in parts for outcome in write(sink, part).outcomes]
        assert outcomes == ["accepted", "duplicate"]

    @pytest.mark.parametrize("split", [True, False], ids=["in two batches", "in one batch"])
    def test_a_known_id_with_another_payload_is_rejected(self, sink: Sink, *, split: bool) -> None:
        values = [encoded(), encoded(quantity=3)]
        parts = [[value] for value in values] if split else [values]
        rejected = [outcome.rejected for part in parts for outcome in write(sink, part).outcomes]
        assert rejected[0] is None
        assert rejected[1] is not None
        assert rejected[1].reason == Reason.CONFLICT

    def test_a_repeat_behind_another_payload_is_still_a_repeat(self, sink: Sink) -> None:
        write(sink, [encoded()])
        outcomes = write(sink, [encoded(quantity=3), encoded()]).outcomes
        assert [outcome.status for outcome in outcomes] == ["rejected", "duplicate"]

    def test_the_same_sale_on_two_partitions_counts_once(self, sink: Sink) -> None:
        assert write(sink, [encoded()], partition=0).accepted == 1
        assert write(sink, [encoded()], partition=1).duplicates == 1

    def test_a_bad_record_does_not_harm_its_neighbours(self, sink: Sink) -> None:
        written = write(sink, [encoded(sale_id="a"), b"{", None, encoded(sale_id="b")])
        assert [outcome.status for outcome in written.outcomes] == ["accepted", "rejected", "rejected", "accepted"]
        assert (written.accepted, written.duplicates, written.rejected) == (2, 0, 2)

    def test_only_new_sales_and_their_days_are_told(self, sink: Sink) -> None:
        write(sink, [encoded(sale_id="a")])
        written = write(sink, [encoded(sale_id="a"), encoded(sale_id="b", sold_at="2026-02-01T12:00:00Z")])
        assert [sale.sale_id for sale in written.sales] == ["b"]
        assert [day.isoformat() for day in written.days] == ["2026-02-01"]

    def test_a_batch_of_nothing_new_still_moves_the_position(self, sink: Sink) -> None:
        write(sink, [encoded()])
        assert write(sink, [encoded(), b"{"]).days == frozenset()
        assert sink.position(TOPIC, 0) == Position(3)


def test_a_position_survives_its_writer(migrated_url: str) -> None:
    def sink() -> DatabaseSink:
        return DatabaseSink(Database(migrated_url), ZoneInfo("UTC"), now=lambda: NOW)

    write(sink(), [encoded()])
    assert sink().position(TOPIC, 0) == Position(1)
    assert write(sink(), [encoded()]).duplicates == 1
