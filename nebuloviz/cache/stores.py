"""Where entries and generations are kept: in this process, or in Redis with the process's own memory to fall back on."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import flask
import flask_caching
import redis
from cachelib.serializers import BaseSerializer
from redis.backoff import NoBackoff
from redis.retry import Retry

from nebuloviz.cache.nodes import ROOT, generations_changed
from nebuloviz.cache.waiting import off_loop

T = TypeVar("T")
Names = Sequence[str]

_log = logging.getLogger(__name__)

PREFIX = "nv:1:"  # the number changes with the layout of what is stored
_SIGNATURE_BYTES = 32


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
        self._entries: Any = _backend({"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": max_entries})
        self._max_age_seconds = max_age_seconds
        self._ends: list[tuple[float, str]] = []  # a heap: when which entry is over
        self._lock = threading.Lock()  # of the heap
        self.reachable = True
        self._generations: dict[str, int] = {}
        self._next = itertools.count(1)
        self._process = secrets.token_hex(8)

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        values = [str(self._generations.get(name, 0)) for name in generations]
        stamp = _digest([self._process.encode(), "|".join(values).encode()])
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


class RedisStore:
    """Entries and generations in Redis. Raises `redis.RedisError` while it does not answer."""

    def __init__(self, url: str, secret: str, timeout_seconds: float) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # a retry would double what a dead server costs
        )
        config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": self._client, "CACHE_KEY_PREFIX": PREFIX}
        self._backend: Any = _backend({**config, "CACHE_SERIALIZER": _Bytes})
        # A key of its own for this purpose, so that no signature made elsewhere with the secret is valid here.
        self._key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"nebuloviz-cache").digest()

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        names = [*generations, f"e:{entry}"] if entry else list(generations)
        values = self._backend.get_many(*names)
        sealed = values.pop() if entry else None
        if None in values:
            values = self._created(generations)
        return _digest(values), self._opened(entry, sealed) if entry and sealed else None

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None:
        self._backend.set(f"e:{entry}", self._signature(entry, payload) + payload, timeout=ttl_seconds)

    def bump(self, generations: Names) -> None:
        # Random, not counted: a counter that Redis evicted would start again at values which old entries still carry.
        self._backend.set_many({name: _token() for name in generations}, timeout=0)

    def try_lock(self, entry: str, seconds: int) -> bool:
        # Not flask-caching's `add`, which sets the expiry in a second step and could leave a lock for ever.
        return bool(self._client.set(f"{PREFIX}l:{entry}", b"", nx=True, ex=seconds))

    def unlock(self, entry: str) -> None:
        self._backend.delete(f"l:{entry}")

    def ping(self) -> None:
        self._client.ping()

    def close(self) -> None:
        self._client.close()

    def _created(self, generations: Names) -> list[bytes]:
        """The generations' values after giving one to each that had none; of several processes, the first one's stands."""
        pipe = self._client.pipeline(transaction=False)
        for name in generations:
            pipe.set(f"{PREFIX}{name}", _token(), nx=True)
        pipe.execute()
        return [value or b"" for value in self._backend.get_many(*generations)]

    def _signature(self, entry: str, payload: bytes) -> bytes:
        return hmac.digest(self._key, entry.encode() + b"\0" + payload, "sha256")

    def _opened(self, entry: str, sealed: bytes) -> bytes | None:
        """The payload, if it was this installation that stored it under this name.

        It is unpickled later on: whoever else can write to Redis must not get code run here.
        """
        signature, payload = sealed[:_SIGNATURE_BYTES], sealed[_SIGNATURE_BYTES:]
        return payload if hmac.compare_digest(signature, self._signature(entry, payload)) else None


class SharedStore:
    """`RedisStore` while it answers; while it does not, this process's memory for entries of at most `max_age_seconds`.

    The first failure opens the circuit, so that a dead server costs one timeout and not one a call. A thread then knocks every
    `retry_seconds`. As changes may have been missed meanwhile (or the server came back with old data), it makes everything in
    Redis stale before it closes the circuit.
    """

    def __init__(self, remote: RedisStore, fallback: LocalStore, retry_seconds: float = 1.0) -> None:
        self._remote = remote
        self._fallback = fallback
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._away = False
        self._closed = threading.Event()

    @property
    def reachable(self) -> bool:
        return not self._away

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        return self._either(lambda store: store.read(generations, entry))

    def write(self, entry: str, payload: bytes, ttl_seconds: int) -> None:
        self._either(lambda store: store.write(entry, payload, ttl_seconds))

    def bump(self, generations: Names) -> None:
        if not self._away:
            try:
                return off_loop(lambda: self._remote.bump(generations))
            except redis.RedisError as error:
                self._went_away(error)
        with self._lock:  # not while `_knock` ends the outage: Redis would never hear of this change
            if self._away:
                return self._fallback.bump(generations)
        return self.bump(generations)

    def notice(self, generations: Names) -> None:
        if self._away:
            self._fallback.bump(generations)

    def try_lock(self, entry: str, seconds: int) -> bool:
        return self._either(lambda store: store.try_lock(entry, seconds))

    def unlock(self, entry: str) -> None:
        self._either(lambda store: store.unlock(entry))

    def close(self) -> None:
        self._closed.set()
        self._remote.close()
        self._fallback.close()

    def _either(self, call: Callable[[RedisStore | LocalStore], T]) -> T:
        if not self._away:
            try:
                return off_loop(lambda: call(self._remote))
            except redis.RedisError as error:
                self._went_away(error)
        return call(self._fallback)

    def _went_away(self, error: redis.RedisError) -> None:
        with self._lock:
            if self._away:
                return
            self._fallback.close()  # what is left of an earlier outage
            self._away = True
        _log.warning("Redis does not answer; going on without it", extra={"reason": str(error)})
        threading.Thread(target=self._knock, name="cache-reconnect", daemon=True).start()

    def _knock(self) -> None:
        while not self._closed.wait(self._retry_seconds):
            try:
                self._remote.ping()  # outside the lock, as it may take its whole timeout
                with self._lock:
                    self._remote.bump(generations_changed(ROOT))
                    self._away = False
            except redis.RedisError:
                continue
            _log.info("Redis answers again; what it held has been made stale")
            return


class _Bytes(BaseSerializer):
    """Lets flask-caching store bytes as they are: its own way unpickles what it reads, before any signature could be checked."""

    def dumps(self, value: bytes, protocol: int = 0) -> bytes:  # noqa: ARG002 - the signature is cachelib's
        return value

    def loads(self, bvalue: bytes | None) -> bytes | None:
        return bvalue


def _backend(config: dict[str, Any]) -> object:
    """flask-caching's backend for `config`. It wants a Flask app; a private one keeps it apart from the dashboard's."""
    app = flask.Flask("nebuloviz.cache")
    cache = flask_caching.Cache(app, config=config)
    return app.extensions["cache"][cache]


def _token() -> bytes:
    return secrets.token_bytes(12)


def _digest(parts: Sequence[bytes]) -> bytes:
    return hashlib.blake2b(b"|".join(parts), digest_size=16).digest()
