"""Resident memory: of a web process that is looked at, empty and while the sample loads, and of a consumer with its line watch.

Each figure is the highest of samples taken twice a second, in processes started as a user starts them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import psutil
from playwright.sync_api import sync_playwright
from sqlalchemy import func, select

from benchmarks.program import PASSWORD, ingesting, running, stored
from benchmarks.sales import fill
from benchmarks.servers import DeployedPostgres
from benchmarks.table import Figure
from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from nebuloviz.models import ImportJob
from tests.browser import FLAGS
from tests.servers import KafkaServer
from tests.servers.base import find_chromium

WEB_MB, CONSUMER_MB = 350, 250
PAST_SALES, BACKLOG, TRICKLE_RATE = 300_000, 300_000, 50
PAGES = ("/", "/explore", "/alerts", "/data")
EMPTY_SECONDS = 25.0
SETTLED_SECONDS = 60.0  # detectors learn now
LONGEST_SECONDS = 600.0


class Watched:
    """The memory of a process, sampled until it ends; `children` of its children together."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.highest = self.children = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def now(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    def _watch(self) -> None:
        try:
            while True:
                self.highest = max(self.highest, self.now)
                self.children = max(self.children, sum(map(_rss, self._process.children(recursive=True))))
                time.sleep(0.5)
        except psutil.NoSuchProcess:
            return


def _rss(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def figures() -> Iterator[Figure]:
    """A web process, then a consumer."""
    with running(NEBULOVIZ_DEMO="off") as (process, address, _folder), _looking_around(address) as look:
        watched = Watched(process.pid)
        look(EMPTY_SECONDS)
        yield _figure("web, empty installation", watched.highest, WEB_MB)
    with running(NEBULOVIZ_DEMO="auto") as (process, address, folder), _looking_around(address) as look:
        watched = Watched(process.pid)
        database = Database(f"sqlite:///{folder / 'nebuloviz.sqlite3'}")
        deadline = time.monotonic() + LONGEST_SECONDS
        while not _is_loaded(database) and time.monotonic() < deadline:
            look(2.0)
        yield _figure("web, while the sample loads", watched.highest, WEB_MB)
        yield Figure("its children meanwhile, together", watched.children, "MB")
        look(SETTLED_SECONDS)
        yield _figure("web, sample loaded and watched", watched.highest, WEB_MB)
        database.dispose()
    yield from _consumer()


def _figure(name: str, value: float, target: float) -> Figure:
    return Figure(name, value, "MB", f"{target:.0f} MB", value / target, "<= 1")


@contextmanager
def _looking_around(address: str) -> Iterator[Callable[[float], None]]:
    """Somebody signed in, who goes from page to page for as many seconds as told."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}/login")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        paths = cycle(PAGES)

        def look(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                page.goto(address + next(paths), wait_until="commit")
                page.wait_for_timeout(2000)

        yield look
        browser.close()


def _is_loaded(database: Database) -> bool:
    with database.session() as session:
        return bool(session.scalar(select(func.count()).where(ImportJob.state == "done")))


def _consumer() -> Iterator[Figure]:
    """`nebuloviz ingest` with a past to learn from, a backlog to store, and a trickle behind it."""
    postgres, kafka = DeployedPostgres.started(), KafkaServer.started()
    try:
        database = Database(postgres.database_url(postgres.create_database()))
        migrate.upgrade(database)
        fill(database, PAST_SALES)
        topic = kafka.create_topic(partitions=3)
        send(kafka.url, topic, encoded(simulated_sales()), 0, BACKLOG)
        with ingesting(database.url.render_as_string(hide_password=False), kafka.url, topic) as process:
            watched = Watched(process.pid)
            _await_backlog(database, topic)
            yield _figure("consumer, a backlog stored", watched.highest, CONSUMER_MB)
            send(kafka.url, topic, encoded(simulated_sales(seed=1)), TRICKLE_RATE, int(TRICKLE_RATE * SETTLED_SECONDS))
            yield _figure("consumer with its line watch", watched.highest, CONSUMER_MB)
            yield Figure("the same, at the end", watched.now, "MB")
        database.dispose()
    finally:
        kafka.close()
        postgres.close()


def _await_backlog(database: Database, topic: str) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        if stored(database, topic) >= BACKLOG:
            return
        time.sleep(0.5)
    raise TimeoutError("the backlog was not stored in time")
