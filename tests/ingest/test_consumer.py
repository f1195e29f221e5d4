"""The loop, without servers: sources that fail in every way that a real one can, and a sink in memory."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest import consumer as consumer_module
from nebuloviz.ingest.batch import Batch, Written
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import ListSink, Position
from nebuloviz.ingest.sources import ListSource, OutOfRange, Partition, SourceFailed, Undecodable
from nebuloviz.observability import SALES, log_names
from tests.ingest.support import NOW, TOPIC, encoded

HERE = Partition(TOPIC, 0)
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


def records(count: int, partition: int = 0, first: int = 0) -> list[Record]:
    return [
        Record(TOPIC, partition, first + number, encoded(sale_id=f"{partition}-{first + number}"))
        for number in range(count)
    ]


def consumer_of(source: ListSource, sink: ListSink, **options: Any) -> Consumer:
    return Consumer(source, sink, options.pop("options", None), now=lambda: NOW, **options)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "FIRST_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(consumer_module, "LAST_BACKOFF_SECONDS", 0.002)


class FailingSource(ListSource):
    """Raises the next of `failures` (None: nothing) at each poll, and then delivers."""

    def __init__(self, failures: list[Exception | None], given: list[Record]) -> None:
        super().__init__(given, limit=2)
        self.failures = failures

    def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return super().poll(timeout_seconds)


class FailingSink(ListSink):
    """Raises the next of `failures` at each write; with `after`, when the batch is stored already."""

    def __init__(self, failures: list[Exception | None], *, after: bool = False) -> None:
        super().__init__()
        self.failures = failures
        self.after = after

    def write(self, batch: Batch) -> Written:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None and not self.after:
            raise failure
        written = super().write(batch)
        if failure is not None:
            raise failure
        return written


def failures_counted() -> float:
    return REGISTRY.get_sample_value("nebuloviz_consumer_failures_total") or 0.0


def lost() -> OperationalError:
    return OperationalError("COMMIT", None, Exception("server closed the connection"))


class TestDelivery:
    def test_everything_of_every_partition_is_stored_in_order(self) -> None:
        source, sink = ListSource([*records(7), *records(5, partition=1)], limit=3), ListSink()
        consumer_of(source, sink).run()
        assert [sale.sale_id for sale in sink.sales if sale.sale_id[0] == "0"] == [f"0-{n}" for n in range(7)]
        assert sink.positions == {HERE: Position(7), Partition(TOPIC, 1): Position(5)}
        assert source.closed

    def test_it_starts_where_the_sink_stands(self) -> None:
        sink = ListSink()
        sink.begin(*HERE, 4)
        consumer_of(ListSource(records(6)), sink).run()
        assert [sale.sale_id for sale in sink.sales] == ["0-4", "0-5"]

    def test_offsets_may_have_gaps(self) -> None:
        sink = ListSink()
        consumer_of(ListSource([*records(2), *records(2, first=50)], limit=2), sink).run()
        assert sink.positions == {HERE: Position(52)}
        assert len(sink.sales) == 4

    def test_what_a_source_repeats_from_before_its_position_is_dropped(self) -> None:
        class Repeating(ListSource):
            def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
                return {where: [records(1)[0], *found] for where, found in super().poll(timeout_seconds).items()}

        sink = ListSink()
        consumer_of(Repeating(records(6), limit=2), sink).run()
        assert len(sink.sales) == 6
        assert sink.positions == {HERE: Position(6)}

    def test_stored_positions_are_told_to_the_source(self) -> None:
        source = ListSource(records(4))
        consumer_of(source, ListSink()).run()
        assert source.committed == {HERE: 4}

    def test_listeners_hear_of_batches_in_order_and_cannot_break_the_loop(self) -> None:
        heard: list[int] = []

        def broken(_written: Written) -> None:
            raise ValueError

        consumer_of(
            ListSource(records(6), limit=2), ListSink(), on_written=[broken, lambda w: heard.append(w.next_offset)]
        ).run()
        assert heard == [2, 4, 6]

    def test_what_is_logged_about_a_batch_bears_its_name(self) -> None:
        names: list[str] = []
        note = [lambda _written: names.append(log_names()["request_id"])]
        consumer_of(ListSource(records(4), limit=2), ListSink(), on_written=note).run()
        assert names == [f"{TOPIC}/0@2", f"{TOPIC}/0@4"]
        assert log_names()["request_id"] == ""

    @pytest.mark.parametrize(("seconds", "limit", "waits"), [(0.2, 10, 3), (0.2, 500, 0), (0.0, 10, 0)])
    def test_few_records_are_waited_for_until_there_are_more(self, seconds: float, limit: int, waits: int) -> None:
        class Watch(threading.Event):
            waited: ClassVar[list[float]] = []

            def wait(self, timeout: float | None = None) -> bool:
                self.waited.append(timeout or 0.0)
                return False

        Watch.waited.clear()
        sink = ListSink()
        source = ListSource(records(30 if limit == 10 else 1000), limit=limit)
        consumer = consumer_of(source, sink, options=ConsumerOptions(gather_seconds=seconds))
        consumer._stop = Watch()
        consumer.run()
        assert len(sink.sales) == (30 if limit == 10 else 1000)
        assert len(Watch.waited) == waits
        assert all(0 <= each <= seconds for each in Watch.waited)

    def test_the_horizon_is_applied(self) -> None:
        sink = ListSink()
        old = Record(TOPIC, 0, 0, encoded(sold_at="2026-01-01T00:00:00Z"))
        consumer_of(ListSource([old]), sink, options=ConsumerOptions(timedelta(days=30))).run()
        assert [rejected.reason for _, rejected in sink.rejected] == ["too_late"]


class TestClock:
    def test_set_forth_and_back_by_an_hour_it_changes_neither_pace_nor_health(self) -> None:
        """Waits and deadlines go by the monotonic clock; the time of day says how old a sale is, and nothing else."""
        jumps = cycle([NOW, NOW + timedelta(hours=1), NOW - timedelta(hours=1)])
        source, sink = ListSource(records(30), limit=2), ListSink()
        consumer = Consumer(source, sink, now=lambda: next(jumps))
        consumer.run()
        assert len(sink.sales) == 30
        assert consumer.health().ok


class TestFailures:
    @pytest.mark.parametrize("after", [False, True], ids=["nothing was stored", "it was stored all the same"])
    def test_a_lost_database_is_tried_again_and_nothing_counts_twice(self, *, after: bool) -> None:
        sink = FailingSink([None, lost(), lost(), None], after=after)
        before = failures_counted()
        consumer_of(ListSource(records(9), limit=2), sink).run()
        assert [sale.sale_id for sale in sink.sales] == [f"0-{number}" for number in range(9)]
        assert failures_counted() == before + 2

    def test_a_database_that_is_away_for_longer_is_waited_for(self) -> None:
        """Not only the write fails then, but also asking where to go on."""

        class Away(FailingSink):
            away = 0

            def position(self, topic: str, partition: int) -> Position | None:
                self.away -= 1
                if self.away >= 0:
                    raise lost()
                return super().position(topic, partition)

            def write(self, batch: Batch) -> Written:
                if self.failures[:1] != [None]:
                    self.away = 3
                return super().write(batch)

        sink = Away([None, lost(), None, None, None, None, None, None])
        given = [*records(4), *records(4, partition=1)]
        consumer_of(ListSource(given, limit=2), sink).run()
        assert len(sink.sales) == len(given)

    def test_a_failing_source_is_tried_again(self) -> None:
        sink = ListSink()
        consumer_of(FailingSource([SourceFailed("gone"), None, SourceFailed("gone")], records(5)), sink).run()
        assert len(sink.sales) == 5

    def test_somebody_else_writing_the_partition_is_noticed(self) -> None:
        class Overtaken(ListSink):
            def write(self, batch: Batch) -> Written:
                if batch.loaded == 2:
                    self.positions[HERE] = Position(4)
                return super().write(batch)

        sink = Overtaken()
        consumer_of(ListSource(records(6), limit=2), sink).run()
        assert [sale.sale_id for sale in sink.sales] == ["0-0", "0-1", "0-4", "0-5"]

    def test_it_gives_up_where_it_is_told_to(self) -> None:
        sink = FailingSink([lost() for _ in range(10_000)])
        with pytest.raises(OperationalError):
            consumer_of(ListSource(records(2)), sink, give_up_seconds=0.05).run()

    def test_input_that_is_of_no_use_is_not_tried_again(self) -> None:
        with pytest.raises(InvalidInput):
            consumer_of(FailingSource([InvalidInput("a bomb")], records(1)), ListSink()).run()

    def test_what_retention_removed_is_recorded_and_passed(self) -> None:
        sink = ListSink()
        sink.begin(*HERE, 1)
        consumer_of(FailingSource([OutOfRange(HERE, 1, 3, 9)], records(6)), sink).run()
        assert sink.gaps == [(TOPIC, 0, 1, 3)]
        assert [sale.sale_id for sale in sink.sales] == ["0-3", "0-4", "0-5"]

    def test_a_topic_that_was_made_anew_halts_instead_of_starting_over(self) -> None:
        sink = ListSink()
        sink.begin(*HERE, 90)
        consumer = run_until(FailingSource([OutOfRange(HERE, 90, 0, 6)], records(6)), sink, lambda: halted(sink))
        assert "created again" in consumer.health().detail
        assert sink.sales == []

    def test_what_cannot_be_decoded_three_times_halts_its_partition_only(self) -> None:
        failures: list[Exception | None] = [Undecodable(HERE, "bad CRC") for _ in range(3)]
        sink = ListSink()
        run_until(
            FailingSource(failures, [*records(4), *records(4, partition=1)]),
            sink,
            lambda: halted(sink) and len(sink.sales) == 4,
        )
        assert "offset 0 on cannot be decoded: bad CRC" in sink.positions[HERE].halted_reason
        assert {sale.sale_id[0] for sale in sink.sales} == {"1"}

    def test_what_is_decoded_at_the_second_try_halts_nothing(self) -> None:
        sink = ListSink()
        consumer_of(FailingSource([Undecodable(HERE, "bad CRC")], records(4)), sink).run()
        assert len(sink.sales) == 4
        assert not halted(sink)


def halted(sink: ListSink) -> bool:
    return bool(sink.positions[HERE].halted_reason)


def run_until(source: ListSource, sink: ListSink, condition: Any, **options: Any) -> Consumer:
    """Run in a thread, since a halted partition's records stay and the source is never exhausted."""
    consumer = consumer_of(source, sink, **options)
    sink.begin(*HERE, 0)
    consumer.start()
    assert comes(condition)
    consumer.stop()
    assert consumer.join(PATIENCE_SECONDS)
    return consumer


class TestHalting:
    def test_nothing_but_rejections_halt_the_partition(self) -> None:
        junk = [Record(TOPIC, 0, number, b"junk") for number in range(100)]
        sink = ListSink()
        run_until(ListSource(junk, limit=5), sink, lambda: halted(sink), options=ConsumerOptions(None, 20))
        assert "20 records in a row" in sink.positions[HERE].halted_reason
        assert len(sink.rejected) <= 30

    def test_a_good_record_in_between_starts_the_count_anew(self) -> None:
        mixed = [Record(TOPIC, 0, n, b"junk" if n % 10 else encoded(sale_id=str(n))) for n in range(100)]
        sink = ListSink()
        consumer_of(ListSource(mixed, limit=10), sink, options=ConsumerOptions(None, 15)).run()
        assert len(sink.sales) == 10

    def test_an_operator_sets_it_going_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer_module, "HALTED_CHECK_SECONDS", 0.01)
        sink = ListSink()
        sink.begin(*HERE, 0)
        sink.halt(*HERE, "for a reason")
        consumer = consumer_of(ListSource([*records(3), *records(1, partition=1)]), sink)
        consumer.start()
        assert comes(lambda: len(sink.sales) == 1)
        sink.halt(*HERE, "")
        assert comes(lambda: len(sink.sales) == 4)
        consumer.stop()
        assert consumer.join(PATIENCE_SECONDS)

    def test_of_every_partition_it_is_not_well_until_one_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer_module, "HALTED_CHECK_SECONDS", 0.01)
        sink = ListSink()
        for number in range(2):
            sink.begin(TOPIC, number, 0)
            sink.halt(TOPIC, number, "for a reason")
        consumer = consumer_of(ListSource([*records(1), *records(1, partition=1)]), sink)
        consumer.start()
        assert comes(lambda: not consumer.health().ok)
        assert consumer.health().detail.count("for a reason") == 2
        sink.halt(*HERE, "")
        assert comes(lambda: consumer.health().ok)
        assert consumer.health().detail.count("for a reason") == 1
        consumer.stop()
        assert consumer.join(PATIENCE_SECONDS)

    def test_of_a_partition_that_has_gone_to_another_process_is_nothing_to_this_one(self) -> None:
        class Rebalanced(ListSource):
            mine: Collection[Partition] = (HERE,)

            def assigned(self) -> Collection[Partition]:
                return self.mine

        sink, source = ListSink(), Rebalanced(records(1))
        sink.begin(*HERE, 0)
        sink.halt(*HERE, "for a reason")
        consumer = consumer_of(source, sink)
        consumer.start()
        assert comes(lambda: not consumer.health().ok)
        source.mine = ()
        health = consumer.health()
        consumer.stop()
        assert consumer.join(PATIENCE_SECONDS)
        assert (health.ok, health.detail) == (True, "")


def comes(condition: Callable[[], bool]) -> bool:
    """Whether it holds in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class TestHealth:
    def test_a_loop_that_hangs_is_not_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer_module, "STALLED_SECONDS", 0.05)
        release = threading.Event()

        class Hanging(ListSource):
            def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
                release.wait(PATIENCE_SECONDS)
                return super().poll(timeout_seconds)

        consumer = consumer_of(Hanging(records(1)), ListSink())
        consumer.start()
        assert comes(lambda: not consumer.health().ok)
        release.set()
        assert consumer.join(PATIENCE_SECONDS)

    def test_a_process_whose_loop_hangs_ends(self) -> None:
        script = (
            "import time\n"
            "from nebuloviz.ingest.consumer import Consumer\n"
            "from nebuloviz.ingest.sinks import ListSink\n"
            "from nebuloviz.ingest.sources import ListSource\n"
            "class Hanging(ListSource):\n"
            "    exhausted = False\n"
            "    def poll(self, timeout_seconds):\n"
            "        time.sleep(60)\n"
            "consumer = Consumer(Hanging([]), ListSink())\n"
            "consumer.abandon_when_stalled(0.2)\n"
            "consumer.run()\n"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=30, check=False)
        assert done.returncode == consumer_module.STALLED_EXIT_CODE
        assert b"has not answered" in done.stderr

    def test_a_database_that_does_not_answer_is_not_well_and_heals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer_module, "STALLED_SECONDS", 0.1)
        sink = FailingSink([lost() for _ in range(10_000)])
        consumer = consumer_of(ListSource(records(3)), sink)
        consumer.start()
        assert comes(lambda: "server closed the connection" in consumer.health().detail)
        assert not consumer.health().ok
        sink.failures.clear()
        assert consumer.join(PATIENCE_SECONDS)
        assert consumer.exhausted

    def test_the_log_and_metrics_count_what_was_stored(self) -> None:
        before = SALES.labels("accepted")._value.get()
        consumer_of(ListSource(records(3)), ListSink()).run()
        assert SALES.labels("accepted")._value.get() == before + 3
