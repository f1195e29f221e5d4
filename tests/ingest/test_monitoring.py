"""What Prometheus sees of a consumer."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import REGISTRY

from nebuloviz.db import Database
from nebuloviz.ingest import monitoring
from nebuloviz.ingest.batch import Batch, Written
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.monitoring import ConsumerFigures
from nebuloviz.ingest.sale import Record
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import ListSource, Partition
from tests.figures import Growth
from tests.ingest.support import NOW, encoded

NUMBER = 4711  # a partition that no other test has


def seen(name: str, partition: int = NUMBER) -> float | None:
    return REGISTRY.get_sample_value(f"nebuloviz_consumer_{name}", {"partition": str(partition)})


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ConsumerFigures:
    monkeypatch.setattr(monitoring, "_SHOWN_SECONDS_APART", 0.0)
    return ConsumerFigures()


def test_a_partition_of_which_nothing_is_stored_yet_has_stood_still_since_it_came(figures: ConsumerFigures) -> None:
    began = time.time()
    figures.show({Partition("sales", NUMBER): 7}, 0)
    first = seen("progress_timestamp_seconds")
    figures.show({Partition("sales", NUMBER): 9}, 0)
    assert first is not None
    assert first >= began
    assert (seen("lag_records"), seen("progress_timestamp_seconds")) == (9, first)


def test_a_partition_that_has_gone_to_another_process_is_forgotten(figures: ConsumerFigures) -> None:
    figures.show({Partition("sales", NUMBER): 7}, 0)
    figures.progress(Partition("sales", NUMBER))
    figures.show({Partition("sales", NUMBER + 1): 1}, 0)
    assert (seen("lag_records"), seen("progress_timestamp_seconds")) == (None, None)
    assert seen("lag_records", NUMBER + 1) == 1
    figures.show({}, 0)


def test_sales_are_counted_as_they_are_stored_and_what_is_none_by_its_reason(database: Database) -> None:
    wrong = [
        b"{", b"[]", b"\xff", None, encoded(sale_id=None), encoded(unit_price="many"), encoded(quantity=1e30),
        encoded(sold_at="2026-04-30T00:00:00Z"), encoded(sale_id="a0", unit_price=99), encoded(sale_id="b", currency="CHF"),
    ]  # fmt: skip
    values = [
        *(encoded(sale_id=f"a{number}") for number in range(7)),
        *(encoded(sale_id="a1") for _ in range(3)),
        *wrong,
    ]
    source = ListSource([Record("sales", 0, offset, value) for offset, value in enumerate(values)], limit=8)
    since = Growth()
    Consumer(source, DatabaseSink(database, ZoneInfo("UTC"), "EUR"), now=lambda: NOW).run()
    assert since.of("sales_total") == {("accepted",): 7, ("duplicate",): 3, ("rejected",): 10}
    assert since.of("sales_rejected_total") == {
        ("malformed",): 3, ("empty",): 1, ("missing_field",): 1, ("invalid_number",): 1, ("number_range",): 1,
        ("future",): 1, ("conflict",): 1, ("currency",): 1,
    }  # fmt: skip
    assert since.of("batch_sales_count") == since.of("batch_commit_seconds_count") == {(): 3}
    assert since.of("batch_sales_sum") == {(): 20}
    assert since.of("batch_sales_bucket")[("10.0",)] == 3


def test_a_batch_that_must_be_stored_again_is_a_failure_and_counted_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, failures = DatabaseSink(database, ZoneInfo("UTC"), "EUR"), iter([ConnectionError("gone")])
    write = sink.write

    def write_or_fail(batch: Batch) -> Written:
        for failure in failures:
            raise failure
        return write(batch)

    monkeypatch.setattr(sink, "write", write_or_fail)
    monkeypatch.setattr("nebuloviz.ingest.consumer.FIRST_BACKOFF_SECONDS", 0.001)
    since = Growth()
    Consumer(ListSource([Record("sales", 0, 0, encoded())], limit=8), sink, now=lambda: NOW).run()
    assert (since.of("consumer_failures_total"), since.of("sales_total")) == ({(): 1}, {("accepted",): 1})
