"""What Prometheus sees of a consumer."""

from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY

from nebuloviz.ingest import monitoring
from nebuloviz.ingest.monitoring import ConsumerFigures
from nebuloviz.ingest.sources import Partition

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
