"""The promises that the cache keeps in this process and with Redis alike."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.util import greenlet_spawn
from sqlalchemy.util.concurrency import await_

from nebuloviz.cache import ROOT, SALES, Cache, Path, day_node, day_nodes
from tests.figures import Growth

SECRET = "a secret of more than thirty-two characters"
NOVEMBER = day_nodes(date(2026, 11, 1), date(2026, 12, 1))
DAYS = st.dates(date(2024, 11, 1), date(2026, 3, 31))


class Counting:
    """A computation that counts how often it ran, and returns the count."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> int:
        self.runs += 1
        return self.runs


@pytest.fixture(params=["in-process", pytest.param("redis", marks=pytest.mark.servers)])
def new_cache(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cache]]:
    """Makes caches of one kind; with Redis they share it, as processes do."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    made: list[Cache] = []

    def new(**options: Any) -> Cache:
        # A busy machine is not a server that is away
        made.append(Cache(url, secret=SECRET, timeout_seconds=30, **options))
        return made[-1]

    yield new
    for cache in made:
        cache.close()


@pytest.fixture
def cache(new_cache: Callable[..., Cache]) -> Cache:
    return new_cache()


class TestKeeping:
    def test_a_value_is_computed_once(self, cache: Cache) -> None:
        compute = Counting()
        assert [cache.get_or_compute(SALES, "key", compute) for _ in range(3)] == [1, 1, 1]

    @pytest.mark.parametrize(("path", "key"), [(("stock",), "key"), (SALES, "other"), (("sales", "key"), "")])
    def test_another_path_or_key_is_another_value(self, cache: Cache, path: Path, key: str) -> None:
        compute = Counting()
        cache.get_or_compute(SALES, "key", compute)
        assert cache.get_or_compute(path, key, compute) == 2

    @pytest.mark.parametrize(
        "value",
        [
            None,
            0,
            "",
            [],
            {"day": date(2026, 11, 22)},
            (Decimal("1.10"), datetime(2026, 1, 1, tzinfo=UTC)),
            float("inf"),
        ],
    )
    def test_values_come_back_as_they_were(self, cache: Cache, value: object) -> None:
        cache.get_or_compute(SALES, "key", lambda: value)
        assert cache.get_or_compute(SALES, "key", lambda: "computed again") == value

    def test_nobody_can_change_what_others_get(self, cache: Cache) -> None:
        compute: Callable[[], list[str]] = list
        for _ in range(2):
            cache.get_or_compute(SALES, "key", compute).append("mine")
        assert cache.get_or_compute(SALES, "key", compute) == []

    def test_what_raises_is_raised_and_not_kept(self, cache: Cache) -> None:
        with pytest.raises(ZeroDivisionError):
            cache.get_or_compute(SALES, "key", lambda: 1 // 0)
        assert cache.get_or_compute(SALES, "key", lambda: 1) == 1

    def test_what_cannot_be_kept_is_still_answered(self, cache: Cache) -> None:
        assert cache.get_or_compute(SALES, "key", lambda: lambda: 7)() == 7
        assert cache.get_or_compute(SALES, "key", lambda: lambda: 8)() == 8

    def test_what_is_too_large_is_answered_and_not_kept(self, new_cache: Callable[..., Cache]) -> None:
        cache, compute = new_cache(max_entry_bytes=1000), Counting()
        for expected in (1, 2):
            assert cache.get_or_compute(SALES, "key", lambda: (compute(), "x" * 1000))[0] == expected

    def test_a_value_expires(self, cache: Cache) -> None:
        compute = Counting()
        cache.get_or_compute(SALES, "key", compute, ttl_seconds=1)
        threading.Event().wait(1.1)
        assert cache.get_or_compute(SALES, "key", compute, ttl_seconds=1) == 2

    def test_in_this_process_an_answer_made_of_others_is_as_old_as_the_oldest(self) -> None:
        seconds = [0.0]
        cache = Cache(secret=SECRET, max_age_seconds=60, clock=lambda: seconds[0])
        part, whole = Counting(), Counting()

        def made() -> tuple[int, int]:
            return cache.get_or_compute(SALES, "part", part), whole()

        def asked(at: float, key: str) -> tuple[int, int]:
            seconds[0] = at
            return cache.get_or_compute(SALES, key, made)

        assert asked(0, "first") == (1, 1)
        assert asked(59, "second") == (1, 2), "the part may be believed still"
        assert asked(60, "second") == (2, 3), "and the whole no longer than the part"
        assert asked(119, "second") == (2, 3)
        assert asked(120, "second") == (3, 4)

    def test_in_this_process_an_answer_is_as_old_as_the_beginning_of_its_computation(self) -> None:
        seconds = [0.0]
        cache = Cache(secret=SECRET, max_age_seconds=60, clock=lambda: seconds[0])

        def slow() -> float:
            began = seconds[0]
            seconds[0] += 20
            return began

        assert cache.get_or_compute(SALES, "key", slow) == 0
        seconds[0] = 60
        assert cache.get_or_compute(SALES, "key", slow) == 60

    def test_in_this_process_an_answer_that_others_wait_for_gives_them_its_age(self) -> None:
        seconds = [0.0]
        cache = Cache(secret=SECRET, max_age_seconds=60, clock=lambda: seconds[0])
        began, go_on = threading.Event(), threading.Event()
        part = Counting()

        def slow() -> int:
            began.set()
            assert go_on.wait(30)
            return part()

        def whole() -> int:
            began.wait(30)
            threading.Timer(0.2, go_on.set).start()
            return cache.get_or_compute(SALES, "part", slow)

        with ThreadPoolExecutor(1) as pool:
            leading = pool.submit(cache.get_or_compute, SALES, "part", slow)
            assert began.wait(30)
            seconds[0] = 30  # when the computation of the whole begins
            assert cache.get_or_compute(SALES, "whole", whole) == leading.result() == 1
        seconds[0] = 60
        assert cache.get_or_compute(SALES, "whole", whole) == 2

    def test_look_ups_are_counted_by_branch(self, cache: Cache) -> None:
        since = Growth()
        for path in (("counting", "below"), ("counting", "beside"), SALES):
            for _ in range(3):
                cache.get_or_compute(path, "key", int)
        cache.invalidate(("counting", "below"))
        cache.get_or_compute(("counting", "below"), "key", int)
        with pytest.raises(ZeroDivisionError):
            cache.get_or_compute(("counting",), "key", lambda: 1 // 0)
        assert since.of("cache_requests_total") == {
            ("counting", "hit"): 4, ("counting", "miss"): 3, ("counting", "error"): 1, ("sales", "hit"): 2, ("sales", "miss"): 1,
        }  # fmt: skip


class TestInvalidation:
    @pytest.mark.parametrize(
        "changed", [ROOT, SALES, ("sales", "2026"), ("sales", "2026", "11"), day_node(date(2026, 11, 22))]
    )
    def test_a_node_makes_stale_what_depends_on_it_or_lies_below(self, cache: Cache, changed: Path) -> None:
        compute = Counting()
        cache.get_or_compute(SALES, "november", compute, NOVEMBER)
        cache.invalidate(changed)
        assert cache.get_or_compute(SALES, "november", compute, NOVEMBER) == 2

    @pytest.mark.parametrize(
        "changed", [("stock",), ("sales", "2025"), ("sales", "2026", "10"), day_node(date(2026, 12, 1))]
    )
    def test_others_stay(self, cache: Cache, changed: Path) -> None:
        compute = Counting()
        cache.get_or_compute(SALES, "november", compute, NOVEMBER)
        cache.invalidate(changed)
        assert cache.get_or_compute(SALES, "november", compute, NOVEMBER) == 1

    def test_without_dependencies_a_value_depends_on_all_below_its_path(self, cache: Cache) -> None:
        compute = Counting()
        cache.get_or_compute(SALES, "all", compute)
        cache.invalidate(day_node(date(2001, 1, 1)))
        assert cache.get_or_compute(SALES, "all", compute) == 2

    def test_several_nodes_at_once(self, cache: Cache) -> None:
        october, november = Counting(), Counting()
        ranges = {october: day_nodes(date(2026, 10, 1), date(2026, 11, 1)), november: NOVEMBER}
        for _ in range(2):
            for compute, nodes in ranges.items():
                cache.get_or_compute(SALES, str(nodes), compute, nodes)
            cache.invalidate(day_node(date(2026, 10, 5)), day_node(date(2026, 11, 5)))
        assert (october.runs, november.runs) == (2, 2)

    def test_a_change_during_the_computation_makes_its_result_stale(self, cache: Cache) -> None:
        def compute() -> str:
            cache.invalidate(day_node(date(2026, 11, 22)))
            return "as of before"

        cache.get_or_compute(SALES, "key", compute, NOVEMBER)
        assert cache.get_or_compute(SALES, "key", lambda: "as of now", NOVEMBER) == "as of now"

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        ranges=st.lists(st.tuples(DAYS, st.integers(0, 500)), min_size=1, max_size=6, unique=True),
        day=DAYS,
        depth=st.integers(2, 4),
    )
    def test_exactly_the_queries_that_contain_a_changed_day_month_or_year_compute_again(
        self, cache: Cache, ranges: list[tuple[date, int]], day: date, depth: int
    ) -> None:
        cache.invalidate(ROOT)
        changed = day_node(day)[:depth]

        def runs() -> list[int]:
            done = []
            for start, length in ranges:
                compute = Counting()
                cache.get_or_compute(
                    SALES, f"{start}+{length}", compute, day_nodes(start, start + timedelta(days=length))
                )
                done.append(compute.runs)
            return done

        assert runs() == [1] * len(ranges)
        cache.invalidate(changed)
        expected = [
            any(day_node(start + timedelta(days=n))[:depth] == changed for n in range(length))
            for start, length in ranges
        ]
        assert runs() == [int(touched) for touched in expected]


class TestSingleFlight:
    def test_of_many_threads_one_computes(self, cache: Cache) -> None:
        compute, together = Counting(), threading.Barrier(8)

        def slow() -> int:
            threading.Event().wait(0.2)
            return compute()

        def ask(_: int) -> int:
            together.wait()
            return cache.get_or_compute(SALES, "key", slow)

        since = Growth()
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [1] * 8
        told = since.of("cache_requests_total")
        assert told[("sales", "miss")] == 1
        assert sum(told.values()) == 8
        assert {outcome for _branch, outcome in told} <= {"miss", "shared", "hit"}

    def test_a_follower_does_not_wait_for_ever(self, new_cache: Callable[..., Cache]) -> None:
        cache, started, release = new_cache(wait_seconds=0.2), threading.Event(), threading.Event()

        def hang() -> str:
            started.set()
            release.wait()
            return "late"

        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(cache.get_or_compute, SALES, "key", hang)
            assert started.wait(60)
            assert cache.get_or_compute(SALES, "key", lambda: "own") == "own"
            release.set()
            assert hanging.result() == "late"

    def test_the_leaders_failure_is_not_the_followers(self, cache: Cache) -> None:
        started = threading.Event()

        def fail() -> str:
            started.set()
            threading.Event().wait(0.1)
            raise ValueError("its own trouble")

        with ThreadPoolExecutor(1) as pool:
            failing = pool.submit(cache.get_or_compute, SALES, "key", fail)
            started.wait()
            assert cache.get_or_compute(SALES, "key", lambda: "well") == "well"
            with pytest.raises(ValueError, match="its own"):
                failing.result()

    def test_who_asks_after_a_change_does_not_get_an_earlier_result(self, cache: Cache) -> None:
        started, release = threading.Event(), threading.Event()

        def before() -> str:
            started.set()
            release.wait(10)
            return "before"

        with ThreadPoolExecutor(2) as pool:
            early = pool.submit(cache.get_or_compute, SALES, "key", before)
            started.wait()
            cache.invalidate(SALES)
            late = pool.submit(cache.get_or_compute, SALES, "key", lambda: "after")
            threading.Event().wait(0.1)
            release.set()
            assert (early.result(), late.result()) == ("before", "after")
        assert cache.get_or_compute(SALES, "key", lambda: "again") != "before"

    def test_calls_on_one_event_loop_wait_without_stopping_it(self, cache: Cache) -> None:
        compute = Counting()

        def service() -> int:
            def slow() -> int:
                await_(asyncio.sleep(0.1))
                return compute()

            return cache.get_or_compute(SALES, "key", slow)

        async def ask() -> list[int]:
            return await asyncio.wait_for(asyncio.gather(*(greenlet_spawn(service) for _ in range(5))), timeout=60)

        assert asyncio.run(ask()) == [1] * 5

    def test_a_bare_coroutine_cannot_wait_and_computes_for_itself(self, cache: Cache) -> None:
        started, release = threading.Event(), threading.Event()

        def hang() -> str:
            started.set()
            release.wait(10)
            return "hung"

        async def ask() -> str:
            return cache.get_or_compute(SALES, "key", lambda: "own")

        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(cache.get_or_compute, SALES, "key", hang)
            started.wait()
            assert asyncio.run(ask()) == "own"
            release.set()
            hanging.result()


class TestInProcess:
    def test_nothing_is_older_than_the_limit_as_another_process_may_have_written(self) -> None:
        cache, compute = Cache(secret=SECRET, max_age_seconds=0.1), Counting()
        cache.get_or_compute(SALES, "key", compute)
        threading.Event().wait(0.15)
        assert cache.get_or_compute(SALES, "key", compute) == 2

    def test_what_is_over_takes_no_memory(self) -> None:
        cache, entries = Cache(secret=SECRET, max_age_seconds=0.05), []
        for number in range(5):
            cache.get_or_compute(SALES, "again", lambda: "x", ttl_seconds=60 if number else 0)
            cache.get_or_compute(SALES, str(number), lambda: "x")
            entries.append(len(cache._store._entries._cache))  # type: ignore[attr-defined]  # LocalStore, over flask-caching
            threading.Event().wait(0.06)
        assert max(entries) <= 2

    def test_the_number_of_entries_is_bounded(self) -> None:
        cache, compute = Cache(secret=SECRET, max_entries=10), Counting()
        for n in range(100):
            cache.get_or_compute(SALES, str(n), compute)
        kept = sum(cache.get_or_compute(SALES, str(n), lambda: 0) > 0 for n in range(89, 100))
        assert 0 < kept <= 11
        assert len(cache._store._entries._cache) <= 11  # type: ignore[attr-defined]  # LocalStore, over flask-caching

    def test_it_is_healthy(self) -> None:
        assert Cache(secret=SECRET).health().ok
