"""More readers than there is room for, and a watch that learns anew while 25 read: `python -m benchmarks pressure`.

One process that serves and ingests, as in `benchmarks.load`, with 500 sales a second throughout. First 25 read as usual; then 100,
and 25 again as soon as these have left; then 25 while the watch over series learns eleven weeks anew, again and again, because an
administrator changes how many false alerts it may raise: nothing else changes for those who read.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from benchmarks.load import Seen, p95, run
from benchmarks.program import PASSWORD, filled_program
from benchmarks.table import Figure
from tests.servers import KafkaServer

CROWD, SECONDS = 100, 30.0
_TOLD = {429, 503}  # to those who are too many
_LOOK_SECONDS, _PATIENCE_SECONDS = 0.5, 300.0


def figures(database: str = "") -> Iterator[Figure]:
    """Of `database` see `benchmarks.program.filled`."""
    kafka = KafkaServer.started()
    try:
        topic = kafka.create_topic(partitions=3)
        settings = {"NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka.url, "NEBULOVIZ_KAFKA_TOPIC": topic}
        with (
            filled_program(database, **settings) as (_process, address, _password),
            _administrator(address) as admin,
        ):
            _wait_until_learned(admin, "")
            before = run(address, kafka.url, topic, SECONDS)
            crowd = run(address, kafka.url, topic, SECONDS, readers=CROWD)
            after = run(address, kafka.url, topic, SECONDS)
            yield from _of_a_crowd(before, crowd, after)
            with _learning(admin) as learned:
                while_learning = run(address, kafka.url, topic, SECONDS)
            yield from _of_learning(after, while_learning, len(learned) - 1)
    finally:
        kafka.close()


def _of_a_crowd(before: Seen, crowd: Seen, after: Seen) -> Iterator[Figure]:
    others = sorted(crowd.readers.statuses() - _TOLD)
    refused = crowd.readers.refused().total()
    yield Figure(
        "refused of 100 readers, but with 429 or 503", len(others), "", f"{others}; {refused} in all", None, "0"
    )
    yield from _compared("25 readers after 100 have left", before, after, "")


def _of_learning(before: Seen, learning: Seen, times: int) -> Iterator[Figure]:
    yield Figure("times that the watch learned anew", times, "", "", None, "")
    yield from _compared("25 readers while the watch learns", before, learning, "<= 1.2")


def _compared(who: str, before: Seen, then: Seen, target: str) -> Iterator[Figure]:
    for what in ("stamp", "page"):
        usual, found = p95(before.readers.met(what)), p95(then.readers.met(what))
        yield Figure(f"{who}: {what}, p95", found, "s", f"{usual:.2g} s before", found / usual, target)


@contextmanager
def _administrator(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{address}/api/v1", timeout=_PATIENCE_SECONDS) as api:
        credentials = {"username": "admin", "password": PASSWORD}
        token = api.post("/auth/token", json=credentials).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        yield api


def _wait_until_learned(admin: httpx.Client, last: str) -> str:
    """When the watch over series has learned another time than `last`. Raises TimeoutError after five minutes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        [series] = [item for item in admin.get("/detectors").json()["items"] if item["name"] == "series"]
        if series["version"] and series["trained_at"] != last:
            return str(series["trained_at"])
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError("the watch has not learned")


@contextmanager
def _learning(admin: httpx.Client) -> Iterator[list[str]]:
    """Has the watch learn anew, again and again, until the block ends; the list says when."""
    stop, learned = threading.Event(), [""]

    def go_on() -> None:
        for allowed in itertools.cycle((1.1, 1.0)):
            if stop.is_set():
                return
            admin.patch("/settings", json={"false_alerts_per_week": allowed}).raise_for_status()
            learned.append(_wait_until_learned(admin, learned[-1]))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield learned
    finally:
        stop.set()
        thread.join(_PATIENCE_SECONDS)
