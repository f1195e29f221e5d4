"""The sample at work: a child loads its history, the rest replays here."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from nebuloviz import child, settings
from nebuloviz.bootstrap.parts import parts
from nebuloviz.bootstrap.program import Program
from nebuloviz.db import Database
from nebuloviz.ingest import failpoints, tasks
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.recount import differences
from nebuloviz.ingest.sample import Demo
from nebuloviz.ingest.sample_data import SampleFile, data_folder
from nebuloviz.ingest.sample_plan import HISTORY, LIVE, plan_at
from nebuloviz.ingest.sample_stream import SampleStream
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import ImportJob, SaleRow
from nebuloviz.observability import HealthChecks

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
SHARE = 100  # one basket in so many
PATIENCE_SECONDS = 60.0

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's files with a part of the baskets."""
    where = tmp_path_factory.mktemp("sample")
    whole = pq.read_table(data_folder() / "transactions.parquet")
    kept = whole["basket_id"].to_numpy() % SHARE == 0
    pq.write_table(whole.filter(pa.array(kept)), where / "transactions.parquet")
    (where / "products.parquet").write_bytes((data_folder() / "products.parquet").read_bytes())
    return where


@pytest.fixture(autouse=True)
def _many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nebuloviz.ingest.sample.HISTORY_LINES", 1000)


@pytest.fixture(scope="module")
def size(folder: Path) -> int:
    return SampleStream(SampleFile(folder), plan_at(NOW)).history_size()


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    database = Database(migrated_sqlite_url)
    yield database
    database.dispose()


@pytest.fixture
def told() -> list[Written]:
    return []


@pytest.fixture
def demo(database: Database, folder: Path, told: list[Written]) -> Iterator[Callable[[], Demo]]:
    """Starts the sample, as each start of the program does."""
    started: list[Demo] = []

    def start() -> Demo:
        storage = tasks.Storage.of(database, "UTC", "")
        sink = DatabaseSink(database, ZoneInfo("UTC"))
        started.append(Demo(database, sink, storage, [told.append], folder=folder, now=lambda: NOW))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()
        assert one.join(PATIENCE_SECONDS)


def stored(database: Database) -> int:
    with database.session() as session:
        return int(session.scalar(select(func.count()).select_from(SaleRow)) or 0)


def loaded(database: Database) -> bool:
    with database.session() as session:
        return session.scalar(select(ImportJob.state).where(ImportJob.topic == HISTORY.topic)) == "done"


def children() -> list[int]:
    """Processes of tasks that this one started; servers of other tests run below it as well, with tasks of their own."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if any(child.__name__ in word for word in process.cmdline()):
                found.append(process.pid)
    return found


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestHistory:
    def test_it_is_loaded_whole_and_told_and_then_no_child_is_left(
        self, demo: Callable[[], Demo], database: Database, told: list[Written], size: int
    ) -> None:
        demo()
        wait_for(lambda: loaded(database))
        wait_for(lambda: not children())
        assert stored(database) == size
        assert sum(written.accepted for written in told) == size
        assert len({day for written in told for day in written.days}) > 300
        assert differences(database, "UTC") == []

    def test_a_child_that_was_killed_half_way_is_followed_by_one_that_goes_on(
        self, demo: Callable[[], Demo], database: Database, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(failpoints.VARIABLE, "before_commit:5")  # of each child
        demo()
        wait_for(lambda: stored(database))
        monkeypatch.delenv(failpoints.VARIABLE)
        wait_for(lambda: loaded(database))
        assert stored(database) == size
        assert differences(database, "UTC") == []

    def test_stopped_while_loading_it_leaves_no_process_and_goes_on_at_the_next_start(
        self, demo: Callable[[], Demo], database: Database, size: int
    ) -> None:
        first = demo()
        wait_for(lambda: stored(database))
        first.stop()
        assert first.join(PATIENCE_SECONDS)
        assert children() == []
        assert not loaded(database)
        assert 0 < stored(database) < size
        demo()
        wait_for(lambda: loaded(database))
        assert stored(database) == size

    def test_once_loaded_it_is_not_looked_at_again(
        self, demo: Callable[[], Demo], database: Database, told: list[Written]
    ) -> None:
        first = demo()
        wait_for(lambda: loaded(database))
        first.stop()
        assert first.join(PATIENCE_SECONDS)
        told.clear()
        again = demo()
        wait_for(lambda: "starting" not in again.health().detail)
        assert told == []


def test_live_lines_replay_block_by_block_and_without_a_gap(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("nebuloviz.ingest.sample.LIVE_LINES", 50)
    told: list[Written] = []
    later = datetime(2026, 11, 25, 11, 30, tzinfo=UTC)
    moments = [NOW]
    storage = tasks.Storage.of(database, "UTC", "")
    sink = DatabaseSink(database, ZoneInfo("UTC"), now=lambda: moments[0])
    demo = Demo(database, sink, storage, [told.append], folder=folder, now=lambda: moments[0])
    demo.start()
    wait_for(lambda: loaded(database))
    moments[0] = later
    live = SampleStream(SampleFile(folder), plan_at(NOW)).live(size)
    due = sum(1 for _ in iter(lambda: next(live).due <= later, False))
    assert due > 100
    wait_for(lambda: stored(database) == size + due)
    demo.stop()
    assert demo.join(PATIENCE_SECONDS)
    assert {written.topic for written in told} == {HISTORY.topic, LIVE.topic}


@pytest.mark.parametrize("declined", [{"demo": "off"}, {"kafka_bootstrap_servers": "127.0.0.1:1"}])
def test_declined_it_starts_nothing(tmp_path: Path, declined: dict[str, str]) -> None:
    these = parts(settings.load(data_dir=tmp_path, ingest_in_app=False, **declined))
    program = Program(these, HealthChecks())
    program.start()
    try:
        assert program._intake is None
    finally:
        program.stop()
