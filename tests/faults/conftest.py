"""A producer with a ledger, and ingesting processes that may be killed."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from kafka import KafkaProducer
from prometheus_client import REGISTRY
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions
from nebuloviz.ingest.failpoints import VARIABLE
from nebuloviz.ingest.kafka_source import KafkaSource
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import IngestOffset
from nebuloviz.services.checkup import Checkup
from nebuloviz.services.interfaces import InstallationSettings, Level
from nebuloviz.services.monitoring import InstallationFigures
from nebuloviz.settings import load
from tests.faults.worker import BATCH, SESSION_TIMEOUT_MS
from tests.ingest.support import Ledger
from tests.servers import KafkaServer

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60.0
#: How fast the machine is decides nothing: what shall be done in five seconds has four times as long before it counts as hanging.
RESUMES_SECONDS, UNREADY_SECONDS, ENDS_SECONDS = 4 * 5.0, 4 * 30.0, 4 * 10.0
FLAT_BYTES = 20_000_000
HORIZON = timedelta(days=30)
Running = Callable[..., Consumer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            # When a broker dies, kafka-python leaves its sockets to the garbage collector
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(autouse=True)
def _no_garbage_for_others(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collects those sockets here, where they are expected, and not in whatever test comes next."""
    yield
    caplog.get_records("call").clear()  # logged errors hold on to some
    gc.collect()


class Till:
    """Sends to one topic and keeps the ledger."""

    def __init__(self, kafka: KafkaServer, topic: str) -> None:
        self.topic = topic
        self.ledger = Ledger()
        self._producer = KafkaProducer(
            bootstrap_servers=kafka.url,
            acks="all",
            linger_ms=20,
            compression_type="lz4",
            reconnect_backoff_max_ms=500,  # and not 30 s, when the broker has been away for longer
            metadata_max_age_ms=1_000,  # and not five minutes, when the topic has got more partitions
        )

    def sell(self, sales: list[dict[str, Any]], partitions: int) -> None:
        """The lines of an order go round the partitions, so that every order is shared between consumers."""
        for number, sale in enumerate(sales):
            self.send(orjson.dumps(sale), number % partitions)
        self.ledger.add(sales)
        self.flush()

    def send(self, value: bytes | None, partition: int) -> Any:
        """The producer's future of where it is."""
        key = (self.topic, partition)
        self.ledger.sent[key] = self.ledger.sent.get(key, 0) + 1
        return self._producer.send(self.topic, key=b"order", value=value, partition=partition)

    def reject(self, value: bytes | None, partition: int, reason: str) -> None:
        """Send what must become a dead letter."""
        sent = self.send(value, partition)
        self.flush()
        self.ledger.rejected[reason] = self.ledger.rejected.get(reason, 0) + 1
        self.ledger.refused[self.topic, partition, sent.get(30).offset] = reason

    def flush(self) -> None:
        """Wait until the broker has all of it: what follows is in other batches."""
        self._producer.flush(30)

    def knows(self, partitions: int) -> bool:
        """Whether the topic has so many partitions, as far as the producer knows."""
        return len(self._producer.partitions_for(self.topic)) == partitions

    @property
    def sent(self) -> int:
        return sum(self.ledger.sent.values())

    def close(self) -> None:
        self._producer.close(timeout=5)
        del self._producer  # with the sockets that it has left open, while those are expected


@pytest.fixture
def till(kafka: KafkaServer, kafka_topic: Callable[..., str]) -> Iterator[Till]:
    """On a topic of three partitions."""
    till = Till(kafka, kafka_topic(partitions=3))
    yield till
    till.close()


def operators_are_told_of(database: Database, lost: int, folder: Path) -> None:
    """That records were lost shows in the figure that the alert asks for, and in the words of the checkup."""
    InstallationFigures(database, InstallationSettings, folder).step()
    assert REGISTRY.get_sample_value("nebuloviz_records_lost") == lost
    settings = load(
        database_url=database.url.render_as_string(hide_password=False), data_dir=folder, secret_key="x" * 9
    )
    checkup = Checkup(settings, database, Cache(None, secret="x"), InstallationSettings)
    [stream] = [finding for finding in checkup.look() if finding.name == "stream"]
    assert stream.level is Level.NOTE
    assert f"{lost} records were lost" in stream.detail


class Workers:
    """Ingesting processes of one group."""

    def __init__(self, url: str, kafka: KafkaServer, topic: str) -> None:
        self.url = url
        self._arguments = [url, kafka.url, topic, f"group-{topic}"]
        self._started: list[subprocess.Popen[str]] = []

    def start(self, failpoint: str = "", *how: str) -> subprocess.Popen[str]:
        environment = {**os.environ, VARIABLE: failpoint} if failpoint else dict(os.environ)
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.faults.worker", *self._arguments, *how]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def log_of(self, process: subprocess.Popen[str]) -> str:
        """What a process has said; one that still runs is aborted, and says where it was."""
        if process.poll() is None:
            process.send_signal(signal.SIGABRT)
        return process.communicate(timeout=ENDS_SECONDS)[1]

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(timeout=ENDS_SECONDS)
            if process.stderr:
                process.stderr.close()


@pytest.fixture
def workers(migrated_postgres_url: str, kafka: KafkaServer, till: Till) -> Iterator[Workers]:
    workers = Workers(migrated_postgres_url, kafka, till.topic)
    yield workers
    workers.end()


@pytest.fixture
def postgres_database(migrated_postgres_url: str) -> Iterator[Database]:
    database = Database(migrated_postgres_url)
    yield database
    database.dispose()


@pytest.fixture
def start(postgres_database: Database, kafka: KafkaServer, till: Till) -> Iterator[Running]:
    """`start(**options)` starts the program's consumer in a thread, with `Consumer`'s options; with its own times or shorter ones."""
    running: list[Consumer] = []

    def start_one(session_timeout_ms: int = SESSION_TIMEOUT_MS, **options: Any) -> Consumer:
        source = KafkaSource(kafka.url, till.topic, f"group-{till.topic}", BATCH, session_timeout_ms)
        sink = DatabaseSink(postgres_database, ZoneInfo("UTC"))
        consumer = Consumer(source, sink, ConsumerOptions(HORIZON, 100), **options)
        consumer.start()
        running.append(consumer)
        return consumer

    yield start_one
    for consumer in running:
        consumer.stop()
    assert all(consumer.join(ENDS_SECONDS) for consumer in running)


def stored(database: Database) -> int:
    """Records that have been dealt with; 0 while the database does not answer."""
    dealt_with = IngestOffset.n_ok + IngestOffset.n_duplicate + IngestOffset.n_rejected
    try:
        with database.session() as session:
            return int(session.scalar(select(func.sum(dealt_with))) or 0)
    except DBAPIError:
        return 0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_for(
    condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS, *, every_seconds: float = 0.05
) -> float:
    """Wait until `condition` holds; how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"{what}: not within {seconds} s"
        time.sleep(every_seconds)
    return time.monotonic() - start
