"""How often open pages hear of news, and how many of their views are drawn at once: as this process can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

Made = TypeVar("Made")

#: Python computes one thing at a time: more of them at once would only make small questions wait, and take memory.
_AT_ONCE = 2
_LEAST_SECONDS, _MOST_SECONDS = 1, 15
#: Of a thread's time, for views that are drawn again because of news.
_SHARE = 1 / 3


class Pace:
    """One process's: pages hear of news every second, but less often where drawing what they show would take most of its time.

    All pages that hear of the same news are given the same views, so that not their number matters, but how many differ.
    """

    def __init__(self) -> None:
        self.turn = threading.BoundedSemaphore(_AT_ONCE)  # to be held while one draws
        self._asking = threading.Lock()
        self._drawn_seconds = 0.0
        self._known = ""
        self._until: datetime | None = None
        self.seconds = _LEAST_SECONDS

    def news(self, now: datetime, ask: Callable[[], str]) -> str:
        """What `ask` said last, if that was less than `seconds` before `now`; else what it says.

        While one asks, others are told what is known.
        """
        if self._until is not None and self._until - timedelta(seconds=self.seconds) <= now < self._until:
            return self._known
        if not self._asking.acquire(blocking=False):
            return self._known or ask()
        try:
            self._slow_down()
            self._known = ask()
            self._until = now + timedelta(seconds=self.seconds)
            return self._known
        finally:
            self._asking.release()

    def _slow_down(self) -> None:
        """What was drawn since the last news says how long the next should hold; shorter only by little."""
        fitting = min(max(_LEAST_SECONDS, round(self._drawn_seconds / _SHARE)), _MOST_SECONDS)
        self.seconds = max(fitting, self.seconds - 1)
        self._drawn_seconds = 0.0

    def timed(self, draw: Callable[[], Made]) -> Made:
        """What `draw` makes; how much of this thread's time it took counts."""
        start = time.thread_time()
        try:
            return draw()
        finally:
            self._drawn_seconds += time.thread_time() - start
