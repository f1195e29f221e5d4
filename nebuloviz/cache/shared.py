"""Entries and generations in Redis, with the process's own memory to fall back on. Loaded where a Redis is configured."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import redis
from cachelib.serializers import BaseSerializer
from redis.backoff import NoBackoff
from redis.retry import Retry

from nebuloviz.cache.nodes import ROOT, generations_changed
from nebuloviz.cache.stores import Computation, LocalStore, Names, backend, digest
from nebuloviz.cache.waiting import off_loop

T = TypeVar("T")

_log = logging.getLogger(__name__)

PREFIX = "nv:1:"  # the number changes with the layout of what is stored
_SIGNATURE_BYTES = 32


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
        self._backend: Any = backend({**config, "CACHE_SERIALIZER": _Bytes})
        # A key of its own for this purpose, so that no signature made elsewhere with the secret is valid here.
        self._key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"nebuloviz-cache").digest()

    def read(self, generations: Names, entry: str | None = None) -> tuple[bytes, bytes | None]:
        names = [*generations, f"e:{entry}"] if entry else list(generations)
        values = self._backend.get_many(*names)
        sealed = values.pop() if entry else None
        if None in values:
            values = self._created(generations)
        return digest(values), self._opened(entry, sealed) if entry and sealed else None

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

    def version(self) -> str:
        try:
            return str(self._client.info("server")["redis_version"])
        except (redis.ResponseError, KeyError):  # whoever only keeps entries there may not be allowed to ask
            return ""

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
    """`RedisStore` while it answers; while it does not, this process's memory, which believes what `LocalStore` says.

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
            self._fallback.notice(generations)

    def try_lock(self, entry: str, seconds: int) -> bool:
        return self._either(lambda store: store.try_lock(entry, seconds))

    def unlock(self, entry: str) -> None:
        self._either(lambda store: store.unlock(entry))

    def version(self) -> str:
        return self._either(lambda store: store.version())

    def computing(self) -> AbstractContextManager[Computation]:
        return self._fallback.computing()  # Redis may go away in the middle; what it holds has no age

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


def _token() -> bytes:
    return secrets.token_bytes(12)
