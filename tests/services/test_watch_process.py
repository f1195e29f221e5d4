"""The process that watches: followed by another when it is lost, fed and heard, and ended with its parent."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from nebuloviz.child import Child, Parent
from nebuloviz.ingest.batch import Written
from nebuloviz.observability import SERIES_WATCHED, detection_figures, show_detection
from nebuloviz.services import watch_process
from nebuloviz.services.watch_process import Figures, Judged, WatchProcess
from tests.services.test_line_feed import NOW, sale, written

PATIENCE_SECONDS = 60.0


def watch(parent: Parent, folder: Path) -> None:
    """Writes down its process, and what it is sent; tells that it watches seven series."""
    stopping = threading.Event()
    parent.when_stopped(stopping.set)
    parent.when_sent(lambda sales: note(folder / "sent", len(sales)))
    SERIES_WATCHED.set(7)
    parent.tell(Figures(detection_figures()))
    note(folder / "pids", os.getpid())
    stopping.wait()
    note(folder / "ended", os.getpid())


def note(path: Path, number: int) -> None:
    with path.open("a") as file:
        file.write(f"{number}\n")


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def fail(parent: Parent) -> None:
    parent.tell(Judged(0))
    raise ZeroDivisionError


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hand_over_and_end(process: WatchProcess, child: Child) -> None:
    many = [sale(NOW + timedelta(microseconds=number)) for number in range(1000)]  # more than fits into a pipe
    for _ in range(30):
        process.on_written(Written("live", 0, 1, (), many))
    wait_for(child._sending.locked)
    process.stop()
    process.join(1.0)


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


@contextmanager
def running(new_child: Callable[[], Child]) -> Iterator[WatchProcess]:
    process = WatchProcess(new_child, lambda: NOW)
    process.start()
    try:
        yield process
    finally:
        process.stop()
        process.join(PATIENCE_SECONDS)
        assert process._keeper.join(PATIENCE_SECONDS)


@pytest.fixture(autouse=True)
def _own_figures() -> Iterator[None]:
    yield
    show_detection(None)


def test_one_that_is_lost_is_followed_by_another_that_is_fed_and_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch_process, "_STEADY_SECONDS", 0.0)
    lost = sample("nebuloviz_watch_lost_total")
    with running(lambda: Child(watch, tmp_path)) as process:
        wait_for(lambda: sample("nebuloviz_series_watched") == 7)
        wait_for(lambda: len(noted(tmp_path / "pids")) == 1)
        os.kill(noted(tmp_path / "pids")[0], signal.SIGKILL)
        wait_for(lambda: len(noted(tmp_path / "pids")) == 2)
        process.on_written(written(3))
        wait_for(lambda: noted(tmp_path / "sent") == [3])
    assert noted(tmp_path / "ended") == noted(tmp_path / "pids")[1:]
    assert sample("nebuloviz_watch_lost_total") == lost + 1
    assert "was lost" in caplog.text


def test_one_that_fails_at_once_is_tried_again_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    with running(lambda: Child(fail)):
        wait_for(lambda: caplog.text.count("watch process failed; it tries again") == 2)


def test_one_that_takes_nothing_in_holds_up_neither_consumers_nor_the_end(tmp_path: Path) -> None:
    child = Child(watch, tmp_path)
    with running(lambda: child) as process:
        wait_for(lambda: len(noted(tmp_path / "pids")) == 1)
        os.kill(child.pid, signal.SIGSTOP)
        others = threading.Thread(target=hand_over_and_end, args=(process, child), daemon=True)
        others.start()
        others.join(PATIENCE_SECONDS)
        assert not others.is_alive(), "who waits for a process that is stopped waits for ever"
    assert noted(tmp_path / "ended") == []
