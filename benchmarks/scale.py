"""One, two and three consumers draining the same backlog of six partitions, and how soon a lost process is followed by another.

All of them share this machine with Kafka, PostgreSQL and each other, so beyond its cores more consumers cannot help.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import psutil
from sqlalchemy import select

from benchmarks.program import ingesting, stored
from benchmarks.servers import DeployedPostgres
from benchmarks.table import Figure
from nebuloviz import migrate
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from nebuloviz.models import Lease
from nebuloviz.services.watch_process import SERIES_TASK
from tests.cluster import scaled_out
from tests.servers import KafkaServer, RedisServer

SALES, PARTITIONS, CONSUMERS = 240_000, 6, (1, 2, 3)
_PATIENCE_SECONDS, _LOOK_SECONDS = 300.0, 0.05


def figures() -> Iterator[Figure]:
    """Each number of consumers into a database of its own, from the same topic."""
    with ExitStack() as servers:
        postgres, kafka, redis = DeployedPostgres.started(), KafkaServer.started(), RedisServer.started()
        for server in (postgres, kafka, redis):
            servers.callback(server.close)
        topic = kafka.create_topic(partitions=PARTITIONS)
        send(kafka.url, topic, islice(encoded(simulated_sales(seed=1)), SALES), 0, SALES)
        rates = [_drained(postgres, kafka, topic, consumers) for consumers in CONSUMERS]
        for consumers, rate in zip(CONSUMERS, rates, strict=True):
            with_one = f"one consumer, on {psutil.cpu_count()} cores"
            yield Figure(f"backlog drained by {consumers}", rate, "sales/s", with_one, rate / rates[0])
        seconds = _taken_over(postgres, redis, kafka)
        yield Figure("a lost watch is followed by another", seconds, "s", "15 s", seconds / 15, "<= 1")


def _database(postgres: DeployedPostgres) -> Database:
    database = Database(postgres.database_url(postgres.create_database()))
    migrate.upgrade(database)
    return database


def _drained(postgres: DeployedPostgres, kafka: KafkaServer, topic: str, consumers: int) -> float:
    """Sales a second from the first stored batch to the last, so without the time that starts take."""
    database = _database(postgres)
    address = database.url.render_as_string(hide_password=False)
    group = f"{topic}-{consumers}"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with ExitStack() as running:
        for _ in range(consumers):
            running.enter_context(ingesting(address, kafka.url, topic, NEBULOVIZ_KAFKA_GROUP=group))
        while not (before := stored(database, topic)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        start = time.perf_counter()
        while (done := stored(database, topic)) < SALES and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - start
    database.dispose()
    if done < SALES:
        raise TimeoutError(f"{done:,} of {SALES:,} sales were stored")
    return (done - before) / seconds


def _taken_over(postgres: DeployedPostgres, redis: RedisServer, kafka: KafkaServer) -> float:
    """Seconds from the loss of the elected process, and all that it had started, to the election of another one."""
    database = _database(postgres)
    address = database.url.render_as_string(hide_password=False)
    topic = kafka.create_topic(partitions=PARTITIONS)
    with (
        tempfile.TemporaryDirectory() as folder,
        scaled_out(Path(folder), address, redis.url, kafka.url, topic, serving=2, ingesting=1) as cluster,
    ):
        pids = {member.process.pid: member for member in cluster.members}
        first = _elected(database, set(pids), set())
        lost = psutil.Process(first)
        for process in [*lost.children(recursive=True), lost]:  # as a machine is lost: nobody is left to say goodbye
            process.kill()
        start = time.perf_counter()
        _elected(database, set(pids), {first})
        seconds = time.perf_counter() - start
    database.dispose()
    return seconds


def _elected(database: Database, among: set[int], but: set[int]) -> int:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with database.session() as session:
            alive = select(Lease.holder).where(Lease.name == SERIES_TASK, Lease.expires_at > utc_now())
            holder = session.scalar(alive)
        pid = int(holder.split(":")[-2]) if holder else 0
        if pid in among - but:
            return pid
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError("no process was elected")
