"""Redis shared by processes, tampered with, slow and away."""

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from typing import Any

import pytest
import redis

from nebuloviz.cache import ROOT, SALES, Cache, day_node, day_nodes
from nebuloviz.cache.shared import PREFIX
from tests.servers import RedisServer

SECRET = "a secret of more than thirty-two characters"
PATIENCE_SECONDS = 30.0  # a machine may be busy; that a server does not answer is for other tests
DAY = day_nodes(date(2026, 11, 22), date(2026, 11, 23))


@pytest.fixture
def processes(redis_url: str) -> Iterator[tuple[Cache, Cache]]:
    """Two caches that know of each other only through Redis."""
    one, other = (Cache(redis_url, secret=SECRET, timeout_seconds=PATIENCE_SECONDS) for _ in range(2))
    yield one, other
    for cache in (one, other):
        cache.close()


def soon(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class TestShared:
    def test_one_process_computes_for_all(self, processes: tuple[Cache, Cache]) -> None:
        one, other = processes
        one.get_or_compute(SALES, "key", lambda: "shared")
        assert other.get_or_compute(SALES, "key", lambda: "own") == "shared"

    def test_one_process_invalidates_for_all(self, processes: tuple[Cache, Cache]) -> None:
        one, other = processes
        one.get_or_compute(SALES, "key", lambda: "old", DAY)
        other.invalidate(day_node(date(2026, 11, 22)))
        assert one.get_or_compute(SALES, "key", lambda: "new", DAY) == "new"

    def test_of_several_processes_one_computes(self, processes: tuple[Cache, Cache]) -> None:
        runs: list[int] = []

        def slow() -> int:
            runs.append(1)
            time.sleep(0.3)
            return len(runs)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda cache: cache.get_or_compute(SALES, "key", slow), processes))
        assert (answers, len(runs)) == ([1, 1], 1)

    def test_another_processes_failure_frees_the_way(self, processes: tuple[Cache, Cache], redis_url: str) -> None:
        one, other = processes
        with redis.Redis.from_url(redis_url) as client:

            def fail() -> int:
                assert client.keys(f"{PREFIX}l:*"), "nothing keeps others from computing it too"
                return 1 // 0

            with pytest.raises(ZeroDivisionError):
                one.get_or_compute(SALES, "key", fail)
            assert not client.keys(f"{PREFIX}l:*")
        assert other.get_or_compute(SALES, "key", lambda: "well") == "well"

    def test_forgotten_generations_do_not_revive_old_values(
        self, processes: tuple[Cache, Cache], redis_url: str
    ) -> None:
        cache, _ = processes
        cache.get_or_compute(SALES, "key", lambda: "old", DAY)
        cache.invalidate(SALES)
        with redis.Redis.from_url(redis_url) as client:  # as an eviction does
            client.delete(*client.keys(f"{PREFIX}[bc]:*"))
        assert cache.get_or_compute(SALES, "key", lambda: "new", DAY) == "new"

    def test_a_hit_costs_one_round_trip(self, processes: tuple[Cache, Cache], redis_url: str) -> None:
        cache, _ = processes
        nodes = day_nodes(date(2025, 6, 3), date(2026, 11, 22))
        cache.get_or_compute(SALES, "key", int, nodes)
        with redis.Redis.from_url(redis_url) as client:
            before = client.info("commandstats")
            cache.get_or_compute(SALES, "key", int, nodes)
            after = client.info("commandstats")
        called = {name: calls["calls"] - before.get(name, {"calls": 0})["calls"] for name, calls in after.items()}
        assert {name: n for name, n in called.items() if n and name != "cmdstat_info"} == {"cmdstat_mget": 1}


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code from Redis was run",))


class TestTampering:
    @pytest.fixture
    def stored(self, redis_url: str) -> Iterator[tuple[Cache, redis.Redis, bytes, bytes]]:
        """A cache with one value, and that value's key and bytes in Redis."""
        cache = Cache(redis_url, secret=SECRET, timeout_seconds=PATIENCE_SECONDS)
        cache.get_or_compute(SALES, "key", lambda: "true")
        with redis.Redis.from_url(redis_url) as client:
            (key,) = client.keys(f"{PREFIX}e:*")
            yield cache, client, key, client.get(key)
        cache.close()

    def test_code_put_into_redis_is_not_run(self, stored: tuple[Cache, redis.Redis, bytes, bytes]) -> None:
        cache, client, key, value = stored
        for forged in (value[:48] + pickle.dumps(Bomb()), b"!" + pickle.dumps(Bomb()), pickle.dumps(Bomb()), b"", b"x"):
            client.set(key, forged)
            assert cache.get_or_compute(SALES, "key", lambda: "computed") == "computed"

    def test_a_value_cannot_be_moved_to_another_key(self, stored: tuple[Cache, redis.Redis, bytes, bytes]) -> None:
        cache, client, key, value = stored
        cache.get_or_compute(SALES, "other", lambda: "other")
        (other,) = set(client.keys(f"{PREFIX}e:*")) - {key}
        client.set(other, value)
        assert cache.get_or_compute(SALES, "other", lambda: "computed") == "computed"

    def test_another_installations_values_are_not_believed(self, redis_url: str, stored: object) -> None:
        stranger = Cache(redis_url, secret=SECRET[::-1], timeout_seconds=PATIENCE_SECONDS)
        assert stranger.get_or_compute(SALES, "key", lambda: "mine") == "mine"
        stranger.close()


class TestAway:
    @pytest.fixture
    def cache(self, redis_url: str) -> Iterator[Cache]:
        cache = Cache(redis_url, secret=SECRET)
        yield cache
        cache.close()

    def test_a_server_that_dies_in_mid_use_is_done_without(self, cache: Cache, redis_server: RedisServer) -> None:
        assert cache.get_or_compute(SALES, "key", lambda: "before", DAY) == "before"
        stop, failures = threading.Event(), []

        def use() -> None:
            n = 0
            while not stop.is_set():
                n += 1
                if cache.get_or_compute(SALES, str(n), lambda: n) != n:  # noqa: B023 - called at once
                    failures.append(n)
                cache.invalidate(day_node(date(2026, 11, 22)))

        with ThreadPoolExecutor(4) as pool:
            users = [pool.submit(use) for _ in range(4)]
            time.sleep(0.2)
            redis_server.kill()
            time.sleep(0.3)
            redis_server.start()
            assert soon(lambda: cache.health().ok)
            stop.set()
            for user in users:
                user.result()
        assert not failures
        assert cache.get_or_compute(SALES, "key", lambda: "after", DAY) == "after"

    def test_a_server_that_hangs_costs_one_timeout(self, cache: Cache, redis_server: RedisServer) -> None:
        redis_server.pause()
        start = time.monotonic()
        for n in range(200):
            cache.get_or_compute(SALES, str(n), int)
            cache.invalidate(SALES)
            assert time.monotonic() - start < PATIENCE_SECONDS  # a timeout for each of its questions is 200 s and more
        assert not cache.health().ok

    def test_meanwhile_answers_are_kept_for_a_short_time_only(self, redis_url: str, redis_server: RedisServer) -> None:
        passed = [0.0]
        with closing(Cache(redis_url, secret=SECRET, max_age_seconds=0.5, clock=lambda: passed[0])) as cache:
            redis_server.stop()
            assert cache.get_or_compute(SALES, "key", lambda: 1) == 1
            passed[0] = 0.4
            assert cache.get_or_compute(SALES, "key", lambda: 2) == 1
            passed[0] = 0.6
            assert cache.get_or_compute(SALES, "key", lambda: 3) == 3

    def test_meanwhile_own_changes_count(self, cache: Cache, redis_server: RedisServer) -> None:
        redis_server.stop()
        cache.get_or_compute(SALES, "key", lambda: "old", DAY)
        cache.invalidate(day_node(date(2026, 11, 22)))
        assert cache.get_or_compute(SALES, "key", lambda: "new", DAY) == "new"

    def test_what_was_missed_meanwhile_is_not_served_afterwards(self, cache: Cache, redis_server: RedisServer) -> None:
        cache.get_or_compute(SALES, "key", lambda: "old", DAY)
        redis_server.pause()
        cache.invalidate(day_node(date(2026, 11, 22)))
        redis_server.resume()
        assert soon(lambda: cache.health().ok)
        assert cache.get_or_compute(SALES, "key", lambda: "new", DAY) == "new"

    def test_a_server_that_was_never_there_is_no_error(self, redis_server: RedisServer) -> None:
        redis_server.stop()
        cache = Cache(redis_server.url, secret=SECRET)
        assert cache.get_or_compute(SALES, "key", lambda: "computed") == "computed"
        health = cache.health()
        assert (health.ok, "NEBULOVIZ_REDIS_URL" in health.detail) == (False, True)
        redis_server.start()
        assert soon(lambda: cache.health().ok)
        cache.invalidate(ROOT)
        cache.close()
