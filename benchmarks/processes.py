"""The program as its users meet it: how soon it answers, and what memory it keeps.

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

import httpx
import psutil

from benchmarks.browser import overview
from benchmarks.sales import fill
from benchmarks.table import Figure
from nebuloviz import migrate
from nebuloviz.db import Database
from tests.servers import PostgresServer
from tests.servers.base import free_port

PASSWORD = "a password for the benchmark"  # noqa: S105 - guards a database of made-up sales
SALES = 500_000
ROOT = Path(__file__).resolve().parents[1]


def figures() -> Iterator[Figure]:
    """Time to the first page, and memory of a web process that is used."""
    yield from _first_page()
    with filled_program() as (process, address, password):
        tuple(overview(address, password))  # used as a reader does; the figures are those of `benchmarks.browser`
        rss = psutil.Process(process.pid).memory_info().rss / 2**20
        yield Figure("memory of a web process, after use", rss, "MB", "350 MB", rss / 350, "<= 1")


@contextmanager
def filled_program() -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A program with made-up sales: its process, its address, and the password of `admin`."""
    server = PostgresServer.started()
    try:
        database = Database(server.url)
        migrate.upgrade(database)
        fill(database, SALES)
        with running(NEBULOVIZ_DATABASE_URL=server.url) as (process, address, _folder):
            yield process, address, PASSWORD
    finally:
        server.close()


def _first_page() -> Iterator[Figure]:
    start = time.perf_counter()
    with running(NEBULOVIZ_DEMO="auto"):
        seconds = time.perf_counter() - start
    yield Figure("start to first page, embedded", seconds, "s", "5 s", seconds / 5, "<= 1")


@contextmanager
def running(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """`python app.py`, ended by its process id, with its address and data folder; yields once its first page has answered."""
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
            cwd=ROOT,
            env=os.environ | settings | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _answers(address)
            yield process, address, Path(folder)
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
