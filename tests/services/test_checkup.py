"""The status of an installation: what is found of it, in words, and that `nebuloviz doctor` puts the rollups right."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from kafka import KafkaProducer
from sqlalchemy import text

from nebuloviz import observability
from nebuloviz.cache import Cache
from nebuloviz.cli import main
from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS
from nebuloviz.errors import PermissionDenied
from nebuloviz.i18n import Preferences, use
from nebuloviz.models import DeadLetter, DetectorState, IngestGap, IngestMinute, IngestOffset, Installation, Lease
from nebuloviz.observability import Health
from nebuloviz.permissions import ROLES, SYSTEM, Actor
from nebuloviz.services.backup import LAST_BACKUP
from nebuloviz.services.checkup import TITLES, Checkup
from nebuloviz.services.interfaces import Finding, InstallationSettings, Level
from nebuloviz.services.server_versions import OLDEST, advice
from nebuloviz.services.watch_process import SERIES_TASK
from nebuloviz.settings import Settings, load
from tests.servers import KafkaServer

OLD = "the oldest that NebuloViz is made for: upgrade it."
SALE = "sale_id,order_id,sold_at,product_id,quantity,unit_price\n1,1,2026-01-05T23:30:00Z,p,1,2\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database file of an installation that the commands of the test work on."""
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(f"NEBULOVIZ_{name}", raising=False)
    source = tmp_path / "sales.csv"
    source.write_text(SALE, encoding="utf-8")
    assert main(["import", str(source)]) == 0
    return tmp_path / "nebuloviz.sqlite3"


def test_finds_nothing_wrong_where_nothing_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["doctor", "--recount"]) == 0
    found = {line.split()[1]: line.split()[0] for line in capsys.readouterr().out.splitlines()}
    noted = {"detection", "backup"}  # nobody watches, and nobody has made one
    assert found == {name: "note" if name in noted else "ok" for name in TITLES if name != "process"}
    assert file.is_file()


def test_finds_a_wrong_cell_and_puts_it_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(f"sqlite:///{file}")
    with database.transaction() as session:
        session.execute(text("UPDATE rollup_day SET revenue = revenue + 1"))
    database.dispose()
    assert main(["doctor", "--recount"]) == 1
    assert "doctor --rebuild" in capsys.readouterr().out
    assert main(["doctor", "--rebuild", "--recount"]) == 0


@pytest.mark.usefixtures("file")
def test_another_zone_needs_the_rollups_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEBULOVIZ_TIME_ZONE", "Europe/Berlin")
    assert main(["import", str(tmp_path / "sales.csv")]) == 2, "sales of other days must not be mixed in"
    assert "NEBULOVIZ_TIME_ZONE" in capsys.readouterr().err
    assert main(["doctor"]) == 1
    assert main(["doctor", "--rebuild", "--recount"]) == 0
    assert main(["import", str(tmp_path / "sales.csv")]) == 0


NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
SECRET = "a secret that is used by these tests only"
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(database: Database, tmp_path: Path) -> Look:
    """Findings by name, of an installation with these settings in which nothing has happened yet."""

    def look_now(background: Any = None, **settings: Any) -> dict[str, Finding]:
        given = load(database_url=str(database.where), data_dir=tmp_path, secret_key=SECRET, **settings)
        return _findings(given, database, background)

    return look_now


def _findings(settings: Settings, database: Database, background: Any) -> dict[str, Finding]:
    redis = settings.redis_url.get_secret_value() if settings.redis_url else None
    cache = Cache(redis, secret=SECRET, timeout_seconds=30)  # of a machine that may be busy
    checkup = Checkup(settings, database, cache, InstallationSettings, now=lambda: NOW)
    checkup.background = background
    found = {finding.name: finding for finding in checkup.findings(SYSTEM)}
    cache.close()
    return found


def test_a_database_without_its_tables_is_told_how_to_get_them(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    settings = load(database_url=database_url, data_dir=tmp_path, secret_key=SECRET)
    found = _findings(settings, database, None)["database"]
    database.dispose()
    assert found.level is Level.BAD
    assert "is at revision base" in found.detail
    assert "python -m nebuloviz migrate" in found.detail


def test_a_disk_that_is_nearly_full_is_told(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(total=1 << 40, used=(1 << 40) - (1 << 29), free=1 << 29)
    monkeypatch.setattr("nebuloviz.services.checkup.shutil.disk_usage", lambda _folder: usage)
    found = look()["disk"]
    assert found.level is Level.BAD
    assert "512.0 MiB" in found.detail
    assert "Free up space." in found.detail


def test_a_clock_that_is_wrong_is_told_where_the_database_has_another(
    look: Look, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nebuloviz.services.checkup.utc_now", lambda: datetime.now(UTC) + timedelta(minutes=10))
    found = look()["clock"]
    assert found.level is (Level.GOOD if database.is_sqlite else Level.BAD)
    assert ("Synchronize both with NTP" in found.detail) is not database.is_sqlite


def test_of_a_new_installation_notes_what_is_not_there_yet(look: Look) -> None:
    found = look()
    assert {name for name, finding in found.items() if finding.level is Level.NOTE} == {"detection", "backup"}
    assert not [finding for finding in found.values() if finding.level is Level.BAD]
    assert found["kafka"].detail == "Not configured."
    assert found["sales"].detail == "None has been streamed in yet."


def test_tells_in_words_what_the_database_knows(look: Look, database: Database) -> None:
    hour = timedelta(hours=1)
    with database.transaction() as session:
        session.add(
            IngestMinute(minute=NOW - 2 * hour, topic="sales", accepted=3, duplicate=0, rejected=1, late_seconds=0)
        )
        session.add(
            DeadLetter(
                topic="sales", partition=0, offset=7, reason="malformed", payload=b"x", payload_size=1, received_at=NOW
            )
        )
        session.add(
            IngestOffset(
                topic="sales", partition=4, next_offset=9, updated_at=NOW, halted_reason="it cannot be decoded"
            )
        )
        session.add(Lease(name=SERIES_TASK, holder="shop-1:77:ab", expires_at=NOW + hour))
        session.add(
            DetectorState(detector=HOURS, version="7", trained_at=NOW - 26 * hour, scored_until=NOW - hour, state=b"")
        )
        session.add(Installation(key=LAST_BACKUP, value=(NOW - 24 * 8 * hour).isoformat()))
    found = look(background=lambda: {"retention": Health(ok=False, detail="It failed 3 times.")})
    assert found["sales"].detail == (
        "The last one was streamed in 2 hours ago. One rejected record needs a decision on the Data page."
    )
    assert found["stream"].level is Level.BAD
    assert "sales/4: it cannot be decoded" in found["stream"].detail
    assert found["detection"].detail.startswith("Running in shop-1:77. Last trained 1 day ago; sales are checked up to")
    assert found["backup"].detail == "The last one was made 1 week ago. Schedule one every night."
    assert found["process"].level is Level.BAD
    assert found["process"].detail.endswith("deletion of expired records: It failed 3 times.")


def test_notes_for_a_week_what_was_lost_before_it_was_read(look: Look, database: Database) -> None:
    where = {"topic": "sales", "partition": 3}
    with database.transaction() as session:
        session.add(IngestGap(**where, first_offset=5, next_offset=25, noticed_at=NOW - timedelta(hours=2)))
        session.add(IngestGap(**where, first_offset=40, next_offset=41, noticed_at=NOW - timedelta(days=8)))
    found = look()["stream"]
    assert found.level is Level.NOTE
    assert "20 records were lost in the last seven days" in found.detail
    assert "sales/3: 5–24" in found.detail
    assert "2 hours ago" in found.detail
    with database.transaction() as session:
        session.add(IngestOffset(**where, next_offset=50, updated_at=NOW, halted_reason="it cannot be decoded"))
    found = look()["stream"]
    assert found.level is Level.BAD
    assert "20 records were lost" in found.detail


def test_is_in_the_readers_language(look: Look) -> None:
    with use(Preferences(language="de")):
        found = look()
    assert found["backup"].title == "Sicherung"
    assert found["kafka"].detail == "Nicht eingerichtet."


@pytest.mark.servers
def test_of_servers_that_do_not_answer_says_which(look: Look) -> None:
    found = look(redis_url="redis://127.0.0.1:1/0", kafka_bootstrap_servers="127.0.0.1:1")
    assert {name for name, finding in found.items() if finding.level is Level.BAD} == {"cache", "kafka"}
    assert "NEBULOVIZ_REDIS_URL" in found["cache"].detail


def test_of_a_database_that_is_away_says_so_and_goes_on(tmp_path: Path) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    found = _findings(load(database_url=away, data_dir=tmp_path, secret_key=SECRET), Database(away), None)
    assert found["database"].level is Level.BAD
    assert "NEBULOVIZ_DATABASE_URL" in found["database"].detail
    assert found["disk"].level is Level.GOOD


def test_counts_what_waits_in_kafka(
    look: Look,
    database: Database,
    kafka: KafkaServer,
    kafka_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = kafka_topic(partitions=2)
    assert look(kafka_bootstrap_servers=kafka.url, kafka_topic="none-such")["kafka"].level is Level.BAD
    producer = KafkaProducer(bootstrap_servers=kafka.url)
    for partition in (0, 0, 0, 1):
        producer.send(topic, b"x", partition=partition)
    producer.close()
    with database.transaction() as session:
        session.add(IngestOffset(topic=topic, partition=0, next_offset=1, updated_at=NOW))
    found = look(kafka_bootstrap_servers=kafka.url, kafka_topic=topic)["kafka"]
    broker = re.fullmatch(
        re.escape(kafka.url)
        + r" answers as Kafka (4\.\d) does; "
        + f"{topic} has 2 partitions. 3 records are waiting.",
        found.detail,
    )
    assert broker, found.detail
    assert found.level is Level.GOOD
    monkeypatch.setitem(OLDEST, "Kafka", "9.0")
    found = look(kafka_bootstrap_servers=kafka.url, kafka_topic=topic)["kafka"]
    assert found.level is Level.NOTE
    assert found.detail.endswith(f"It is older than Kafka 9.0, {OLD}")


class TestVersions:
    def test_of_the_database_is_what_it_says_itself(
        self, look: Look, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
        with database.session() as session:
            version = session.scalar(text(ask))
        server = "SQLite" if database.is_sqlite else "PostgreSQL"
        found = look()["database"]
        assert (found.level, f": {server} {version}, " in found.detail) == (Level.GOOD, True), found.detail
        monkeypatch.setitem(OLDEST, server, "99")
        found = look()["database"]
        assert found.level is Level.NOTE
        assert found.detail.endswith(f"It is older than {server} 99, {OLD}")

    def test_of_redis_is_what_it_says_itself(
        self, tmp_path: Path, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = load(database_url=sqlite_url, redis_url=redis_url, data_dir=tmp_path, secret_key=SECRET)
        database = Database(sqlite_url)
        with redis.Redis.from_url(redis_url) as client:
            version = client.info("server")["redis_version"]
            found = _findings(settings, database, None)["cache"]
            assert (found.level, found.detail) == (Level.GOOD, f"Redis {version} is responding.")
            monkeypatch.setitem(OLDEST, "Redis", "99.1")
            found = _findings(settings, database, None)["cache"]
            assert (found.level, found.detail) == (
                Level.NOTE, f"Redis {version} is responding. It is older than Redis 99.1, {OLD}",
            )  # fmt: skip
            client.acl_setuser("guest", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
            guest = load(
                database_url=sqlite_url,
                redis_url=redis_url.replace("//", "//guest:any@"),
                data_dir=tmp_path,
                secret_key=SECRET,
            )
            try:
                found = _findings(guest, database, None)["cache"]
            finally:
                client.acl_deluser("guest")
        database.dispose()
        assert (found.level, found.detail) == (Level.GOOD, "Redis is responding."), "who may not ask is no worse off"

    def test_that_are_old_enough_for_advice_are_those_that_the_page_names(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
        assert all(f"{server} {version}" in page for server, version in OLDEST.items())

    @pytest.mark.parametrize(
        ("server", "version", "old"),
        [
            ("PostgreSQL", "15.0", False), ("PostgreSQL", "14.99", True), ("PostgreSQL", "16beta1", False),
            ("Redis", "7.0.0", False), ("Redis", "6.2.14", True), ("Redis", "10.0.1", False),
            ("Kafka", "3.9", False), ("Kafka", "3.8", True), ("Kafka", "3.10", False), ("Kafka", "0.10.2", True),
            ("SQLite", "3.35.0", False), ("SQLite", "3.34.1", True),
        ],
    )  # fmt: skip
    def test_that_are_too_old_are_told_by_number(self, server: str, version: str, old: bool) -> None:
        assert bool(advice(server, version)) is old


def test_is_for_administrators(database: Database, tmp_path: Path) -> None:
    checkup = Checkup(load(data_dir=tmp_path), database, Cache(None, secret=SECRET), InstallationSettings)
    with pytest.raises(PermissionDenied):
        checkup.findings(Actor(1, "ann", "analyst", ROLES["analyst"]))
