"""Overview in headless Chromium: how soon it is there, what it asks for, and how much of the time is the browser's own.

Runs `python app.py` on a private PostgreSQL with made-up sales. "Warm" is a visit after the first few: the browser has the
files and, as Chromium keeps them on disk from the second visit on, the compiled scripts; the server has its answers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from statistics import median

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.program import filled_program
from benchmarks.table import Figure
from tests.browser import FLAGS
from tests.servers.base import find_chromium

WARMING, ROUNDS = 3, 5
_PATIENCE_MS = 60_000
#: Tiles and charts stand, and no outline of either is left. A selector, as the pages allow no script but their own.
_DRAWN = "body:has(.nv-tile):not(:has(.nv-skeleton, .nv-waiting, .nv-ready .nv-graph:not(:has(.main-svg))))"


def figures() -> Iterator[Figure]:
    """The figures of a program of its own."""
    with filled_program() as (_process, address, password):
        yield from overview(address, password)


def overview(address: str, password: str) -> Iterator[Figure]:
    """Sign in to the program at `address`, and open Overview a few times."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=find_chromium(), args=FLAGS, viewport={"width": 1280, "height": 900}
        )
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/login")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_selector(_DRAWN, timeout=_PATIENCE_MS)
        clock = page.context.new_cdp_session(page)
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})
        for _ in range(WARMING):
            _visit(page, address, clock)
        before = len(asked)
        visits = [_visit(page, address, clock) for _ in range(ROUNDS)]
        browser.close()
    first, drawn, busy = (median(values) for values in zip(*visits, strict=True))
    others = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    callbacks = [url for url in asked[before:] if "/_dash-update-component" in url]
    yield Figure("Overview, first content, warm", first, "s", "1 s", first, "<= 1")
    yield Figure("Overview, all charts, warm", drawn, "s", "2 s", drawn / 2, "<= 1")
    yield Figure("CPU of the page's main thread", busy, "s", "all charts", busy / drawn)
    yield Figure("requests of a visit", (len(asked) - before) / ROUNDS, "")
    yield Figure("of these to callbacks", len(callbacks) / ROUNDS, "")
    yield Figure("requests to other hosts", len(others), "", "", None, "0")


def _visit(page: Page, address: str, clock: CDPSession) -> tuple[float, float, float]:
    """Seconds to the first content and to all charts, and those of the main thread's work."""
    page.goto("about:blank")
    busy = _busy(clock)
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".nv-rail", timeout=_PATIENCE_MS)
    first = time.perf_counter() - start
    page.wait_for_selector(_DRAWN, timeout=_PATIENCE_MS)
    return first, time.perf_counter() - start, _busy(clock) - busy


def _busy(clock: CDPSession) -> float:
    metrics = {metric["name"]: metric["value"] for metric in clock.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])
