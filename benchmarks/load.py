"""Readers of Overview while sales arrive: how long callbacks take, and how soon a sale is on the screen and in the API.

`python app.py` with made-up sales in PostgreSQL takes in what is sent to a Kafka broker. The readers are locust's, in a process of
their own (benchmarks/locustfile.py), and share this machine with all they ask.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import httpx
import psutil

from benchmarks.program import PASSWORD, ROOT, filled_program
from benchmarks.table import Figure
from nebuloviz.clock import utc_now
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from tests.servers import KafkaServer

READERS, SALES_A_SECOND, PAGES = 25, 500, 6
_MARK = "Mark"  # the category of sales that are looked for
_REFUSED = re.compile(r"\d+ [a-z ]+: (\d+) ")  # in the readers' log
_AGAIN = ", again"  # how the name of what is asked once more ends
_MARK_SECONDS, _LOOK_SECONDS, _PATIENCE_SECONDS = 3.0, 0.1, 30.0
_OPENING_SECONDS = 900.0
_SIGNED_IN_SECONDS = 600.0  # a token ends before a soak does
_CREDENTIALS = {"username": "admin", "password": PASSWORD}


def figures(minutes: float = 1.0, pages: int = PAGES, database: str = "") -> Iterator[Figure]:
    """One run of so many minutes, once every reader has seen the page; see `run`, and of `database` `benchmarks.program.filled`."""
    kafka = KafkaServer.started()
    try:
        topic = kafka.create_topic(partitions=3)
        settings = {
            "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url,
            "NEBULOVIZ_KAFKA_TOPIC": topic,
        }
        with filled_program(database, **settings) as (process, address, _password):
            yield from shown(run(address, kafka.url, topic, minutes * 60, pages))
            rss = psutil.Process(process.pid).memory_info().rss / 2**20
            yield Figure("memory of the web process, at the end", rss, "MB", "350 MB", rss / 350, "<= 1")
    finally:
        kafka.close()


@dataclass
class Readers:
    """What readers met, once they have ended: locust's statistics, whose names are who asked and what."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""  # with what was refused, and how

    def met(self, what: str) -> list[float]:
        """The seconds of each `first page`, `stamp`, `page`, `sale` or `mark`, in order, to two digits, as locust keeps them."""
        times: Counter[str] = Counter()
        for entry in self.entries:
            if entry["name"].partition(" ")[2] == what:
                times.update(entry["response_times"])
        return sorted(float(each) / 1000 for each in times.elements())

    def refused(self) -> Counter[str]:
        """How much, by reader; it was asked once more."""
        found: Counter[str] = Counter()
        for entry in self.entries:
            if not entry["name"].endswith(_AGAIN):
                found[entry["name"].partition(" ")[0]] += entry["num_failures"]
        return found

    def statuses(self) -> set[int]:
        """How requests were refused; 0: not at all answered."""
        return {int(status) for status in _REFUSED.findall(self.log)}

    def denied(self) -> int:
        """How much was refused when it was asked once more as well."""
        return sum(entry["num_failures"] for entry in self.entries if entry["name"].endswith(_AGAIN))


@contextmanager
def reading(
    address: str,
    password: str = PASSWORD,
    ledger: Ledger | None = None,
    pages: int = PAGES - 1,
    count: int = READERS,
) -> Iterator[Readers]:
    """So many read while the block runs, each with one of `pages` open before. One more looks at the marks of a `ledger`, if any.

    More different pages than the readers' five are that one's.
    """
    users = ["Reader", "MarkReader"] if ledger and pages == PAGES else ["Reader"]
    all_of_them = str(count + len(users) - 1)
    readers = Readers()
    with tempfile.TemporaryDirectory() as folder:
        log, found = Path(folder, "log"), Path(folder, "found.json")
        words = ["--headless", "--only-summary", "--users", all_of_them, "--spawn-rate", all_of_them, "--host", address]
        words += ["--pages", str(min(pages, PAGES - 1))]
        words += ["--json-file", str(found.with_suffix("")), "--logfile", str(log)]
        words += (
            [] if ledger is None else ["--sent", str(ledger.sent), "--marks", str(ledger.marks), "--category", _MARK]
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "--locustfile", "benchmarks/locustfile.py", *words, *users],
            cwd=ROOT,
            env=os.environ | {"READERS_PASSWORD": password},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        try:
            _wait_for_all(process, log)
            yield readers
        finally:
            process.terminate()
            process.communicate(timeout=_OPENING_SECONDS)
        if process.returncode != 0:
            raise RuntimeError(log.read_text(encoding="utf-8"))
        readers.entries += json.loads(found.read_text(encoding="utf-8"))
        readers.log = log.read_text(encoding="utf-8")


def _wait_for_all(process: subprocess.Popen[bytes], log: Path) -> None:
    says = cast("IO[bytes]", process.stdout)
    if not (select.select([says], [], [], _OPENING_SECONDS)[0] and says.readline()):
        raise RuntimeError(log.read_text(encoding="utf-8"))


@dataclass
class Seen:
    """What readers met, and seconds from a sale's sending until it is in an answer of the API."""

    readers: Readers
    in_api: list[float]


def run(address: str, kafka_url: str, topic: str, seconds: float, pages: int = PAGES, readers: int = READERS) -> Seen:
    """Let everybody read and sales arrive for so long.

    The `readers` look at so many different pages: with 1 all at Overview as it opens, with 6 at five, and one more at a page of the
    marked sales that nobody else looks at.
    """
    count = int(SALES_A_SECOND * seconds)
    in_api: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        sales = encoded(ledger.noted(simulated_sales(seed=1), ledger.sent))
        with reading(address, ledger=ledger, pages=pages, count=readers) as seen, _threads(seconds) as start:
            until = time.monotonic() + seconds
            start(send, kafka_url, topic, islice(sales, count), SALES_A_SECOND, count)
            start(_look_for_marks, address, kafka_url, topic, until, ledger, in_api)
    return Seen(seen, in_api)


class Ledger:
    """When orders were sent: two files in `folder`, one of all, one of the marked ones alone."""

    def __init__(self, folder: Path) -> None:
        self.sent, self.marks = folder / "sent", folder / "marks"
        self.sent.touch()
        self.marks.touch()

    def _note(self, file: Path) -> None:
        with file.open("a", encoding="ascii") as opened:
            opened.write(f"{time.monotonic()}\n")

    def noted(self, sales: Iterable[dict[str, Any]], *files: Path) -> Iterator[dict[str, Any]]:
        """`sales` in turn; of the first line of each order `files` tell when it was asked for, which is just before it is sent."""
        last = ""
        for sale in sales:
            if sale["order_id"] != last:
                last = sale["order_id"]
                for file in files:
                    self._note(file)
            yield sale


@contextmanager
def _threads(seconds: float) -> Iterator[Any]:
    """Starts functions in threads; when it is left, all have ended."""
    threads: list[threading.Thread] = []

    def start(work: Any, *arguments: Any) -> None:
        threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(seconds + 2 * _PATIENCE_SECONDS)


def _look_for_marks(address: str, kafka_url: str, topic: str, until: float, ledger: Ledger, seen: list[float]) -> None:
    with httpx.Client(base_url=address, timeout=_PATIENCE_SECONDS) as api:
        signed_in_at = float("-inf")
        while time.monotonic() < until:
            if time.monotonic() - signed_in_at > _SIGNED_IN_SECONDS:
                token = api.post("/api/v1/auth/token", json=_CREDENTIALS).json()["access_token"]
                api.headers["Authorization"] = f"Bearer {token}"
                signed_in_at = time.monotonic()
            name = f"mark-{len(seen)}-{time.time_ns()}"
            sale = next(simulated_sales(seed=len(seen))) | {"product_id": name, "product": name, "category": _MARK}
            start = time.monotonic()
            send(kafka_url, topic, encoded(ledger.noted([sale], ledger.sent, ledger.marks)), 0, 1)
            sent = float(ledger.marks.read_text("ascii").split()[-1])
            while not _is_there(api, name) and time.monotonic() < sent + _PATIENCE_SECONDS:
                time.sleep(_LOOK_SECONDS)
            seen.append(time.monotonic() - sent)
            time.sleep(max(0.0, start + _MARK_SECONDS - time.monotonic()))


def _is_there(api: httpx.Client, product: str) -> bool:
    now = utc_now()
    question = {
        "metrics": ["units"],
        "dimensions": [],
        "start": now.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(),
        "end": now.isoformat(),
        "filters": [{"dimension": "product", "op": "in", "values": [product]}],
    }
    answer = api.post("/api/v1/query", json=question)
    return answer.status_code == 200 and any(value for row in answer.json()["rows"] for value in row)


def shown(seen: Seen) -> Iterator[Figure]:
    """What the readers met, without those who only opened the page."""
    readers = seen.readers
    for name, found, most in (
        ("the whole page, the slowest of those that open it", readers.met("first page")[-1:], 0.8),
        ("the stamp, p95", readers.met("stamp"), 0.3),
        ("the whole page after news, p95", readers.met("page"), 0.8),
        ("a sale sent to Kafka to the API's answer, p95", sorted(seen.in_api), 1.0),
        ("a sale sent to Kafka to what each reader sees, p95", readers.met("sale"), 3.0),
        ("the same of a page that nobody else looks at, p95", readers.met("mark"), 3.0),
    ):
        seconds = p95(found)
        middle = f", median {found[len(found) // 2]:.2g} s" if found else ""
        yield Figure(name, seconds, "s", f"{most:g} s, of {len(found)} times{middle}", seconds / most, "<= 1")
    yield Figure("refused or failed", readers.refused().total(), "", "", None, "0")


def p95(found: list[float]) -> float:
    """Of what is in order."""
    return found[int(0.95 * (len(found) - 1))] if found else float("nan")
