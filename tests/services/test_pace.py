import threading
import time

from nebuloviz.services.pace import Pace


def work(seconds: float) -> str:
    """Takes so much of this thread's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "drawn"


def test_news_comes_less_often_while_drawing_takes_long_and_every_second_once_it_does_not() -> None:
    pace = Pace()
    assert pace.seconds == 1
    assert pace.timed(lambda: work(1.5)) == "drawn"
    pace.news()
    assert pace.seconds == 3
    found = []
    for _ in range(3):
        pace.news()
        found.append(pace.seconds)
    assert found == [2, 1, 1]


def test_two_views_are_drawn_at_a_time() -> None:
    pace, drawing, most, both = Pace(), 0, 0, threading.Barrier(2)
    lock = threading.Lock()

    def draw() -> None:
        nonlocal drawing, most
        with pace.turn():
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
