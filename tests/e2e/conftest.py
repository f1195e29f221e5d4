"""The real program, started as a user starts it, with a small shop's sales and two alerts in its own database."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.models import Alert, AlertEvent
from nebuloviz.settings import load
from tests.browser import PATIENCE_MS
from tests.fakes import sale_lines
from tests.program import csrf_token
from tests.services.watched_shop import Shop

ROOT = Path(__file__).parents[2]
PASSWORD = "a long password of the tests"
COLUMNS = "sale_id order_id sold_at customer_id product category channel store quantity unit_price discount revenue"


@dataclass(frozen=True)
class Program:
    """The running program: its address, and the file of sales that it was given."""

    url: str
    sales: Path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nebuloviz", *arguments]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("e2e")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEBULOVIZ_")}
    return kept | {
        "NEBULOVIZ_DATA_DIR": str(folder),
        "NEBULOVIZ_DEMO": "off",
        "NEBULOVIZ_CURRENCY": "USD",
        "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        "NEBULOVIZ_REFRESH_SECONDS": "2",
        "NEBULOVIZ_PORT": "0",
    }


@pytest.fixture(scope="session")
def program(environment: dict[str, str]) -> Iterator[Program]:
    sales = Path(environment["NEBULOVIZ_DATA_DIR"]) / "sales.csv"
    lines = sale_lines(days=35, now=datetime.now(UTC))
    lines[COLUMNS.split()].rename(columns={"product": "product_id", "revenue": "amount"}).to_csv(sales, index=False)
    subprocess.run(
        command("import", str(sales)), env=environment, cwd=ROOT, check=True, capture_output=True, timeout=180
    )
    database = Database(f"sqlite:///{Path(environment['NEBULOVIZ_DATA_DIR']) / 'nebuloviz.sqlite3'}")
    add_alerts(database)
    database.dispose()
    with served(environment) as url:
        yield Program(url, sales)


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The program at work; its address."""
    log = Path(environment["NEBULOVIZ_DATA_DIR"]) / "program.log"
    with log.open("w") as said:
        process = subprocess.Popen(command("serve"), env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield address(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the program says it is ready at."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'ready: (http[^\s"]+)', log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"the program is not ready:\n{log.read_text(encoding='utf-8')}")


def add_alerts(database: Database) -> None:
    """An open alert on all revenue, and one on a category whose name must stay literal."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    common = {"detector": "forest", "metric": "revenue", "score": 0.9, "severity": "high", "observed": 10.0}
    common |= {"expected": 40.0, "expected_low": 25.0, "expected_high": 60.0, "created_at": hour, "updated_at": hour}
    with database.transaction() as session:
        for back, series, dimensions in (
            (20, "revenue", "{}"),
            (44, "revenue|category=Dairy", '{"category": "Dairy"}'),
        ):
            start = hour - timedelta(hours=back)
            times = {"bucket_start": start, "bucket_end": start + timedelta(hours=1)}
            alert = Alert(series=series, dimensions=dimensions, **times, **common)
            session.add(alert)
            session.flush()
            alert.incident_id = alert.id
            session.add(AlertEvent(alert_id=alert.id, at=hour, kind="raised"))


Visit = Callable[..., Page]


@pytest.fixture
def visit(program: Program, new_page: Callable[..., Page]) -> Visit:
    """`visit("/explore")` opens the page as admin; keyword arguments are the browser context's.

    The form of sign-in, which journeys go through, is left out: it takes a browser as long as half a page.
    """

    def open_page(path: str = "/", **options: object) -> Page:
        page = new_page(**options)
        page.set_default_timeout(PATIENCE_MS)
        page.context.add_cookies(new_session(program.url))
        page.goto(program.url + path)
        page.wait_for_selector(".nv-frame")
        return page

    return open_page


def new_session(url: str) -> list[Any]:
    """The cookies of a session of its own, of the admin's."""
    with httpx.Client(base_url=url, timeout=60) as client:
        form = {"username": "admin", "password": PASSWORD, "csrf_token": csrf_token(client.get("/login"))}
        assert client.post("/login", data=form).status_code == 303
        return [{"name": name, "value": value, "url": url} for name, value in client.cookies.items()]


def signed_in(page: Page, url: str) -> Page:
    """The page at `url`, as admin, by the form."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    sign_in(page)
    return page


@dataclass(frozen=True)
class Watched:
    """A program over a shop whose south has sold nothing for some hours, which the watch has noticed; its clock is the test's.

    `before` is its database as it was then, without what anybody says later.
    """

    url: str
    shop: Shop
    before: Path


@pytest.fixture
def watched(environment: dict[str, str], tmp_path: Path) -> Iterator[Watched]:
    settings = load(data_dir=tmp_path, currency="EUR")
    database = Database(settings.resolved_database_url)
    migrate.upgrade(database)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    shop = Shop(database, sold_until=today - timedelta(weeks=6))
    shop.sell(today - timedelta(hours=11))  # yesterday at one
    shop.sell_hours(6, without=["south"])  # so late that it is not over at midnight
    shop.sell(today)
    watch(shop, settings.secret())
    database.dispose()  # with that, all of it is in one file
    before = Path(shutil.copy(tmp_path / "nebuloviz.sqlite3", tmp_path / "before.sqlite3"))
    with served(
        environment | {"NEBULOVIZ_DATA_DIR": str(tmp_path), "NEBULOVIZ_WATCH": "off", "NEBULOVIZ_CURRENCY": "EUR"}
    ) as url:
        yield Watched(url, shop, before)
    database.dispose()


def watch(shop: Shop, secret: str) -> None:
    """What the process that watches does, at the shop's time."""
    watcher = shop.watcher(secret=secret, settings=WatchSettings())
    while watcher.step():
        pass
    watcher.stop()


def sign_in(page: Page) -> None:
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector(".nv-frame")
