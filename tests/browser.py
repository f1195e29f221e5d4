"""A real Chromium for the tests, which fails them for what a reader of the page would never see.

Every page made here fails its test when it asks another host for anything, logs an error to the console, or throws.
A test that provokes an error on purpose names it: `@pytest.mark.console_errors("status of 403")`.
"""

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, expect, sync_playwright

from tests.servers import find_chromium
from tests.servers.required import needs_servers

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-gpu-rasterization",
    "--disable-software-rasterizer",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other host is found; and no request is held up to be looked at, for which Playwright would have nothing cached
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
#: Two cores may be busy with something else; what is slow for another reason is measured by the benchmarks.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
SCREENSHOTS = Path(__file__).parents[1] / "test-results"
_failed = pytest.StashKey[bool]()

NewPage = Callable[..., Page]


class Watch:
    """Collects what the pages of one test do wrong."""

    def __init__(self, expected: list[str]) -> None:
        self._expected = [re.compile(pattern) for pattern in expected]
        self.problems: list[str] = []

    def observe(self, context: BrowserContext) -> None:
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._note(f"exception on the page: {error.error}"))

    def _on_request(self, request: Request) -> None:
        if _is_foreign(request.url):
            self._note(f"request to another host: {request.method} {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"console error: {message.text} ({message.location.get('url', '')})")

    def _note(self, problem: str) -> None:
        if not any(pattern.search(problem) for pattern in self._expected):
            self.problems.append(problem)


def _is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in {"data", "blob", "about"} and parts.hostname not in {"127.0.0.1", "localhost"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "console_errors(*patterns): browser errors that the test provokes on purpose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixture below whether the test has failed."""
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A module's browser; `page` and `new_page` are what tests want.

    Playwright keeps an event loop running in the main thread while a browser is open, so no test beside it could have one.
    """
    with needs_servers():
        program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[NewPage]:
    """`new_page(**options)` opens a page in a context of its own, with Playwright's context options.

    Unless they say otherwise: English (US), UTC, 1280 x 900, no cookies.
    """
    marker = request.node.get_closest_marker("console_errors")
    watch = Watch(list(marker.args) if marker else [])
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        defaults: dict[str, Any] = {
            "locale": "en-US",
            "timezone_id": "UTC",
            "viewport": {"width": 1280, "height": 900},
        }
        context = chromium.new_context(**(defaults | options))
        contexts.append(context)
        watch.observe(context)
        return context.new_page()

    yield open_page
    if request.node.stash.get(_failed, False):
        _keep_screenshots(request.node.name, [page for context in contexts for page in context.pages])
    for context in contexts:
        context.close()
    assert not watch.problems, "\n".join(watch.problems)


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """One page with the defaults of `new_page`."""
    return new_page()


def _keep_screenshots(test: str, pages: list[Page]) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    name = re.sub(r"[^\w-]+", "_", test)
    for number, page in enumerate(pages):
        try:
            page.screenshot(path=SCREENSHOTS / f"{name}-{number}.png")
        except Error as error:
            print(f"no screenshot of {page.url}: {error}")  # noqa: T201 - shown with the failing test
