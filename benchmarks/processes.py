"""The program as its users meet it: how soon it answers, and what memory it keeps.

Runs `python app.py` on a private PostgreSQL with made-up sales, and on embedded defaults for the time to the first page.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from benchmarks.browser import overview
from benchmarks.program import filled_program, running
from benchmarks.table import Figure


def figures() -> Iterator[Figure]:
    """Time to the first page, and memory of a web process that is used."""
    yield from _first_page()
    with filled_program() as (process, address, password):
        tuple(overview(address, password))  # used as a reader does; the figures are those of `benchmarks.browser`
        rss = psutil.Process(process.pid).memory_info().rss / 2**20
        yield Figure("memory of a web process, after use", rss, "MB", "350 MB", rss / 350, "<= 1")


def _first_page() -> Iterator[Figure]:
    start = time.perf_counter()
    with running(NEBULOVIZ_DEMO="auto"):
        seconds = time.perf_counter() - start
    yield Figure("start to first page, embedded", seconds, "s", "5 s", seconds / 5, "<= 1")
