import threading

from nebuloviz.services.pace import Pace


def test_news_comes_every_second_while_drawing_is_quick_and_less_often_while_it_is_not() -> None:
    pace = Pace()
    assert pace.seconds() == 1
    assert pace.timed(lambda: "drawn") == "drawn"
    assert pace.seconds() == 1
    pace._mean = 0.2
    assert pace.seconds() == 4
    pace._mean = 60.0
    assert pace.seconds() == 10
    for _ in range(200):
        pace.timed(lambda: None)
    assert pace.seconds() == 1


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
