from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy.exc import OperationalError

from nebuloviz.background import Repeater


class TestRepeater:
    def test_goes_on_at_once_while_there_is_more_to_do(self) -> None:
        left = iter([True, True, False])
        done = threading.Event()

        def step() -> bool:
            more = next(left)
            if not more:
                done.set()
            return more

        repeater = Repeater("test", step, pause_seconds=60)
        repeater.start()
        assert done.wait(5)
        repeater.stop()
        assert repeater.join(5)

    @pytest.mark.parametrize(
        ("error", "said", "level"),
        [
            (ValueError("a slip"), "watcher failed", logging.ERROR),
            (OperationalError("SELECT 1", {}, Exception("gone")), "watcher waits for the database", logging.WARNING),
        ],
        ids=["of its own", "of the database"],
    )
    def test_survives_a_step_that_raises_and_says_so(
        self, error: Exception, said: str, level: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        calls: list[int] = []
        done = threading.Event()

        def step() -> bool:
            calls.append(1)
            if len(calls) == 1:
                raise error
            done.set()
            return False

        repeater = Repeater("watcher", step, pause_seconds=0.01)
        with caplog.at_level(logging.WARNING):
            repeater.start()
            assert done.wait(5)
        repeater.stop()
        assert repeater.join(5)
        (record,) = caplog.records
        assert said in record.getMessage()
        assert record.levelno == level
        assert bool(record.exc_info) is (level == logging.ERROR)  # how an outage came about stands in no traceback

    def test_stops_without_waiting_for_its_pause(self) -> None:
        repeater = Repeater("test", lambda: False, pause_seconds=3600)
        repeater.start()
        repeater.stop()
        assert repeater.join(5)
