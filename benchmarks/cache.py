"""What a look-up in the cache costs: `python -m benchmarks.cache`. Each figure is a ratio to a bare operation of the same run."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable
from datetime import date

import redis

from benchmarks.table import Figure, show
from nebuloviz.cache import SALES, Cache, day_node, day_nodes
from tests.servers import RedisServer

SECRET = "a secret for the benchmark, of sufficient length"  # noqa: S105 - guards nothing
# A year and a half up to today: the range whose cover has the most nodes among those that pages ask for.
NODES = day_nodes(date(2025, 6, 3), date(2026, 11, 22))
VALUE = [(f"2026-{n:04}", n, n * 1.5) for n in range(500)]


def microseconds(call: Callable[[], object], rounds: int = 2000) -> float:
    """The median time of one `call`."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def figures() -> list[Figure]:
    """Each look-up beside a bare operation of the same run."""
    payload = pickle.dumps(VALUE, pickle.HIGHEST_PROTOCOL)
    unpickle = microseconds(lambda: pickle.loads(payload))  # noqa: S301 - made two lines above
    local = Cache(secret=SECRET, max_age_seconds=3600)
    hit = microseconds(lambda: local.get_or_compute(SALES, "key", lambda: VALUE, NODES))
    bump = microseconds(lambda: local.invalidate(day_node(date(2026, 11, 22))))
    measured = [
        Figure("hit in this process", hit, "µs", "unpickling the value", hit / unpickle),
        Figure(
            "  the same without the unpickling",
            hit - unpickle,
            "µs",
            "unpickling the value",
            (hit - unpickle) / unpickle,
        ),
        Figure("invalidating a day in this process", bump, "µs", "unpickling the value", bump / unpickle),
    ]
    server = RedisServer.started()
    try:
        return measured + _redis_figures(server.url, len(payload))
    finally:
        server.close()


def _redis_figures(url: str, size: int) -> list[Figure]:
    client = redis.Redis.from_url(url)
    names = [f"bare:{n}" for n in range(2 * len(NODES))]
    client.mset(dict.fromkeys(names, b"x" * 12))
    client.set("bare:value", b"x" * size)
    bare = microseconds(lambda: (client.mget(names), client.get("bare:value")))
    ping = microseconds(client.ping)
    shared = Cache(url, secret=SECRET)
    hit = microseconds(lambda: shared.get_or_compute(SALES, "key", lambda: VALUE, NODES))
    bump = microseconds(lambda: shared.invalidate(day_node(date(2026, 11, 22))))
    shared.close()
    client.close()
    return [
        Figure("hit in Redis", hit, "µs", "a bare MGET and a GET", hit / bare),
        Figure("invalidating a day in Redis", bump, "µs", "a bare PING", bump / ping),
    ]


if __name__ == "__main__":
    show("Cache", figures())
