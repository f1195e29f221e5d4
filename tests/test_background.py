from __future__ import annotations

import logging
import threading

import pytest

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

    def test_survives_a_step_that_raises_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        calls: list[int] = []
        done = threading.Event()

        def step() -> bool:
            calls.append(1)
            if len(calls) == 1:
                raise ValueError("the database is away")
            done.set()
            return False

        repeater = Repeater("watcher", step, pause_seconds=0.01)
        with caplog.at_level(logging.ERROR):
            repeater.start()
            assert done.wait(5)
        repeater.stop()
        assert repeater.join(5)
        assert "watcher failed" in caplog.text

    def test_stops_without_waiting_for_its_pause(self) -> None:
        repeater = Repeater("test", lambda: False, pause_seconds=3600)
        repeater.start()
        repeater.stop()
        assert repeater.join(5)
