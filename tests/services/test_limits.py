"""Limits hold in bursts, across processes by Redis, and without Redis."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import RateLimitItemPerSecond

from nebuloviz.errors import TooManyRequests
from nebuloviz.services import limits
from nebuloviz.services.limits import (
    CONCURRENT_CHECKS,
    MAX_FAILURES,
    Counters,
    RequestLimiter,
    SignInGate,
    address_key,
    client_address,
)
from tests.servers import RedisServer

LIMIT = RateLimitItemPerSecond(10, 60, "test")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be busy, and Redis with it; that it does not answer is for one test."""
    monkeypatch.setattr(limits, "_REDIS_TIMEOUT_SECONDS", 30.0)


@pytest.fixture(params=["in-process", pytest.param("redis", marks=pytest.mark.servers)])
def counters(request: pytest.FixtureRequest) -> Counters:
    return Counters(request.getfixturevalue("redis_url") if request.param == "redis" else None)


class TestCounters:
    def test_count_up_and_forget(self, counters: Counters) -> None:
        assert [counters.add(LIMIT, "key").times for _ in range(3)] == [1, 2, 3]
        assert counters.read(LIMIT, "key").times == 3
        assert 0 < counters.read(LIMIT, "key").seconds_left <= 60
        assert counters.read(LIMIT, "other").times == 0
        counters.clear(LIMIT, "key")
        assert counters.read(LIMIT, "key").times == 0

    def test_are_exact_in_parallel(self, counters: Counters) -> None:
        with ThreadPoolExecutor(8) as pool:
            counted = sorted(count.times for count in pool.map(lambda _: counters.add(LIMIT, "key"), range(200)))
        assert counted == list(range(1, 201))

    def test_are_shared_through_redis(self, redis_url: str) -> None:
        one, other = Counters(redis_url), Counters(redis_url)
        one.add(LIMIT, "key")
        assert other.add(LIMIT, "key").times == 2

    @pytest.mark.faults
    def test_go_on_in_this_process_while_redis_is_down(
        self,
        redis_server: RedisServer,
        redis_url: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(limits, "_RETRY_REDIS_SECONDS", 600.0)  # however long the rest takes
        counters = Counters(redis_url)
        counters.add(LIMIT, "key")
        redis_server.kill()
        assert [counters.add(LIMIT, "key").times for _ in range(20)] == list(range(1, 21))
        assert caplog.text.count("Redis does not answer") == 1, "each of them has waited for Redis"


class TestRequestLimiter:
    def test_lets_exactly_so_many_through_in_a_burst(self, counters: Counters) -> None:
        limiter = RequestLimiter(counters, lambda: 50)

        def passes(_number: int) -> bool:
            try:
                limiter.check("user")
            except TooManyRequests as error:
                return not 0 < error.retry_after_seconds <= 60
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(passes, range(120))) == 50
        limiter.check("another user")

    def test_zero_is_no_limit(self) -> None:
        limiter = RequestLimiter(Counters(), lambda: 0)
        for _ in range(1000):
            limiter.check("user")


class TestSignInGate:
    def attempts(self, gate: SignInGate, right: list[bool], keys: tuple[str, ...] = ("account", "place")) -> list[str]:
        """What became of attempts made at once, each with a right or a wrong password."""

        def attempt(is_right: bool) -> str:
            try:
                with gate.attempt(*keys):
                    time.sleep(0.01)
                    if is_right:
                        gate.succeeded(keys[0])
                        return "signed in"
                    gate.failed(*keys)
                    return "failed"
            except TooManyRequests:
                return "refused"

        with ThreadPoolExecutor(len(right)) as pool:
            return list(pool.map(attempt, right))

    def test_of_a_burst_of_wrong_passwords_exactly_five_are_tried(self, counters: Counters) -> None:
        results = self.attempts(SignInGate(counters), [False] * 20)
        assert (results.count("failed"), results.count("refused")) == (MAX_FAILURES, 20 - MAX_FAILURES)

    def test_in_a_burst_of_right_passwords_nobody_is_refused(self, counters: Counters) -> None:
        assert self.attempts(SignInGate(counters), [True] * 20) == ["signed in"] * 20

    def test_no_more_than_two_are_checked_at_once(self) -> None:
        gate, active, most, lock = SignInGate(Counters()), 0, 0, threading.Lock()

        def attempt(number: int) -> None:
            nonlocal active, most
            with gate.attempt(f"account {number}", f"place {number}"):
                with lock:
                    active += 1
                    most = max(most, active)
                time.sleep(0.02)
                with lock:
                    active -= 1

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(attempt, range(10)))
        assert most == CONCURRENT_CHECKS

    def test_an_exception_in_a_check_gives_its_place_back(self) -> None:
        gate = SignInGate(Counters())
        for _ in range(10):
            with pytest.raises(ZeroDivisionError), gate.attempt("account", "place"):
                raise ZeroDivisionError


class TestAddress:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "trusted", "expected"),
        [
            ("10.0.0.1", [], 0, "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1"], 0, "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1"], 1, "1.1.1.1"),
            ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], 1, "1.1.1.1"),
            ("10.0.0.1", ["6.6.6.6", "1.1.1.1"], 1, "1.1.1.1"),
            ("10.0.0.1", ["6.6.6.6, 1.1.1.1, 2.2.2.2"], 2, "1.1.1.1"),
            ("10.0.0.1", ["1.1.1.1"], 2, "10.0.0.1"),
            ("10.0.0.1", [], 1, "10.0.0.1"),
            ("10.0.0.1", ["1.1.1.1:50123"], 1, "1.1.1.1"),
            ("10.0.0.1", ["[2001:db8::1]:50123"], 1, "2001:db8::1"),
            ("10.0.0.1", ["[2001:db8::1]"], 1, "2001:db8::1"),
            ("10.0.0.1", ["2001:db8::1"], 1, "2001:db8::1"),
            ("10.0.0.1", ["unknown:1"], 1, "unknown:1"),
            (None, [], 0, ""),
        ],
    )
    def test_is_what_the_trusted_proxies_saw(
        self, peer: str | None, forwarded: list[str], trusted: int, expected: str
    ) -> None:
        assert client_address(peer, forwarded, trusted) == expected

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("192.0.2.1", "192.0.2.2", False),
            ("not an address", "192.0.2.2", False),
        ],
    )
    def test_of_one_subscriber_is_one_key(self, one: str, other: str, same: bool) -> None:
        assert (address_key(one) == address_key(other)) == same
