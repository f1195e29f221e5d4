"""The API under load: `python -m benchmarks api`, on a private PostgreSQL with five million made-up sales.

The client speaks HTTP itself, because libraries for it cost more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from statistics import mean, quantiles
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import bcrypt
import httpx

from benchmarks.program import PASSWORD, filled_program
from benchmarks.sales import NOW
from benchmarks.table import Figure
from nebuloviz.permissions import SYSTEM, Actor, Permission, require

CONNECTIONS = 16
SECONDS = 8.0
WARMING, BATCHES, BATCH = 5, 30, 1_000
SIGN_INS = 8
CHECKS = 20_000


def figures() -> Iterator[Figure]:
    with filled_program(NEBULOVIZ_REQUESTS_PER_MINUTE="100000000") as (_process, address, password):
        yield from measured(address, password)


def measured(address: str, password: str) -> Iterator[Figure]:
    """The figures of the program that answers there."""
    with httpx.Client(base_url=address, timeout=120) as client:
        answer = client.post("/api/v1/auth/token", json={"username": "admin", "password": password})
        token = answer.json()["access_token"]
    yield from _reads(address, token)
    yield from _writes(address, token)
    yield _permission_check()
    yield from _sign_ins(address, token, password)


# ---------------------------------------------------------------- reading


def _reads(address: str, token: str) -> Iterator[Figure]:
    bare = asyncio.run(_load(address, [_get("/healthz", token)]))
    questions = [_get(f"/api/v1/query?{urlencode(asked, doseq=True)}", token) for asked in _questions()]
    asyncio.run(_load(address, questions, seconds=2))  # now the answers are kept
    read = asyncio.run(_load(address, questions))
    against, part = "a bare route, same client", read.rate / bare.rate
    yield Figure(f"cached aggregates, {CONNECTIONS} connections", read.rate, "requests/s", against, part, ">= 300 /s")
    yield Figure("  p95", read.p95_ms, "ms", against, read.p95_ms / bare.p95_ms, "<= 50 ms")
    tags = _tags(address, token)
    polls = asyncio.run(_load(address, tags))
    yield Figure("polls that find nothing new (304)", polls.rate, "requests/s", against, polls.rate / bare.rate)


def _questions() -> list[dict[str, object]]:
    """What a dashboard asks: four weeks by day, by one dimension and by none, and a year by week."""
    end, month, year = NOW.replace(hour=0, minute=0), timedelta(weeks=4), timedelta(weeks=52)
    common: dict[str, object] = {"metrics": ["revenue", "orders"], "end": end.isoformat()}
    recent: dict[str, object] = {"start": (end - month).isoformat()}
    long: dict[str, object] = {"start": (end - year).isoformat()}
    return [
        common | recent | {"grain": "day"},
        common | recent | {"dimensions": "region"},
        common | recent | {"dimensions": "department", "order": "-revenue", "limit": 10},
        common | recent | {"dimensions": "channel", "grain": "day"},
        common | long | {"grain": "week"},
        common | long | {"dimensions": "store", "order": "-revenue", "limit": 20},
    ]


def _tags(address: str, token: str) -> list[bytes]:
    requests = []
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as client:
        for asked in _questions():
            path = f"/api/v1/query?{urlencode(asked, doseq=True)}"
            tag = client.get(path).headers["etag"]
            requests.append(_get(path, token, f"If-None-Match: {tag}\r\n"))
    return requests


def _get(path: str, token: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: benchmark\r\nAuthorization: Bearer {token}\r\n{headers}\r\n".encode()


class _Pace(NamedTuple):
    rate: float
    p95_ms: float


async def _load(address: str, requests: Sequence[bytes], seconds: float = SECONDS) -> _Pace:
    """All connections ask one after the other, for so many seconds. Raises RuntimeError for an answer that is neither 200 nor 304."""
    took: list[float] = []
    begin = time.perf_counter()
    end = begin + seconds
    await asyncio.gather(*(_connection(address, requests, number, end, took) for number in range(CONNECTIONS)))
    return _Pace(len(took) / (time.perf_counter() - begin), quantiles(took, n=20)[-1] * 1000)


async def _connection(address: str, requests: Sequence[bytes], first: int, end: float, took: list[float]) -> None:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    number = first
    while (start := time.perf_counter()) < end:
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")):
            raise RuntimeError(head.decode())
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        took.append(time.perf_counter() - start)
        number += 1
    writer.close()


# ---------------------------------------------------------------- writing


def _writes(address: str, token: str) -> Iterator[Figure]:
    every = [json.dumps([_sale(number, line) for line in range(BATCH)]).encode() for number in range(WARMING + BATCHES)]
    batches = every[WARMING:]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
        for batch in every[:WARMING]:
            client.post("/api/v1/sales", content=batch)
        start = time.perf_counter()
        for batch in batches:
            answer = client.post("/api/v1/sales", content=batch).json()
            if answer["accepted"] != BATCH:
                raise RuntimeError(str(answer)[:500])
        rate = BATCHES * BATCH / (time.perf_counter() - start)
        start = time.perf_counter()
        for batch in batches:
            client.post("/api/v1/sales", content=batch)
        again = BATCHES * BATCH / (time.perf_counter() - start)
    yield Figure("POST sales, batches of 1,000", rate, "rows/s", "10,000 rows/s", rate / 10_000, ">= 1")
    yield Figure("  the same sent again", again, "rows/s", "new ones", again / rate)


def _sale(batch: int, line: int) -> dict[str, object]:
    number = batch * BATCH + line
    order = number // 3
    sold_at = NOW - timedelta(seconds=order % 86_400)
    return {
        "sale_id": f"benchmark-{number}",
        "order_id": f"benchmark-{order}",
        "sold_at": sold_at.isoformat(),
        "customer_id": f"c{order % 60_000}",
        "product_id": f"p{number % 5_000}",
        "product": f"Product p{number % 5_000}",
        "category": f"Category {number % 5_000 % 30}",
        "region": f"Region {order % 300 % 12}",
        "country": f"Country {order % 300 % 4}",
        "channel": "Shop",
        "store": f"Store {order % 300}",
        "quantity": 2,
        "unit_price": 1.25,
    }


# ---------------------------------------------------------------- permissions and sign-in


class _Service:
    def bare(self, session: None, actor: Actor) -> None:
        """Does nothing."""

    @require(Permission.DATA_READ)
    def guarded(self, session: None, actor: Actor) -> None:
        """Does nothing, for those who may."""


def _permission_check() -> Figure:
    service = _Service()
    took = []
    for method in (service.bare, service.guarded):
        start = time.perf_counter()
        for _ in range(CHECKS):
            method(None, SYSTEM)
        took.append((time.perf_counter() - start) / CHECKS * 1000)
    cost = took[1] - took[0]
    return Figure("a permission check", cost, "ms", "0.2 ms", cost / 0.2, "<= 1")


def _sign_ins(address: str, token: str, password: str) -> Iterator[Figure]:
    start = time.perf_counter()
    bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12))
    one = time.perf_counter() - start
    alone, together, others = asyncio.run(_signing_in(address, token, password))
    yield Figure("sign-in, alone", alone * 1000, "ms", "one bcrypt of cost 12", alone / one, "<= 1.5")
    yield Figure(
        f"  {SIGN_INS} at once, all of them",
        together,
        "s",
        "so many bcrypts on two cores",
        together / (one * SIGN_INS / 2),
    )
    p95 = quantiles(others, n=20)[-1] * 1000
    yield Figure("  other requests meanwhile, p95", p95, "ms", "100 ms", p95 / 100, "<= 1")
    yield Figure("  other requests meanwhile, mean", mean(others) * 1000, "ms")


async def _signing_in(address: str, token: str, password: str) -> tuple[float, float, list[float]]:
    """Seconds of a sign-in alone, of several at once, and of each other request meanwhile."""
    others: list[float] = []
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:

        async def sign_in() -> None:
            body = {"username": "admin", "password": password}
            (await client.post("/api/v1/auth/token", json=body)).raise_for_status()

        start = time.perf_counter()
        await sign_in()
        alone = time.perf_counter() - start
        start = time.perf_counter()
        all_of_them = asyncio.gather(*(sign_in() for _ in range(SIGN_INS)))
        while not all_of_them.done():
            asked = time.perf_counter()
            (await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).raise_for_status()
            others.append(time.perf_counter() - asked)
            await asyncio.sleep(0.02)
        await all_of_them
    return alone, time.perf_counter() - start, others
