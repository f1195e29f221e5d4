"""Real processes that serve or ingest, and the one beside them that watches: killed, followed, fed, and never outliving them."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
from sqlalchemy import select

from nebuloviz.db import Database
from nebuloviz.models import Alert, Lease
from nebuloviz.services.watch_process import SERIES_TASK
from tests.faults.conftest import ROOT, Till
from tests.program import csrf_token
from tests.servers import KafkaServer
from tests.services.watched_shop import payloads, write
from tests.shown import Tiles, all_show, in_api

PASSWORD = "a long password of the tests"
PRODUCTS = 20
PATIENCE_SECONDS = 250.0  # the process that watches gives way to all others
FAR_AWAY = datetime(9999, 1, 1, tzinfo=UTC)
#: What only the process beside them may load.
HEAVY = re.compile(r"/(sklearn|scipy)/")


@pytest.fixture(scope="module")
def past(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven weeks of a shop up to this hour; its south sold nothing during a day of this week."""
    path = tmp_path_factory.mktemp("past") / "nebuloviz.sqlite3"
    shutil.copy(_sqlite_template, path)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    quiet = now - timedelta(days=3)
    database = Database(f"sqlite:///{path}")
    lines = payloads(now - timedelta(weeks=7), quiet)
    lines += payloads(quiet, quiet + timedelta(days=1), ["south"]) + payloads(quiet + timedelta(days=1), now)
    write(database, lines, datetime.now(UTC))
    database.dispose()
    return path


@pytest.fixture
def environment(past: Path, tmp_path: Path) -> dict[str, str]:
    shutil.copy(past, tmp_path)
    return os.environ | {
        "NEBULOVIZ_DATA_DIR": str(tmp_path),
        "NEBULOVIZ_DEMO": "off",
        "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        "NEBULOVIZ_PORT": "0",
    }


@pytest.fixture
def database(environment: dict[str, str]) -> Iterator[Database]:
    database = Database(f"sqlite:///{environment['NEBULOVIZ_DATA_DIR']}/nebuloviz.sqlite3")
    yield database
    database.dispose()


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `nebuloviz` with a command and settings."""
    started: list[subprocess.Popen[str]] = []

    def start_one(command: str, **settings: str) -> subprocess.Popen[str]:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "nebuloviz", command],
                cwd=ROOT, env=environment | settings, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.1)


def watcher_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The process beside it, once it has loaded what it needs."""
    for child in psutil.Process(process.pid).children():
        if HEAVY.search(Path(f"/proc/{child.pid}/maps").read_text()):
            return child
    return None


def alerts(database: Database, detector: str, before: datetime = FAR_AWAY) -> list[tuple[str, datetime]]:
    with database.session() as session:
        found = session.execute(select(Alert.series, Alert.bucket_start).where(Alert.detector == detector))
        return [(series, at) for series, at in found if at < before]


def wrong_price(number: int) -> dict[str, object]:
    return {
        "sale_id": f"wrong-{number}", "order_id": f"wrong-{number}", "product_id": f"p{1 + number % PRODUCTS}", "quantity": 1,
        "unit_price": 90_000, "sold_at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(), "region": "north", "currency": "EUR",
    }  # fmt: skip


def logged(file: Path) -> list[tuple[str, int]]:
    """What was said of alerts: which watch was looking, and the alert."""
    lines = [orjson.loads(line) for line in file.read_text().splitlines() if '"alerts"' in line]
    return [(line["request_id"].partition("@")[0], number) for line in lines for number in line["alerts"]]


def heavy_parts(process: subprocess.Popen[str]) -> set[str]:
    return set(HEAVY.findall(Path(f"/proc/{process.pid}/maps").read_text()))


def series_watched(client: httpx.Client) -> float:
    found = re.search(r"^nebuloviz_series_watched (\S+)", client.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


@contextmanager
def signed_in(url: str) -> Iterator[httpx.Client]:
    """A browser."""
    with httpx.Client(base_url=url, timeout=60) as browser:
        form = {"username": "admin", "password": PASSWORD, "csrf_token": csrf_token(browser.get("/login"))}
        assert browser.post("/login", data=form).status_code == 303
        yield browser


def sell_until_noticed(sell: Callable[[dict[str, object]], object], database: Database) -> None:
    """Wrong prices, one product after the other: those that come before the watch is there need not be judged."""
    numbers = itertools.count()

    def noticed() -> bool:
        sell(wrong_price(next(numbers)))
        time.sleep(4)
        return bool(alerts(database, "lines"))

    wait_for(noticed, "an alert on a price")


@pytest.mark.timeout(900)
def test_a_killed_watch_comes_back_and_raises_nothing_twice(
    start: Callable[..., subprocess.Popen[str]], database: Database, tmp_path: Path
) -> None:
    # An hour that ends while the test runs is judged as well, and so is one that has ended since the past was made
    old = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    server = start("serve")
    wait_for(lambda: "ready: http" in (tmp_path / "log").read_text(), "it is ready")
    [url] = re.findall(r'ready: (http[^\s"]+)', (tmp_path / "log").read_text())
    with httpx.Client(base_url=url, timeout=60) as client:
        wait_for(lambda: alerts(database, "series"), "an alert on the day without the south")
        wait_for(lambda: series_watched(client) > 0, "the watch's figures among the server's")
        first = watcher_of(server)
        assert first is not None
        assert heavy_parts(server) == set()
        raised = alerts(database, "series", old)
        first.kill()
        answer = client.post("/api/v1/auth/token", json={"username": "admin", "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        sell_until_noticed(lambda sale: client.post("/api/v1/sales", json=[sale]).raise_for_status(), database)
        assert alerts(database, "series", old) == raised
        with signed_in(url) as browser:
            shown = partial(in_api, client), Tiles(browser, url)
            wait_for(lambda: all_show(database, *shown), "API and tiles equal the database")
    assert len(set(alerts(database, "lines"))) == len(alerts(database, "lines")), "none is raised twice"
    said = logged(tmp_path / "log")
    assert {looks for looks, _alerts in said} == {"series-watch", "line-watch"}
    with database.session() as session:
        assert sorted({number for _looks, number in said}) == session.scalars(select(Alert.id).order_by(Alert.id)).all()
    second = watcher_of(server)
    assert second is not None
    assert second.pid != first.pid
    server.kill()
    server.wait()
    wait_for(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, "the watch's end")


@pytest.mark.timeout(600)
def test_an_ingesting_process_alone_watches_series_and_lines_and_hands_over_when_it_stops(
    start: Callable[..., subprocess.Popen[str]], database: Database, kafka: KafkaServer, till: Till
) -> None:
    ingesting = start("ingest", NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS=kafka.url, NEBULOVIZ_KAFKA_TOPIC=till.topic)

    def sell(sale: dict[str, object]) -> None:
        till.send(orjson.dumps(sale), 0)
        till.flush()

    wait_for(lambda: alerts(database, "series"), "an alert on the day without the south")
    sell_until_noticed(sell, database)
    assert heavy_parts(ingesting) == set()
    ingesting.send_signal(signal.SIGTERM)
    assert ingesting.wait(timeout=PATIENCE_SECONDS) == 0
    with database.session() as session:
        assert session.scalars(select(Lease.expires_at).where(Lease.name == SERIES_TASK)).one() <= datetime.now(UTC)
