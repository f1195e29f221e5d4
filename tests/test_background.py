from __future__ import annotations

import json
import logging
import re
import threading

import pytest
from sqlalchemy.exc import OperationalError

from nebuloviz.background import Repeater
from nebuloviz.observability import JsonFormatter, log_names


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
        assert done.wait(30)
        repeater.stop()
        assert repeater.join(30)

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
            assert done.wait(30)
        repeater.stop()
        assert repeater.join(30)
        (record,) = caplog.records
        assert said in record.getMessage()
        assert record.levelno == level
        assert bool(record.exc_info) is (level == logging.ERROR)  # how an outage came about stands in no traceback

    @pytest.mark.parametrize("error", [ValueError("a slip"), OperationalError("SELECT 1", {}, Exception("gone"))])
    def test_all_lines_of_a_step_bear_its_name_and_when_it_began(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        found: list[str] = []

        def step() -> bool:
            found.append(log_names()["request_id"])
            logging.getLogger("x").warning("step %d", len(found))
            if len(found) == 1:
                raise error
            repeater.stop()
            return False

        caplog.handler.setFormatter(JsonFormatter())
        repeater = Repeater("series watch", step, pause_seconds=0.01)
        repeater.start()
        assert repeater.join(30)
        lines = [json.loads(line) for line in caplog.text.splitlines()]
        first, failure, second = (line["request_id"] for line in lines if "request_id" in line)
        assert first == failure == found[0] != second
        assert re.fullmatch(r"series-watch@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first)

    def test_stops_without_waiting_for_its_pause(self) -> None:
        repeater = Repeater("test", lambda: False, pause_seconds=3600)
        repeater.start()
        repeater.stop()
        assert repeater.join(30)
