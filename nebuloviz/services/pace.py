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
_LEAST_SECONDS, _MOST_SECONDS = 1, 10
#: News comes at most once in so many times what it takes to draw a view; a page has eight.
_VIEWS = 20
_WEIGHT = 0.1  # of the newest view in the mean


class Pace:
    """One process's: idle, pages hear of news every second; where many are open and drawing takes long, less often.

    All pages that hear of the same news are given the same views, so that their number matters little.
    """

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._mean = 0.0

    def seconds(self) -> int:
        """How long the answer to "is there news?" holds."""
        return round(min(max(_LEAST_SECONDS, _VIEWS * self._mean), _MOST_SECONDS))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until one may draw."""
        with self._turns:
            yield

    def timed(self, draw: Callable[[], Made]) -> Made:
        """What `draw` makes; how long it took counts."""
        start = time.monotonic()
        try:
            return draw()
        finally:
            self._mean += _WEIGHT * (time.monotonic() - start - self._mean)
