"""What keeps entries and generations, and the store in this process. The one in Redis: `shared`."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

import flask
import flask_caching

Names = Sequence[str]


class Store(Protocol):
    """Entries by name, and generations. Nothing here raises because a server is away."""

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        """The stamp (a digest of the current generations), and the entry of that name, if any."""

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None: ...

    def bump(self, generations: Names) -> None:
        """Give each of the generations a value that it never had."""

    def notice(self, generations: Names) -> None:
        """As `bump`, of a change by another process: nothing where that one has told all."""

    def try_lock(self, entry: str, seconds: int) -> bool:
        """Whether this caller may compute the entry now; no one else may until `unlock`, or for `seconds`."""

    def unlock(self, entry: str) -> None: ...

    @property
    def reachable(self) -> bool: ...

    def close(self) -> None: ...


class LocalStore:
    """A bounded number of entries in this process, none older than `max_age_seconds`: another process may have written too."""

    def __init__(self, max_entries: int, max_age_seconds: float) -> None:
        self._entries: Any = backend({"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": max_entries})
        self._max_age_seconds = max_age_seconds
        self._ends: list[tuple[float, str]] = []  # a heap: when which entry is over
        self._lock = threading.Lock()  # of the heap
        self.reachable = True
        self._generations: dict[str, int] = {}
        self._next = itertools.count(1)
        self._process = secrets.token_hex(8)

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        values = [str(self._generations.get(name, 0)) for name in generations]
        stamp = digest([self._process.encode(), "|".join(values).encode()])
        found = self._entries.get(entry) if entry else None
        if found is None:
            return stamp, None
        # flask-caching's own expiry goes by the wall clock, which can be set back.
        deadline, payload = found
        return stamp, payload if time.monotonic() < deadline else None

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None:
        age = min(float(ttl_seconds), self._max_age_seconds)
        deadline = time.monotonic() + age
        self._entries.set(entry, (deadline, payload), timeout=max(1, round(age)))
        self._let_go((deadline, entry))

    def _let_go(self, of_now: tuple[float, str]) -> None:
        """Forget what is over: flask-caching would keep it until the number of entries is reached, whatever they weigh."""
        now = time.monotonic()
        with self._lock:
            heapq.heappush(self._ends, of_now)
            while self._ends and self._ends[0][0] <= now:
                _deadline, entry = heapq.heappop(self._ends)
                found = self._entries.get(entry)
                if found is None or found[0] <= now:  # it has not been written again since
                    self._entries.delete(entry)

    def bump(self, generations: Names) -> None:
        self._generations.update(dict.fromkeys(generations, next(self._next)))

    def notice(self, generations: Names) -> None:
        self.bump(generations)

    def try_lock(self, entry: str, seconds: int) -> bool:  # noqa: ARG002 - one process needs no lock across processes
        return True

    def unlock(self, entry: str) -> None:
        """Nothing was locked."""

    def close(self) -> None:
        self._entries.clear()
        self._ends.clear()


def backend(config: dict[str, Any]) -> object:
    """flask-caching's backend for `config`. It wants a Flask app; a private one keeps it apart from the dashboard's."""
    app = flask.Flask("nebuloviz.cache")
    cache = flask_caching.Cache(app, config=config)
    return app.extensions["cache"][cache]


def digest(parts: Sequence[bytes]) -> bytes:
    return hashlib.blake2b(b"|".join(parts), digest_size=16).digest()
