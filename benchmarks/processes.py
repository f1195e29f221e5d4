"""The program as its users meet it: how soon it answers, what memory it keeps, how soon Overview is drawn.

Runs `python app.py` on a private PostgreSQL with made-up sales, and on embedded defaults for the time to the first page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.sales import fill
from benchmarks.table import Figure
from nebuloviz import migrate
from nebuloviz.db import Database
from tests.browser import FLAGS
from tests.servers import PostgresServer
from tests.servers.base import find_chromium, free_port

PASSWORD = "a password for the benchmark"  # noqa: S105 - guards a database of made-up sales
SALES = 500_000
_ROOT = Path(__file__).resolve().parents[1]
_DRAWN = "document.querySelectorAll('.nv-tile').length > 0 && document.querySelectorAll('.nv-skeleton').length === 0"


def figures() -> Iterator[Figure]:
    """Time to the first page, memory of a web process, and the browser's times."""
    yield from _first_page()
    server = PostgresServer.started()
    try:
        database = Database(server.url)
        migrate.upgrade(database)
        fill(database, SALES)
        with _running(NEBULOVIZ_DATABASE_URL=server.url) as (process, address):
            yield from _overview(address)
            rss = psutil.Process(process.pid).memory_info().rss / 2**20
            yield Figure("memory of a web process, after use", rss, "MB", "350 MB", rss / 350, "<= 1")
    finally:
        server.close()


def _first_page() -> Iterator[Figure]:
    start = time.perf_counter()
    with _running(NEBULOVIZ_DEMO="auto"):
        seconds = time.perf_counter() - start
    yield Figure("start to first page, embedded", seconds, "s", "5 s", seconds / 5, "<= 1")


def _overview(address: str) -> Iterator[Figure]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        others: list[str] = []
        page.on(
            "request", lambda r: others.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None
        )
        page.goto(f"{address}/login")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        _drawn(page)
        times = [_load(page, address) for _ in range(5)]
        first, drawn = median(t for t, _ in times), median(t for _, t in times)
        browser.close()
    yield Figure("Overview, first content", first, "s", "1 s", first, "<= 1")
    yield Figure("Overview, all charts, warm", drawn, "s", "2 s", drawn / 2, "<= 1")
    yield Figure("requests to other hosts", len(others), "", "", None, "0")


def _load(page: Page, address: str) -> tuple[float, float]:
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".nv-rail", timeout=60_000)
    first = time.perf_counter() - start
    _drawn(page)
    return first, time.perf_counter() - start


def _drawn(page: Page) -> None:
    page.wait_for_function(_DRAWN, timeout=60_000)


@contextmanager
def _running(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`python app.py`, ended by its process id; yields once its first page has answered."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "NEBULOVIZ_PORT": str(port),
            "NEBULOVIZ_DATA_DIR": folder,
            "NEBULOVIZ_SECRET_KEY": "a key for the benchmark, of sufficient length",
            "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        }
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=_ROOT,
            env=os.environ | settings | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _answers(address)
            yield process, address
        finally:
            process.terminate()
            process.wait(20)


def _answers(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/login", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{address} did not answer")
