"""What the questions behind Overview cost: `python -m benchmarks queries`.

Each is asked as the page asks it, without the cache, of PostgreSQL with 5 million sale lines and of SQLite with 1.5 million.
Beside it stands the same question straight from facts, in the same run: the same ranges, comparison and pieces of time, but no
ranking, no names and no frame, which cost next to nothing beside it. As other work of the machine delays a question of many small
steps more than one long scan, what both take of CPU is compared as well, here and in the database. A line of its own says what the
question costs a page that is open when a sale of today has been stored: what closed days hold is kept then. `python -m
benchmarks.queries URL [URL]` asks databases that are filled already, and compares the second with the first.
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.sales import NOW, START, fill
from benchmarks.servers import DeployedPostgres
from benchmarks.table import Figure, show
from nebuloviz import migrate
from nebuloviz.cache import Cache
from nebuloviz.cache.nodes import day_node
from nebuloviz.db import Database, dialect_of
from nebuloviz.metrics import sql
from nebuloviz.metrics.buckets import Bucket, buckets
from nebuloviz.metrics.comparison import compared
from nebuloviz.metrics.customer_sets import DAYS_AT_ONCE, Missing, build
from nebuloviz.metrics.planner import FACTS, Piece, Reading, Slice
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import metric
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.frames import build_frame

POSTGRESQL_LINES = 5_000_000
SQLITE_LINES = 1_500_000
ROUNDS = 40
_FACT_ROUNDS = 3
_MIN_MS = 0.1  # no less can be told apart of a process's CPU

_ZONE = ZoneInfo("UTC")
_TOMORROW = NOW.replace(hour=0, minute=0) + timedelta(days=1)
_TILES = ("revenue", "orders", "average_order_value", "customers", "units", "discount_rate", "returns")


@dataclass(frozen=True)
class Cost:
    """A question's milliseconds at the 95th percentile and of CPU, asked anew, after news, and straight from facts (the median)."""

    question: str
    p95: float
    cpu: float
    p95_after_news: float
    cpu_after_news: float
    from_facts: float
    cpu_from_facts: float


def _of(*metrics: str, days: int = 28, shift: int = 0, **fields: object) -> Query:
    """Over so many days up to the present one's end, or to as many days before that as `shift` says."""
    end = _TOMORROW - timedelta(days=shift)
    return Query(metrics, end - timedelta(days=days), end, **fields)  # type: ignore[arg-type]  # fields of Query


def _top(dimension: str) -> Query:
    return _of("revenue", dimensions=(dimension,), limit=10, other=True, comparison="previous")


#: The questions behind Overview over the last 28 days, today unfinished, and behind its longest trends.
QUESTIONS: dict[str, Query] = {
    "tiles, compared": _of(*_TILES, comparison="previous"),
    "sparklines by day, compared": _of(*_TILES, grain="day", comparison="previous"),
    "trend by day, compared": _of("revenue", grain="day", comparison="previous"),
    "trend by hour of a week": _of("revenue", days=7, grain="hour", comparison="weekdays"),
    "heat map by hour": _of("revenue", grain="hour"),
    **{f"top {slug}": _top(slug) for slug in ("category", "region", "country", "channel", "store", "product")},
    # These 28 days are four whole weeks, which is the best case of products; this is any other
    "top product, from a Thursday on": _of("revenue", dimensions=("product",), limit=10, other=True, shift=4),
    "treemap": _of("revenue", dimensions=("category",)),
    "trend by month, all time": Query(("revenue", "orders"), START, _TOMORROW, grain="month"),
    "category by month, all time": Query(("revenue",), START, _TOMORROW, dimensions=("category",), grain="month"),
}


def costs(database: Database, rounds: int = ROUNDS) -> Iterator[Cost]:
    """The cost of each question, once the sets of customers are there."""
    for name, query in QUESTIONS.items():
        _prepare(database, query)
        with database.session() as session:
            spent = _cpu_clock(session)
            start = spent()
            times = [_milliseconds(build_frame, session, query, NOW, _ZONE) for _ in range(rounds)]
            cpu = (spent() - start) / rounds
            after_news, cpu_after_news = _after_news(session, spent, query, rounds)
        with database.session() as session:
            if not database.is_sqlite:
                session.execute(text("SET LOCAL parallel_setup_cost TO DEFAULT"))  # as the server would by itself
            facts = statistics.median(_milliseconds(_straight_from_facts, session, query) for _ in range(_FACT_ROUNDS))
            if not database.is_sqlite:
                session.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))  # whose CPU would not be seen
            spent = _cpu_clock(session)
            start = spent()
            for _ in range(_FACT_ROUNDS):
                _straight_from_facts(session, query)
            cpu_facts = (spent() - start) / _FACT_ROUNDS
        yield Cost(name, _p95(times), cpu, after_news, cpu_after_news, facts, cpu_facts)


def _after_news(session: Session, spent: Callable[[], float], query: Query, rounds: int) -> tuple[float, float]:
    """What the service takes, at the 95th percentile and of CPU, when a sale of today has been stored since it was asked last."""
    cache = Cache(None, secret=secrets.token_hex())
    data = SalesDataService(cache, _ZONE, now=lambda: NOW)
    data.frame(session, SYSTEM, query)
    times, cpu = [], 0.0
    for _ in range(rounds):
        cache.invalidate(day_node(NOW.date()))
        start = spent()
        times.append(_milliseconds(data.frame, session, SYSTEM, query))
        cpu += spent() - start
    cache.close()
    return _p95(times), cpu / rounds


def _cpu_clock(session: Session) -> Callable[[], float]:
    """Milliseconds of CPU that this thread has taken until now, and the server's process that the session speaks with."""
    if dialect_of(session) == "sqlite":
        return lambda: time.thread_time() * 1000
    server = psutil.Process(session.scalar(text("SELECT pg_backend_pid()")))
    return lambda: (time.thread_time() + sum(server.cpu_times()[:2])) * 1000


def _p95(times: Iterable[float]) -> float:
    ordered = sorted(times)
    return ordered[int(0.95 * (len(ordered) - 1))]


def _prepare(database: Database, query: Query) -> None:
    """Make the sets of customers that the question asks for, as the program does in the background."""
    with database.session() as session:
        _, missing = build_frame(session, query, NOW, _ZONE)
    _make_sets(database, missing)


def figures(more: int | None = None) -> Iterator[Figure]:
    """Every question's cost on both databases, and on PostgreSQL with `more` sale lines beside that of 5 million."""
    server = DeployedPostgres.started()
    try:
        fewer = _filled(server.database_url(server.create_database()), POSTGRESQL_LINES)
        yield from _figures_of(fewer, "PostgreSQL, 5 million", 25)
        if more:
            larger = _filled(server.database_url(server.create_database()), more)
            yield from _growth(fewer, larger, f"PostgreSQL, {more / 1e6:g} million")
            larger.dispose()
        fewer.dispose()
    finally:
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        lite = _filled(f"sqlite:///{folder}/sales.sqlite3", SQLITE_LINES)
        yield from _figures_of(lite, "SQLite, 1.5 million", 50)
        lite.dispose()


def _figures_of(database: Database, where: str, most_ms: float) -> Iterator[Figure]:
    for cost in costs(database):
        target = f"p95 <= {most_ms:g} ms, ratio >= 50"
        facts = f"{cost.from_facts:,.0f} ms from facts; of CPU {cost.cpu_from_facts / cost.cpu:,.1f} times"
        yield Figure(f"{cost.question} ({where})", cost.p95, "ms p95", facts, cost.from_facts / cost.p95, target)
        facts = f"of CPU {cost.cpu_from_facts / max(cost.cpu_after_news, _MIN_MS):,.1f} times"
        ratio = cost.from_facts / max(cost.p95_after_news, _MIN_MS)
        yield Figure("  on an open page, after news", cost.p95_after_news, "ms p95", facts, ratio, "ratio >= 50")


def _growth(fewer: Database, larger: Database, where: str) -> Iterator[Figure]:
    """Each question of both databases in turn, so that other work of the machine slows both down alike."""
    for name, query in QUESTIONS.items():
        for database in (fewer, larger):
            _prepare(database, query)
        with fewer.session() as few, larger.session() as many:
            clocks = [(session, _cpu_clock(session)) for session in (few, many)]
            rounds = [[_spent(session, clock, query) for session, clock in clocks] for _ in range(ROUNDS)]
        (before, cpu_before), (after, cpu_after) = (
            (_p95(times), sum(cpu))
            for times, cpu in (zip(*column, strict=True) for column in zip(*rounds, strict=True))
        )
        fewer_lines = f"{before:.3g} ms of fewer; of CPU {cpu_after / cpu_before:.2f} times"
        yield Figure(f"{name} ({where})", after, "ms p95", fewer_lines, after / before, "<= 1.3")


def _spent(session: Session, clock: Callable[[], float], query: Query) -> tuple[float, float]:
    """Milliseconds of a question, and of CPU."""
    start = clock()
    return _milliseconds(build_frame, session, query, NOW, _ZONE), clock() - start


def _filled(url: str, lines: int) -> Database:
    database = Database(url, statement_timeout_seconds=3600)
    migrate.upgrade(database)
    fill(database, lines)
    return database


def _make_sets(database: Database, missing: Iterable[Missing]) -> None:
    by_column: dict[str, list[date]] = {}
    for column, day in sorted(missing):
        by_column.setdefault(column, []).append(day)
    for column, days in by_column.items():
        for first in range(0, len(days), DAYS_AT_ONCE):
            with database.transaction() as session:
                build(session, column, days[first : first + DAYS_AT_ONCE], _ZONE)


def _straight_from_facts(session: Session, query: Query) -> None:
    """The sums and counts of the query and of its comparison by one statement over facts, customers by another."""
    spans = buckets(query) if query.grain else (Bucket(query.start, query.end),)
    past = compared(query, spans, NOW) if query.comparison else ()
    pieces = tuple(Piece(span.start, span.end, number) for number, span in enumerate((*past, *spans)))
    reading, dialect = Reading(FACTS, pieces), dialect_of(session)
    measures: frozenset[str] = frozenset().union(*(metric(slug).measures for slug in query.metrics))
    asked = Slice(tuple(spans), query.dimensions, query.filters, measures)
    if sums := sorted(measures - {"customers"}):
        sql.sums(dialect, asked, [reading], sums).run(session).all()
    if "customers" in measures:
        sql.distinct(dialect, asked, reading, "customers").run(session).all()


def _milliseconds(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Measure databases that are filled already (their URLs as the arguments), or fill new ones."""
    given = [Database(url, statement_timeout_seconds=3600) for url in sys.argv[1:]]
    if not given:
        show("Queries of Overview", figures())
    elif len(given) == 1:
        show("Queries of Overview", _figures_of(given[0], "given", 50 if given[0].is_sqlite else 25))
    else:
        show("Queries of Overview", _growth(given[0], given[1], "second"))


if __name__ == "__main__":
    main()
