import threading
import time
from contextvars import ContextVar

import pytest

from nebuloviz.errors import Unavailable
from nebuloviz.web import live
from nebuloviz.web.live import LiveViews

READER: ContextVar[str] = ContextVar("reader")


class Desk:
    """Views with a clock that stands, and stamps that are numbers."""

    def __init__(self) -> None:
        self.time = 0.0
        self.live = LiveViews(clock=lambda: self.time)
        self.asked = 0
        self.drawn: list[tuple[str, str]] = []
        self.wrong: Exception | None = None

    def ask(self) -> str:
        self.asked += 1
        if self.wrong:
            raise self.wrong
        return str(self.asked)

    def news(self, reader: str = "anna") -> str:
        return self.live.news(reader, self.ask)

    def look(self, name: str, reader: str = "anna") -> str:
        """What `reader` is shown of the view `name`."""

        def draw(stamp: str) -> str:
            self.drawn.append((name, stamp))
            return f"{name} as of {stamp}"

        return self.live.view(name, reader, self.ask, draw)

    def after(self, seconds: float) -> str:
        """What pages are told once `seconds` have passed and what then goes on in the background has ended."""
        self.time += seconds
        self.news()
        self.wait()
        return self.news()

    def wait(self) -> None:
        """For what goes on in the background."""
        for thread in threading.enumerate():
            if thread.name == "views":
                thread.join(30)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def work(seconds: float) -> None:
    """Takes so much of this thread's time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_what_is_looked_at_is_drawn_before_its_readers_hear_of_news(desk: Desk) -> None:
    assert desk.look("trend") == "trend as of 1"
    assert desk.look("tiles") == "tiles as of 1"
    assert desk.news() == "1"
    desk.drawn.clear()
    told: list[str] = []
    desk.live.view("last", "anna", desk.ask, lambda _stamp: told.append(desk.news()))
    assert desk.after(1) == "2"
    assert sorted(desk.drawn) == [("tiles", "2"), ("trend", "2")]
    assert told == ["1", "1"], "the news was told before all was drawn"


def test_nobody_waits_for_what_others_look_at(desk: Desk) -> None:
    goes_on, is_there = threading.Event(), threading.Event()

    def draw(stamp: str) -> None:
        if stamp != "1":
            is_there.set()
            goes_on.wait(30)

    desk.look("trend", "omar")
    desk.look("trend", "anna")
    desk.live.view("slow", "anna", desk.ask, draw)
    desk.time += 1
    desk.news("omar")
    assert is_there.wait(30)
    until = time.monotonic() + 30
    while desk.news("omar") == "1" and time.monotonic() < until:
        time.sleep(0.01)
    told = {reader: desk.news(reader) for reader in ("omar", "anna", "somebody new")}
    assert told == {"omar": "2", "anna": "1", "somebody new": "1"}
    assert desk.look("trend", "omar") == "trend as of 2"
    assert desk.look("trend", "anna") == "trend as of 1", "a page of two stamps"
    desk.live.view("slow", "omar", lambda: "", lambda _stamp: "")
    assert desk.news("omar") == "2", "who has heard it is told nothing older, whatever is opened meanwhile"
    goes_on.set()
    desk.wait()
    assert desk.news("anna") == "2"


def test_where_views_cannot_be_drawn_ahead_everybody_hears_the_news(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_to_be_had(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    desk.look("trend")
    with monkeypatch.context() as without:
        without.setattr("nebuloviz.web.live.ThreadPoolExecutor.submit", none_to_be_had)
        desk.after(1)
    assert desk.after(60) == desk.news("somebody new") == str(desk.asked)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", none_to_be_had)
        desk.after(1)
    assert desk.after(1) == str(desk.asked)


def test_nothing_is_drawn_for_who_has_left(desk: Desk) -> None:
    desk.look("trend", "omar")
    desk.live.leave("omar")
    desk.drawn.clear()
    desk.after(1)
    assert not desk.drawn


def test_what_most_look_at_comes_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_AHEAD_AT_ONCE", 1)
    for reader in ("anna", "omar", "mia"):
        desk.look("shared", reader)
    desk.look("half shared", "anna")
    desk.look("half shared", "omar")
    for number in range(20):
        desk.look(f"own {number}", f"reader {number}")
    desk.drawn.clear()
    desk.after(1)
    assert [name for name, _stamp in desk.drawn[:2]] == ["shared", "half shared"]


def test_who_has_gone_on_to_another_page_waits_for_the_former_no_longer(desk: Desk) -> None:
    desk.look("trend", "omar")
    for _ in range(7):
        desk.look("trend", "anna")
        desk.after(1)
    assert list(desk.live._views["trend"].readers) == ["anna"]


def test_is_drawn_ahead_as_whoever_looked_would_see_it(desk: Desk) -> None:
    seen: list[str] = []
    for name in ("anna", "omar"):
        token = READER.set(name)
        desk.live.view(name, name, desk.ask, lambda _stamp: seen.append(READER.get()))
        READER.reset(token)
    desk.after(1)
    assert sorted(seen) == ["anna", "anna", "omar", "omar"]


def test_what_nobody_looks_at_any_longer_is_not_drawn_again(desk: Desk) -> None:
    desk.look("trend")
    for _ in range(40):
        desk.after(1)
    assert desk.drawn[-1] == ("trend", "5")


def test_what_is_looked_at_is_drawn_ahead_however_long_there_was_no_news(desk: Desk) -> None:
    desk.look("trend")
    desk.drawn.clear()
    desk.ask = lambda: "1"  # type: ignore[method-assign]  # nothing is sold
    for _ in range(60):
        desk.after(1)
    desk.ask = lambda: "2"  # type: ignore[method-assign]
    desk.after(1)
    assert desk.drawn == [("trend", "2")]


def test_an_old_stamp_is_nothing_to_go_by(desk: Desk) -> None:
    assert desk.news() == "1"
    desk.time += 3600
    assert desk.look("trend") == "trend as of 2"


def test_news_comes_less_often_while_drawing_takes_long_and_every_second_once_it_does_not(desk: Desk) -> None:
    assert [desk.news(), desk.after(0.5), desk.after(0.5)] == ["1", "1", "2"]
    desk.live.timed(lambda: work(2))
    assert desk.after(1) == "3"
    assert 3 <= desk.live.seconds < 4
    assert [desk.after(1) for _ in range(10)] == ["3", "3", "3", "4", "4", "4", "5", "5", "6", "7"]


def test_a_view_that_fails_stops_neither_others_nor_the_news(desk: Desk) -> None:
    def fail(stamp: str) -> None:
        if stamp != "1":
            raise Unavailable("away")

    desk.look("trend")
    desk.live.view("broken", "omar", desk.ask, fail)
    assert desk.after(1) == "2"
    assert desk.drawn[-1] == ("trend", "2")


def test_who_asks_hears_why_nothing_is_known(desk: Desk) -> None:
    desk.news()
    desk.wrong = Unavailable("away")
    with pytest.raises(Unavailable):
        desk.after(1)
    desk.wrong = None
    assert desk.news() == str(desk.asked)


def test_two_views_are_drawn_ahead_at_a_time(desk: Desk) -> None:
    both = threading.Barrier(2)

    def draw(stamp: str) -> None:
        if stamp != "1":
            both.wait(30)

    for name in ("trend", "heat"):
        desk.live.view(name, "anna", desk.ask, draw)
    assert desk.after(1) == "2"
    assert not both.broken


def test_three_views_are_drawn_at_a_time(desk: Desk) -> None:
    drawing, most, all_of_them = 0, 0, threading.Barrier(3)
    lock = threading.Lock()

    def draw() -> None:
        nonlocal drawing, most
        with lock:
            drawing += 1
            most = max(most, drawing)
        all_of_them.wait(30)  # there are always three who draw
        with lock:
            drawing -= 1

    threads = [threading.Thread(target=desk.live.timed, args=(draw,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 3


def test_keeps_no_more_views_than_there_may_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_AHEAD_AT_ONCE", 1)
    for number in range(1000):
        desk.time += 0.001
        desk.look(f"view {number}")
    assert len(desk.live._views) <= 200
    desk.drawn.clear()
    desk.after(1)
    assert desk.drawn[0][0] == "view 999"
