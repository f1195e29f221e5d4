"""How often open pages hear of news, and how many of their views are drawn at once: as this process can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Made = TypeVar("Made")

#: Python computes one thing at a time: more of them at once would only make small questions wait, and take memory.
_AT_ONCE = 2
_LEAST_SECONDS, _MOST_SECONDS = 1, 15
#: Of a thread's time, for views that are drawn again because of news.
_SHARE = 0.5


class Pace:
    """One process's: pages hear of news every second, but less often where drawing what they show would take most of its time.

    All pages that hear of the same news are given the same views, so that not their number matters, but how many differ.
    """

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._drawn_seconds = 0.0
        self._seconds = _LEAST_SECONDS

    @property
    def seconds(self) -> int:
        """How long the answer to "is there news?" holds."""
        return self._seconds

    def news(self) -> None:
        """To be told when it is asked for anew: what was drawn since the last time says how long the next answer should hold."""
        with self._lock:
            fitting = min(max(_LEAST_SECONDS, round(self._drawn_seconds / _SHARE)), _MOST_SECONDS)
            self._seconds = max(fitting, self._seconds - 1)  # at ease: news that is heard of late is asked for late
            self._drawn_seconds = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until one may draw."""
        with self._turns:
            yield

    def timed(self, draw: Callable[[], Made]) -> Made:
        """What `draw` makes; how much of this thread's time it took counts."""
        start = time.thread_time()
        try:
            return draw()
        finally:
            with self._lock:
                self._drawn_seconds += time.thread_time() - start
