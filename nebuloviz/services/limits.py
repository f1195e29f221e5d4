"""How often: request limits, and the gate that password checks go through.

Counts are kept in Redis where there is one, so that all processes share them, and in this process otherwise. When Redis does
not answer, the process counts by itself: limits then are per process, but never off.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage

from nebuloviz.errors import TooManyRequests
from nebuloviz.i18n import gettext as _

MAX_FAILURES = 5
FAILURE_WINDOW_SECONDS = 300
CONCURRENT_CHECKS = 2  # a hash keeps a core busy for a quarter of a second
MAX_WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_FORGOTTEN_SECONDS = 60  # after which an attempt counts no more whose process has ended
_RETRY_REDIS_SECONDS = 10.0
_REDIS_TIMEOUT_SECONDS = 0.5
_MAX_WINDOWS = 20_000  # those that have ended are dropped at so many

_WITH_PORT = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened in the current window, and in how many seconds that window ends."""

    times: int
    seconds_left: int


class Counters:
    """Counts per key in windows that begin with the first event. Thread-safe, exact within a process and, by Redis, across them."""

    def __init__(self, redis_url: str | None = None) -> None:
        self._memory = _Windows()
        self._lock = threading.Lock()
        self._redis = _redis_storage(redis_url) if redis_url else None
        self._redis_again_at = 0.0

    @property
    def shared(self) -> bool:
        """Whether they are kept in Redis."""
        return self._redis is not None

    def add(self, limit: RateLimitItem, key: str, times: int = 1) -> Count:
        """Count so many more, or fewer; the answer includes it."""
        name = limit.key_for(key)
        return self._count(name, lambda storage: storage.incr(name, limit.get_expiry(), times))

    def read(self, limit: RateLimitItem, key: str) -> Count:
        """The count as it stands."""
        name = limit.key_for(key)
        return self._count(name, lambda storage: storage.get(name))

    def clear(self, limit: RateLimitItem, key: str) -> None:
        """Forget what was counted."""
        name = limit.key_for(key)
        self._run(lambda storage: storage.clear(name))

    def _count(self, name: str, operation: Callable[[_Windows | RedisStorage], int]) -> Count:
        times, ends_at = self._run(lambda storage: (operation(storage), storage.get_expiry(name)))
        return Count(times, max(1, round(ends_at - time.time())))

    def _run(self, operation: Callable[[_Windows | RedisStorage], _T]) -> _T:
        if self._redis is not None and time.monotonic() >= self._redis_again_at:
            try:
                return operation(self._redis)
            except Exception as error:  # noqa: BLE001 - whatever Redis does, limits go on in this process
                self._redis_again_at = time.monotonic() + _RETRY_REDIS_SECONDS
                _log.warning("limits are counted in this process while Redis does not answer: %s", error)
        with self._lock:
            return operation(self._memory)


class _Windows:
    """The counts of this process, as `limits`' storages answer; its own starts a thread at nearly every count, which costs more."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}  # how often, and until when by the monotonic clock

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.monotonic()
        times, ends = self._living(key, now) or (0, now + expiry)
        if len(self._windows) >= _MAX_WINDOWS:
            self._windows = {name: window for name, window in self._windows.items() if window[1] > now}
        self._windows[key] = times + amount, ends
        return times + amount

    def get(self, key: str) -> int:
        found = self._living(key, time.monotonic())
        return found[0] if found else 0

    def get_expiry(self, key: str) -> float:
        now = time.monotonic()
        found = self._living(key, now)
        return time.time() + (found[1] - now if found else 0)

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def _living(self, key: str, now: float) -> tuple[int, float] | None:
        found = self._windows.get(key)
        return found if found and found[1] > now else None


def _redis_storage(url: str) -> RedisStorage:
    return RedisStorage(
        url,
        key_prefix="nebuloviz:limits",
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of `limit` requests in a window of `window_seconds` that ends in `seconds_left`; below 0 where it is overdrawn."""

    limit: int
    left: int
    seconds_left: int
    window_seconds: int = 60

    def demand(self) -> None:
        """Raise TooManyRequests where the request was one too many."""
        if self.left < 0:
            raise TooManyRequests(_("Too many requests. Please wait a moment."), self.seconds_left)


class RequestLimiter:
    """At most `per_minute` requests a minute of one key, asked for anew each time; 0 lets all through."""

    def __init__(self, counters: Counters, per_minute: Callable[[], int]) -> None:
        self._counters = counters
        self._per_minute = per_minute

    @property
    def waits(self) -> bool:
        """Whether counting asks another server, so that no event loop should wait for it."""
        return bool(self._per_minute()) and self._counters.shared

    def count(self, keys: Mapping[str, int]) -> Allowance | None:
        """Count a request of each key, which may make so many times as many requests; the one that has least left."""
        most_of_one = self._per_minute()
        if not most_of_one:
            return None
        limits = [(key, RateLimitItemPerSecond(most_of_one * times, 60, "requests")) for key, times in keys.items()]
        counted = [(limit.amount, self._counters.add(limit, hashed(key))) for key, limit in limits]
        allowances = [Allowance(most, most - count.times, count.seconds_left) for most, count in counted]
        return min(allowances, key=lambda allowance: allowance.left)

    def check(self, key: str) -> None:
        """Count a request.

        Raises:
            TooManyRequests: it is one too many.
        """
        allowance = self.count({key: 1})
        if allowance is not None:
            allowance.demand()


class SignInGate:
    """Lets password checks through: two at a time, and never one that could be the sixth failure of its account or address.

    An attempt that would be allowed only if those under way succeed waits for them, those of other processes included. So the
    limit holds in a parallel burst, and correct passwords are not refused in one.
    """

    def __init__(
        self, counters: Counters, *, name: str = "sign-in", window_seconds: int = FAILURE_WINDOW_SECONDS
    ) -> None:
        self._counters = counters
        self._failures = RateLimitItemPerSecond(MAX_FAILURES, window_seconds, name)
        self._under_way = RateLimitItemPerSecond(MAX_FAILURES, _FORGOTTEN_SECONDS, f"{name}-under-way")
        self._changed = threading.Condition()
        self._active = 0

    @contextmanager
    def attempt(self, *keys: str) -> Iterator[None]:
        """Stand around one check; leaving it is neither failure nor success, so call `failed` or `succeeded` inside.

        Raises:
            TooManyRequests: one of `keys` has failed too often, or too many checks are waiting.
        """
        with self._changed:
            self._wait_for_turn(keys)
            self._active += 1
        try:
            yield
        finally:
            self._step_back(keys)
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def failed(self, *keys: str) -> None:
        for key in keys:
            self._counters.add(self._failures, key)

    def succeeded(self, key: str) -> None:
        """Forget the failures of an account whose owner has now signed in."""
        self._counters.clear(self._failures, key)

    def is_shut(self, key: str) -> bool:
        """Whether `key` has failed too often, and has to wait."""
        return self._counters.read(self._failures, key).times >= MAX_FAILURES

    def _wait_for_turn(self, keys: tuple[str, ...]) -> None:
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while not self._may_start(keys):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TooManyRequests(_("Too many people are signing in at the moment. Please try again shortly."), 5)
            self._changed.wait(min(left, _LOOK_SECONDS))  # no other process says when it is done

    def _may_start(self, keys: tuple[str, ...]) -> bool:
        for key in keys:
            count = self._counters.read(self._failures, key)
            if count.times >= MAX_FAILURES:
                raise TooManyRequests(
                    _("Too many failed attempts. Please wait {minutes} min.", minutes=-(-count.seconds_left // 60)),
                    count.seconds_left,
                )
        return self._active < CONCURRENT_CHECKS and self._step_forward(keys)

    def _step_forward(self, keys: tuple[str, ...]) -> bool:
        """Be one of those under way, unless all of them failing would be too many. Being counted comes before looking."""
        under_way = [self._counters.add(self._under_way, key).times for key in keys]
        failed = [self._counters.read(self._failures, key).times for key in keys]
        if all(one + other <= MAX_FAILURES for one, other in zip(under_way, failed, strict=True)):
            return True
        self._step_back(keys)
        return False

    def _step_back(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._counters.add(self._under_way, key, -1)


def account_key(name_key: str) -> str:
    return hashed(f"account:{name_key}")


def code_key(name_key: str) -> str:
    """What an account's wrong codes of the second factor count against."""
    return hashed(f"second factor:{name_key}")


def address_key(address: str) -> str:
    """The address that failures count against; of IPv6 the /64 network, which is one subscriber's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return hashed(f"address:{address}")
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return hashed(f"address:{ipaddress.ip_network((parsed, 64), strict=False)}")
    return hashed(f"address:{getattr(parsed, 'ipv4_mapped', None) or parsed}")


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str:
    """Whose request it is: the connection's other end or, behind so many trusted proxies, what the outermost of them saw.

    What stands further left in X-Forwarded-For was written by the client and is not believed.

    >>> client_address("10.0.0.1", ["1.2.3.4, 9.9.9.9"], 0), client_address("10.0.0.1", ["1.2.3.4, 9.9.9.9"], 1)
    ('10.0.0.1', '9.9.9.9')
    """
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    if not 0 < trusted_proxies <= len(hops):
        return peer or ""
    return _without_port(hops[-trusted_proxies])


def _without_port(hop: str) -> str:
    """Some proxies write down the port too, by which each connection would be somebody else's."""
    found = _WITH_PORT.fullmatch(hop)
    return (found[1] or found[2]) if found else hop


def hashed(text: str) -> str:
    """A short key for any text, so that neither length nor content can trouble the storage."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
