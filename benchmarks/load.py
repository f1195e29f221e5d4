"""Readers of Overview while sales arrive: how long callbacks take, and how soon a sale is on the screen and in the API.

`python app.py` with made-up sales in PostgreSQL takes in what is sent to a Kafka broker. Each reader asks what an open page asks,
over HTTP: the stamp as often as it does, and the whole page when that has changed. They look at five different pages, so that
an answer can be shared by five of them, and share this machine with all they ask.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import psutil

from benchmarks.program import PASSWORD, filled_program
from benchmarks.table import Figure
from nebuloviz.clock import utc_now
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from nebuloviz.settings import Settings
from tests.servers import KafkaServer

READERS, SALES_A_SECOND, SECONDS = 25, 500, 60.0
VIEWS = ("", "?range=7d", "?range=90d", "?metric=orders", "?metric=units&range=7d")
_MARK = "Mark"  # the category of sales that are looked for
_REFRESH_SECONDS = float(Settings.model_fields["refresh_seconds"].default)
_MARK_SECONDS, _LOOK_SECONDS, _PATIENCE_SECONDS = 3.0, 0.1, 30.0
_CREDENTIALS = {"username": "admin", "password": PASSWORD}


def figures() -> Iterator[Figure]:
    """One run of `SECONDS`, once every reader has seen the page."""
    kafka = KafkaServer.started()
    try:
        topic = kafka.create_topic(partitions=3)
        settings = {
            "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url,
            "NEBULOVIZ_KAFKA_TOPIC": topic,
        }
        with filled_program(**settings) as (process, address, _password):
            readers = everybody(address)
            cold = readers[0].times["page"][0]
            seen = run(readers, address, kafka.url, topic, SECONDS)
            yield from shown(readers, cold, seen)
            rss = psutil.Process(process.pid).memory_info().rss / 2**20
            yield Figure("memory of the web process, at the end", rss, "MB", "350 MB", rss / 350, "<= 1")
    finally:
        kafka.close()


def everybody(address: str, password: str = PASSWORD) -> list[Reader]:
    """All of them, with the page open."""
    return [Reader(address, number / READERS, VIEWS[number % len(VIEWS)], password) for number in range(READERS)]


class Reader:
    """Somebody signed in, with Overview open as the URL's query `search` says; `times` are seconds by what was asked.

    What is `refused` is asked once more, as whoever reads would; what is then refused as well is `denied`.
    """

    def __init__(self, address: str, phase: float, search: str, password: str = PASSWORD) -> None:
        self._client = httpx.Client(base_url=address, timeout=10 * _PATIENCE_SECONDS)
        [csrf] = re.findall(r'name="csrf_token" value="([^"]+)"', self._client.get("/login").text)
        self._client.post("/login", data={"username": "admin", "password": password, "csrf_token": csrf})
        self._known = {each["output"]: each for each in self._client.get("/_dash-dependencies").json()}
        self._phase = phase
        self._search = search
        self._stamp = ""
        self.times: dict[str, list[float]] = defaultdict(list)
        self.refused = self.denied = 0
        self._look()

    def _look(self) -> None:
        self.page = self._ask("page", "overview-content.children", search=self._search, data=self._stamp)

    def read(self, until: float) -> None:
        time.sleep(self._phase * _REFRESH_SECONDS)
        while time.monotonic() < until:
            start = time.monotonic()
            answer = self._ask("stamp", "shell-stamp.data", n_intervals=1, data=self._stamp)
            found = answer.get("shell-stamp", {}).get("data", self._stamp)
            if found != self._stamp:
                self._stamp = found
                self._look()
            time.sleep(max(0.0, start + _REFRESH_SECONDS - time.monotonic()))

    def _ask(self, what: str, output: str, **values: Any) -> dict[str, Any]:
        known = next(each for name, each in self._known.items() if output in name)
        ids = [part.rpartition(".") for part in known["output"].strip(".").split("...")]
        parts = [{"id": id, "property": prop} for id, _, prop in ids]
        inputs = [
            item | {"value": item["id"] if item["property"] == "id" else values.get(item["property"])}
            for item in known["inputs"]
        ]
        body = {
            "output": known["output"],
            "outputs": parts if known["output"].startswith("..") else parts[0],
            "inputs": inputs,
            "state": [item | {"value": values.get(item["property"])} for item in known["state"]],
            "changedPropIds": [f"{item['id']}.{item['property']}" for item in inputs],
        }
        start = time.perf_counter()
        answer = self._client.post("/_dash-update-component", json=body)
        self.times[what].append(time.perf_counter() - start)
        if answer.status_code >= 400:
            self.refused += 1
            answer = self._client.post("/_dash-update-component", json=body)
            self.denied += answer.status_code >= 400
        found: dict[str, Any] = answer.json()["response"] if answer.status_code == 200 else {}
        return found


class MarkReader(Reader):
    """A reader who looks at the marks alone; `on_screen` are the seconds until a mark that was `sent` is in the page's answer."""

    def __init__(self, address: str) -> None:
        self.sent: list[float] = []
        self.on_screen: list[float] = []
        super().__init__(address, 0.5, f"?range=7d&f.category={_MARK}")

    def _look(self) -> None:
        super()._look()
        now = time.monotonic()
        [orders] = re.findall(
            r'"Orders", "className": "nv-tile-label".*?"children": "(\d+|–)"', json.dumps(self.page)
        ) or ["0"]
        for sent in self.sent[len(self.on_screen) : int(orders) if orders.isdigit() else 0]:
            self.on_screen.append(now - sent)


@dataclass
class Seen:
    """Seconds from a sale's sending until it is in an answer of the API, and in that of a page."""

    in_api: list[float]
    on_screen: list[float]


def run(readers: list[Reader], address: str, kafka_url: str, topic: str, seconds: float) -> Seen:
    """Let everybody read and sales arrive for so long."""
    sales = encoded(simulated_sales(seed=1))
    count = int(SALES_A_SECOND * seconds)
    until = time.monotonic() + seconds
    in_api: list[float] = []
    marks = MarkReader(address)
    with _threads(seconds) as start:
        start(send, kafka_url, topic, islice(sales, count), SALES_A_SECOND, count)
        for reader in (*readers, marks):
            start(reader.read, until)
        start(_look_for_marks, address, kafka_url, topic, until, marks.sent, in_api)
    return Seen(in_api, marks.on_screen)


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


def _look_for_marks(
    address: str, kafka_url: str, topic: str, until: float, sent: list[float], seen: list[float]
) -> None:
    with httpx.Client(base_url=address, timeout=_PATIENCE_SECONDS) as api:
        token = api.post("/api/v1/auth/token", json=_CREDENTIALS).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        while time.monotonic() < until:
            name = f"mark-{len(seen)}-{time.time_ns()}"
            sale = next(simulated_sales(seed=len(seen))) | {"product_id": name, "product": name, "category": _MARK}
            start = time.monotonic()
            send(kafka_url, topic, encoded([sale]), 0, 1)
            sent.append(time.monotonic())
            while not _is_there(api, name) and time.monotonic() < sent[-1] + _PATIENCE_SECONDS:
                time.sleep(_LOOK_SECONDS)
            seen.append(time.monotonic() - sent[-1])
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


def shown(readers: list[Reader], cold: float, seen: Seen) -> Iterator[Figure]:
    """What the readers met."""
    stamps = [seconds for reader in readers for seconds in reader.times["stamp"]]
    pages = [seconds for reader in readers for seconds in reader.times["page"][1:]]
    for name, found, most in (
        ("the whole page, first of all", [cold], 0.8),
        ("the stamp, p95", stamps, 0.3),
        ("the whole page after news, p95", pages, 0.8),
        ("a sale sent to Kafka to the API's answer, p95", seen.in_api, 1.0),
        ("a sale sent to Kafka to a page's answer, p95", seen.on_screen, 3.0),
    ):
        seconds = sorted(found)[int(0.95 * (len(found) - 1))] if found else float("nan")
        yield Figure(name, seconds, "s", f"{most:g} s, of {len(found)} times", seconds / most, "<= 1")
    yield Figure("refused or failed", sum(reader.refused for reader in readers), "", "", None, "0")
