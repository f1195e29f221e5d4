"""What keeps entries and generations, and the store in this process. The one in Redis: `shared`."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import flask
import flask_caching

Names = Sequence[str]


@dataclass(slots=True)
class Computation:
    """One that is under way. `as_of`: of when its answer is, by the clock of `LocalStore`; it may be put together from older ones."""

    as_of: float

    def use(self, as_of: float) -> None:
        self.as_of = min(self.as_of, as_of)


_under_way: ContextVar[Computation | None] = ContextVar("computation", default=None)


def count_age_of(as_of: float) -> None:
    """The computation under way, if there is one, is given an answer of that time."""
    if (computation := _under_way.get()) is not None:
        computation.use(as_of)


class Store(Protocol):
    """Entries by name, each beginning with the stamp that it was computed from, and generations.

    Nothing here raises because a server is away.
    """

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        """The stamp (a digest of the current generations), and the entry of that name, if any."""

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None: ...

    def bump(self, generations: Names) -> None:
        """Give each of the generations a value that it never had."""

    def notice(self, generations: Names) -> None:
        """As `bump`, of all changes by other processes since the last call: nothing where those have told all."""

    def try_lock(self, entry: str, seconds: int) -> bool:
        """Whether this caller may compute the entry now; no one else may until `unlock`, or for `seconds`."""

    def unlock(self, entry: str) -> None: ...

    def computing(self) -> AbstractContextManager[Computation]:
        """Around all that is read for an entry, and its `write`: it is as old as the oldest of that."""

    @property
    def reachable(self) -> bool: ...

    def version(self) -> str:
        """Of the server that keeps it all; '' where there is none, or it does not say."""

    def close(self) -> None: ...


class LocalStore:
    """A bounded number of entries in this process.

    Another process may write too: none is believed for longer than `max_age_seconds` after its computation began or changes of
    others were last heard of (`notice`); what is computed from other entries is as old as the oldest of them. None is kept that
    nobody has read for so long. `clock` gives seconds that never go back.
    """

    def __init__(self, max_entries: int, max_age_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: Any = backend({"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": max_entries})
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._heard_at = float("-inf")
        self._read_at: dict[str, float] = {}
        self._looks: list[tuple[float, str]] = []  # a heap: when to see whether which entry is over
        self._lock = threading.Lock()  # of these two: each entry has one look, as long as it is there
        self.reachable = True
        self._generations: dict[str, int] = {}
        self._next = itertools.count(1)
        self._process = secrets.token_hex(8)

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        values = [str(self._generations.get(name, 0)) for name in generations]
        stamp = digest([self._process.encode(), "|".join(values).encode()])
        found = self._entries.get(entry) if entry else None
        if entry is None or found is None:
            return stamp, None
        # flask-caching's own expiry goes by the wall clock, which can be set back.
        made, deadline, payload = found
        now, as_of = self._clock(), max(made, self._heard_at)
        if now >= min(deadline, as_of + self._max_age_seconds):
            return stamp, None
        if payload.startswith(stamp):  # else it is of no use
            count_age_of(as_of)
        with self._lock:
            if entry in self._read_at:
                self._read_at[entry] = now
        return stamp, payload

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None:
        now, computation = self._clock(), _under_way.get()
        made = now if computation is None else computation.as_of
        self._entries.set(entry, (made, now + ttl_seconds, payload), timeout=max(1, ttl_seconds))
        with self._lock:
            if entry not in self._read_at:
                heapq.heappush(self._looks, (now + min(ttl_seconds, self._max_age_seconds), entry))
            self._read_at[entry] = now
        self._let_go(now)

    def _let_go(self, now: float) -> None:
        """Forget what is over: flask-caching would keep it until the number of entries is reached, whatever they weigh."""
        with self._lock:
            while self._looks and self._looks[0][0] <= now:
                _look, entry = heapq.heappop(self._looks)
                found = self._entries.get(entry)
                end = min(found[1], self._read_at.get(entry, 0.0) + self._max_age_seconds) if found else now
                if end > now:
                    heapq.heappush(self._looks, (end, entry))
                else:
                    self._entries.delete(entry)
                    self._read_at.pop(entry, None)

    def bump(self, generations: Names) -> None:
        self._generations.update(dict.fromkeys(generations, next(self._next)))

    def notice(self, generations: Names) -> None:
        self.bump(generations)
        self._heard_at = self._clock()

    def try_lock(self, entry: str, seconds: int) -> bool:  # noqa: ARG002 - one process needs no lock across processes
        return True

    def unlock(self, entry: str) -> None:
        """Nothing was locked."""

    def version(self) -> str:
        return ""

    @contextmanager
    def computing(self) -> Iterator[Computation]:
        own = Computation(self._clock())
        token = _under_way.set(own)
        try:
            yield own
        finally:
            _under_way.reset(token)
            count_age_of(own.as_of)

    def close(self) -> None:
        self._entries.clear()
        with self._lock:
            self._looks.clear()
            self._read_at.clear()


def backend(config: dict[str, Any]) -> object:
    """flask-caching's backend for `config`. It wants a Flask app; a private one keeps it apart from the dashboard's."""
    app = flask.Flask("nebuloviz.cache")
    cache = flask_caching.Cache(app, config=config)
    return app.extensions["cache"][cache]


def digest(parts: Sequence[bytes]) -> bytes:
    return hashlib.blake2b(b"|".join(parts), digest_size=16).digest()
