import threading
import time
from datetime import UTC, datetime, timedelta

from nebuloviz.services.pace import Pace

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def work(seconds: float) -> str:
    """Takes so much of this thread's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "drawn"


class Asked:
    """Says how often it was asked."""

    times = 0

    def __call__(self) -> str:
        self.times += 1
        return f"news {self.times}"


def test_news_comes_less_often_while_drawing_takes_long_and_every_second_once_it_does_not() -> None:
    pace, asked = Pace(), Asked()
    heard = [pace.news(NOON + timedelta(seconds=second), asked) for second in (0, 0.5, 1)]
    assert heard == ["news 1", "news 1", "news 2"]
    assert pace.timed(lambda: work(1.0)) == "drawn"
    heard = [pace.news(NOON + timedelta(seconds=second), asked) for second in (2, 3, 4, 5, 6, 7, 8, 9)]
    assert heard == ["news 3", "news 3", "news 3", "news 4", "news 4", "news 5", "news 6", "news 7"]


def test_a_clock_that_is_set_back_does_not_stop_news() -> None:
    pace, asked = Pace(), Asked()
    assert pace.news(NOON, asked) == "news 1"
    assert pace.news(NOON - timedelta(hours=1), asked) == "news 2"


def test_two_views_are_drawn_at_a_time() -> None:
    pace, drawing, most, both = Pace(), 0, 0, threading.Barrier(2)
    lock = threading.Lock()

    def draw() -> None:
        nonlocal drawing, most
        with pace.turn:
            with lock:
                drawing += 1
                most = max(most, drawing)
            both.wait(30)  # there are always two who draw
            with lock:
                drawing -= 1

    threads = [threading.Thread(target=draw) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 2
