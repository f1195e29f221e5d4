"""500 sales a second and 25 readers for a long time: what they meet, whether memory stays flat, and whether every sale was kept once.

One process serves and one ingests, as in production, on PostgreSQL and a Kafka broker. In the end the backlog must be gone, each
sale that was sent must be stored, and every rollup must equal a recount.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import fmean
from typing import Self

import psutil
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import func, select

from benchmarks.load import PAGES, SALES_A_SECOND, run, shown
from benchmarks.program import filled, ingesting, running, stored
from benchmarks.table import Figure
from nebuloviz.db import Database
from nebuloviz.ingest.recount import Difference, differences
from nebuloviz.models import IngestOffset
from tests.servers import KafkaServer

PARTITIONS = 3
_SAMPLE_SECONDS, _DRAIN_SECONDS = 5.0, 60.0
_PARTS = 5  # memory of the last fifth is compared with that of the second: the first one warms up


def figures(minutes: float = 30.0, pages: int = PAGES, database: str = "") -> Iterator[Figure]:
    """One run of so many minutes; of `pages` see `benchmarks.load.run`, of `database` `benchmarks.program.filled`."""
    with ExitStack() as stack:
        kafka = KafkaServer.started()
        stack.callback(kafka.close)
        url = stack.enter_context(filled(database))
        topic, sales = kafka.create_topic(partitions=PARTITIONS), Database(url)
        stack.callback(sales.dispose)
        known = set(differences(sales, "UTC"))  # the made-up past is cut off in the middle of an order
        web, address, _folder = stack.enter_context(
            running(
                NEBULOVIZ_DATABASE_URL=url,
                NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS=kafka.url,
                NEBULOVIZ_KAFKA_TOPIC=topic,
                NEBULOVIZ_INGEST_IN_APP="false",
            )
        )
        consumer = stack.enter_context(ingesting(url, kafka.url, topic))
        with Memory({"web": web.pid, "consumer": consumer.pid}) as memory:
            seen = run(address, kafka.url, topic, minutes * 60, pages)
        yield from shown(seen)
        yield from memory.figures()
        yield from _kept(sales, kafka, topic, int(SALES_A_SECOND * minutes * 60), known)


class Memory:
    """Looks at processes every few seconds while the block runs, and at the share of a core that each used during it."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._found: dict[str, list[float]] = defaultdict(list)
        self._busy: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        for process in self._processes.values():
            process.cpu_percent()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._busy = {name: process.cpu_percent() / 100 for name, process in self._processes.items()}
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            for name, process in self._processes.items():
                self._found[name].append(process.memory_info().rss / 2**20)

    def figures(self) -> Iterator[Figure]:
        for name, most in (("web", 350), ("consumer", 250)):
            found = max(self._found[name])
            yield Figure(f"CPU of the {name} process", self._busy[name], "of a core", "", None, "")
            yield Figure(f"memory of the {name} process, most", found, "MB", f"{most} MB", found / most, "<= 1")
            last, second = self.last_and_second(name)
            yield Figure("  its last fifth", last, "MB", f"its second, {second:.0f} MB", last / second, "<= 1.1")

    def last_and_second(self, name: str) -> tuple[float, float]:
        """The means of its last fifth and of its second, in MB."""
        found = self._found[name]
        return _part(found, _PARTS - 1), _part(found, 1)


def _part(found: Sequence[float], number: int) -> float:
    length = max(1, len(found) // _PARTS)
    return fmean(found[number * length : (number + 1) * length] or found[-1:])


def _kept(database: Database, kafka: KafkaServer, topic: str, sent: int, known: set[Difference]) -> Iterator[Figure]:
    """What is left behind once nothing arrives any more. The marks that were looked for are sales too."""
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    reader = KafkaConsumer(bootstrap_servers=kafka.url)
    ends = sum(reader.end_offsets(partitions).values())
    reader.close()
    waiting = threading.Event()
    for _ in range(int(_DRAIN_SECONDS)):
        if stored(database, topic) >= ends:
            break
        waiting.wait(1.0)
    accepted = select(func.sum(IngestOffset.n_ok)).where(IngestOffset.topic == topic)
    with database.session() as session:
        kept = int(session.scalar(accepted) or 0)
    yield Figure("records that wait in the end", ends - stored(database, topic), "", "", None, "0")
    yield Figure("sales kept", kept, "", f"records sent, {ends:,} with the marks", kept / ends, "1")
    yield Figure("  fewer than were to be sent", max(0, sent - ends), "", "", None, "0")
    differ = set(differences(database, "UTC")) - known
    yield Figure("cells that differ from a recount", len(differ), "", "", None, "0")
