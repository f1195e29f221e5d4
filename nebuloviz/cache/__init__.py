"""Answers kept until what they were computed from changes. Slower without it, never wrong.

    >>> november = day_nodes(date(2026, 11, 1), date(2026, 12, 1))
    >>> cache.get_or_compute(SALES, query.key, lambda: frame(query), depends=november)
    >>> cache.invalidate(day_node(date(2026, 11, 22)))  # sales of that day arrived: November is stale, October is not

`nodes` explains how a day's arrivals leave last year's answers alone.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from nebuloviz import __version__
from nebuloviz.cache.nodes import ROOT, SALES, Path, day_node, day_nodes, generations_below, generations_changed
from nebuloviz.cache.stores import LocalStore, Store, count_age_of
from nebuloviz.cache.waiting import may_wait, pause, wait_for
from nebuloviz.observability import CACHE_REQUESTS, Health

__all__ = ["ROOT", "SALES", "Cache", "Path", "day_node", "day_nodes"]

T = TypeVar("T")

DAY_SECONDS = 86_400
_STAMP_BYTES = 16
_LOCK_SECONDS = 10
_POLL_SECONDS = 0.02
_NOTHING = object()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One look-up: the entry's name, and the generations it stands or falls with."""

    entry: str
    generations: tuple[str, ...]
    ttl_seconds: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Made:
    """An answer as it is stored, and of when it is (`stores.Computation`)."""

    payload: bytes
    as_of: float


class Cache:
    """Keeps computed values by path and key, in Redis if `redis_url` is given, else in this process. Safe in all threads.

    In this process, and while Redis is away, nothing is believed for longer than `max_age_seconds` after its computation began or
    `notice` was called, because another process may have changed what it was computed from; what was computed from other answers
    is as old as the oldest of them. `secret` signs what goes to Redis. `clock` gives seconds that never go back.
    """

    def __init__(  # noqa: PLR0913 - all but one are named options
        self,
        redis_url: str | None = None,
        *,
        secret: str,
        max_entries: int = 2000,
        max_entry_bytes: int = 4_000_000,
        max_age_seconds: float = 60.0,
        wait_seconds: float = 5.0,
        timeout_seconds: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        local = LocalStore(max_entries, max_age_seconds, clock)
        self._store: Store = local
        if redis_url:
            from nebuloviz.cache.shared import RedisStore, SharedStore  # noqa: PLC0415 - a start without Redis is quicker

            self._store = SharedStore(RedisStore(redis_url, secret, timeout_seconds), local)
        self._max_entry_bytes = max_entry_bytes
        self._wait_seconds = wait_seconds
        self._flights: dict[tuple[str, bytes], Future[_Made | None]] = {}
        self._lock = threading.Lock()

    def get_or_compute(
        self,
        path: Path,
        key: str,
        compute: Callable[[], T],
        depends: Sequence[Path] | None = None,
        ttl_seconds: int = DAY_SECONDS,
        wait_seconds: float | None = None,
    ) -> T:
        """The value filed under `key` below `path`, computed if it is absent or stale.

        It is stale once `path` or a node above is invalidated, or any of `depends` (by default `path`), a node above or one
        below. Of several callers one computes while the others wait, threads and, with Redis, processes; a wait is bounded (for
        threads by `wait_seconds`, where given), and then one computes for oneself. What `compute` raises is raised and not kept.
        Each caller gets a copy of its own.

        `key` must hold all that the value depends on, the reader's scope included; `path[0]` names the branch in the metrics.
        `compute` must see everything that was committed before this call: no older database snapshot.
        """
        generations = generations_below(path, _nodes(path, depends))
        wanted = _Wanted(
            _entry(path, key), generations, ttl_seconds, self._wait_seconds if wait_seconds is None else wait_seconds
        )
        stamp, payload = self._store.read(wanted.generations, wanted.entry)
        value = _value(stamp, payload)
        outcome = "hit" if value is not _NOTHING else "error"
        try:
            if value is _NOTHING:
                value, outcome = self._once(wanted, stamp, compute)
        finally:
            CACHE_REQUESTS.labels(path[0], outcome).inc()
        return value  # type: ignore[no-any-return]  # what this key's compute returned, now or earlier

    def invalidate(self, *paths: Path) -> None:
        """Make stale, at a cost that does not grow with the cache, all below each path and all that depends on it.

        Call it after the change is committed. Never raises because Redis is away: everything is stale once it is back.
        """
        self._store.bump(_changed(paths))

    def notice(self, *paths: Path) -> None:
        """As `invalidate`, of all that other processes have changed since the last call: makes stale what this one keeps by itself.

        The rest can be believed. In Redis nothing changes, as whoever made the change has said so there.
        """
        self._store.notice(_changed(paths))

    def health(self) -> Health:
        """Whether the configured store answers."""
        if self._store.reachable:
            return Health(ok=True)
        return Health(
            ok=False, detail="Redis does not answer: check NEBULOVIZ_REDIS_URL. Answers are computed anew meanwhile."
        )

    def server_version(self) -> str:
        """Of the Redis that is configured; '' where there is none, or it does not say."""
        return self._store.version()

    def close(self) -> None:
        """Let go of connections and of what is kept in this process."""
        self._store.close()

    def _once(self, wanted: _Wanted, stamp: bytes, compute: Callable[[], Any]) -> tuple[Any, str]:
        """Compute, or take the value of the thread that is at it from the same stamp; one from an older stamp may be stale."""
        flight = (wanted.entry, stamp)
        with self._lock:
            future = self._flights.get(flight)
            leading = future is None
            if future is None:
                future = self._flights[flight] = Future()
        if leading:
            return self._lead(wanted, flight, future, compute)
        value = self._follow(future, wanted.wait_seconds)
        return (compute(), "miss") if value is _NOTHING else (value, "shared")

    def _lead(
        self, wanted: _Wanted, flight: tuple[str, bytes], future: Future[_Made | None], compute: Callable[[], Any]
    ) -> tuple[Any, str]:
        made = None
        try:
            with self._store.computing() as computation:
                value, payload, outcome = self._found_or_computed(wanted, compute)
                made = _Made(payload, computation.as_of) if payload else None
            return value, outcome
        finally:
            with self._lock:
                del self._flights[flight]
            future.set_result(made)

    def _found_or_computed(self, wanted: _Wanted, compute: Callable[[], Any]) -> tuple[Any, bytes | None, str]:
        locked, stamp, payload = self._acquired(wanted)
        value = _value(stamp, payload)
        if value is not _NOTHING:
            return value, payload, "shared"
        try:
            value = compute()
            return value, self._kept(wanted, stamp, value), "miss"
        finally:
            if locked:
                self._store.unlock(wanted.entry)

    def _follow(self, future: Future[_Made | None], seconds: float) -> Any:
        if not may_wait():
            return _NOTHING
        try:
            made = wait_for(future, seconds)
        except TimeoutError:
            return _NOTHING
        if made is None:
            return _NOTHING
        count_age_of(made.as_of)
        return _value(made.payload[:_STAMP_BYTES], made.payload)

    def _acquired(self, wanted: _Wanted) -> tuple[bool, bytes, bytes | None]:
        """Wait until no other process computes the entry: whether we hold its lock, the stamp, and what is there by then."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            locked = self._store.try_lock(wanted.entry, _LOCK_SECONDS)
            # Read after locking: who held the lock has stored the value before letting go.
            stamp, payload = self._store.read(wanted.generations, wanted.entry)
            if _fresh(stamp, payload):
                if locked:
                    self._store.unlock(wanted.entry)
                return False, stamp, payload
            if locked or time.monotonic() > deadline or not may_wait():
                return locked, stamp, None
            pause(_POLL_SECONDS)

    def _kept(self, wanted: _Wanted, stamp: bytes, value: object) -> bytes | None:
        """Store `value` as of `stamp`. What cannot be pickled is a mistake worth a log line, but not an answer withheld."""
        try:
            payload = stamp + pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError):
            _log.exception("A value cannot be cached", extra={"type": type(value).__name__})
            return None
        if len(payload) <= self._max_entry_bytes:
            self._store.write(wanted.entry, payload, wanted.ttl_seconds)
        return payload


def _changed(paths: Iterable[Path]) -> list[str]:
    return sorted({name for path in paths for name in generations_changed(path)})


def _nodes(path: Path, depends: Sequence[Path] | None) -> tuple[Path, ...]:
    return (path,) if depends is None else tuple(depends)


def _entry(path: Path, key: str) -> str:
    """A short name for the entry. With the version in it, a new release never meets an old one's pickled classes."""
    name = "\0".join((__version__, *path, "", key))
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _fresh(stamp: bytes, payload: bytes | None) -> bool:
    return payload is not None and payload[:_STAMP_BYTES] == stamp


def _value(stamp: bytes, payload: bytes | None) -> Any:
    """The value in `payload`, or `_NOTHING` if there is none or it belongs to another stamp.

    Pickle, because values are our own frozen dataclasses and frames of any shape, in which JSON would lose dates, decimals and
    tuples. It is safe as only our own bytes get here: those of this process, or from Redis with a valid signature.
    """
    if payload is None or not _fresh(stamp, payload):
        return _NOTHING
    try:
        return pickle.loads(memoryview(payload)[_STAMP_BYTES:])  # noqa: S301 - signed by us, see above
    except Exception:  # noqa: BLE001 - unpickling runs code of the value's class; what fails is computed anew
        _log.exception("A cached value cannot be read")
        return _NOTHING
