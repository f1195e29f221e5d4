"""Views that open pages show: drawn once for all who read alike, and with each piece of news again, before readers hear of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TypeVar

from nebuloviz.errors import NebuloVizError

Made = TypeVar("Made")
Stamp = str
Ask = Callable[[], Stamp]

#: Python computes one thing at a time: more of them at once would only make small questions wait, and take memory. Two that are
#: drawn ahead leave no time unused while the database is asked, and one more is drawn for whoever cannot wait.
_AHEAD_AT_ONCE, _AT_ONCE = 2, 3
_MIN_SECONDS, _MAX_SECONDS = 1.0, 15.0
#: Of a thread's time, for views that are drawn again because of news.
_SHARE = 2 / 3
#: Of each thread's time, for what is drawn ahead of one piece of news; what is not, is drawn for the first who looks at it.
_AHEAD_SECONDS = 3.0
#: So old a stamp is no news to anybody.
_OLD_SECONDS = 30.0
#: Who looks at a view looks again with each piece of news: where more have passed, it is closed.
_OPEN_NEWS = 4
_MAX_OPEN = 200

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _View:
    """What somebody looks at: how to draw it as of a stamp, as whoever asked last would see it.

    `readers` tells of those who look at it at which piece of news they did so last.
    """

    draw: Callable[[Stamp], object]
    context: Context
    readers: dict[Hashable, int]


class LiveViews:
    """One process's. Where drawing all that is looked at would take most of its time, news comes less often.

    A `reader` is whatever tells those who look apart. `clock` gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._views: dict[Hashable, _View] = {}  # those last that were looked at last
        self._number = 0  # of pieces of news
        self._lock = threading.Lock()  # of the views
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        self._asking = threading.Lock()
        self._drawn_seconds = 0.0
        self._told = self._before = ""
        self._due: set[Hashable] = set()  # the views that are still to be drawn as of what is told
        self._heard: set[Hashable] = set()  # the readers who know what is told, while there are such views
        self._asked_at: float | None = None
        self.seconds = _MIN_SECONDS

    def news(self, reader: Hashable, ask: Ask) -> Stamp:
        """The stamp as `reader` knows it. From time to time `ask` is asked for another; it is told to those whose views are drawn.

        Raises:
            NebuloVizError: nobody knows it, and `ask` raised.
        """
        age = self._age()
        if age < self.seconds or not self._asking.acquire(blocking=False):
            return self._known_to(reader) or ask()
        if age < _OLD_SECONDS:
            work = threading.Thread(target=copy_context().run, args=(self._go_ahead, ask), name="views", daemon=True)
            try:
                work.start()
            except RuntimeError:  # there is no thread to be had: whoever asks next tries again
                self._asking.release()
            return self._known_to(reader)
        try:
            asked_at = self._clock()
            self._tell(ask(), asked_at)
            return self._told
        finally:
            self._asking.release()

    def view(self, key: Hashable, reader: Hashable, ask: Ask, draw: Callable[[Stamp], Made]) -> Made:
        """What `draw` makes as of the stamp that `reader` knows. As long as somebody looks at `key`, it is called with the next."""
        with self._lock:
            known = self._views.pop(key, None)
            readers = known.readers if known else {}
            readers[reader] = self._number
            self._views[key] = _View(draw, copy_context(), readers)
            if len(self._views) > _MAX_OPEN:
                self._views = dict([*self._views.items()][-_MAX_OPEN // 2 :])
        return draw(self.news(reader, ask))

    def leave(self, reader: Hashable) -> None:
        """Nothing is drawn for `reader` any longer."""
        with self._lock:
            for view in self._views.values():
                view.readers.pop(reader, None)

    def timed(self, draw: Callable[[], Made]) -> Made:
        """What `draw` makes, in its turn; how much of this thread's time it took counts."""
        with self._turn:
            start = time.thread_time()
            try:
                return draw()
            finally:
                with self._lock:
                    self._drawn_seconds += time.thread_time() - start

    def _age(self) -> float:
        return float("inf") if self._asked_at is None else self._clock() - self._asked_at

    def _known_to(self, reader: Hashable) -> Stamp:
        """Who looks at nothing that is known waits for all: what they ask for may be on its way, and should not be drawn twice.

        Who has heard the news once is not told of older ones.
        """
        with self._lock:
            if reader not in self._heard:
                mine = {key for key, view in self._views.items() if reader in view.readers}
                if self._due & mine if mine else self._due:
                    return self._before
                self._heard.add(reader)
            return self._told

    def _go_ahead(self, ask: Ask) -> None:
        """Draw anew what is looked at, and tell the news to whom it is drawn for. Takes over, and lets go of, the right to ask."""
        asked_at = self._clock()
        try:
            stamp = ask()
            if stamp != self._told:
                self._draw_ahead(stamp)
            self._tell(stamp, asked_at)
        except NebuloVizError:
            self._asked_at = None  # whoever asks next asks for oneself, and hears why nothing is known
        except Exception:  # noqa: BLE001 - a thread's own end: what it was is in the log
            self._asked_at = None
            _log.exception("Views could not be drawn ahead")
        finally:
            with self._lock:
                self._due = set()
            self._asking.release()

    def _draw_ahead(self, stamp: Stamp) -> None:
        """What most look at comes first, then what was looked at last, as long as there is time."""
        with self._lock:
            self._number += 1
            for view in self._views.values():
                view.readers = {who: last for who, last in view.readers.items() if self._number - last <= _OPEN_NEWS}
            self._views = {key: view for key, view in self._views.items() if view.readers}
            views = [*reversed(self._views.items())]
            views.sort(key=lambda item: -len(item[1].readers))
            self._due, self._heard = {key for key, _view in views}, set()
            self._before, self._told = self._told, stamp
        with ThreadPoolExecutor(_AHEAD_AT_ONCE, "views") as threads:
            for key, view in views:
                threads.submit(self._draw_one, key, view, stamp)

    def _draw_one(self, key: Hashable, view: _View, stamp: Stamp) -> None:
        try:
            _draw_in_time(view, stamp)
        finally:
            with self._lock:
                self._due.discard(key)

    def _tell(self, stamp: Stamp, asked_at: float) -> None:
        """How much was drawn since the last news says how long this should hold; shorter only by little."""
        fitting = min(max(_MIN_SECONDS, self._drawn_seconds / _SHARE), _MAX_SECONDS)
        self.seconds = max(fitting, self.seconds - 1)
        self._drawn_seconds = 0.0
        self._told, self._asked_at = stamp, asked_at


def _draw_in_time(view: _View, stamp: Stamp) -> None:
    """In a thread that draws nothing but views of one piece of news."""
    if time.thread_time() > _AHEAD_SECONDS:
        return
    try:
        view.context.run(view.draw, stamp)
    except Exception:  # noqa: BLE001 - it is drawn for whoever looks next, who hears of it
        _log.debug("A view could not be drawn ahead", exc_info=True)
