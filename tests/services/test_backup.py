"""Backups of both kinds of database: made while something writes, put back, and refused where they would do harm."""

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, select, text

from nebuloviz import migrate, observability
from nebuloviz.cli import main
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput, Unavailable
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.models import AuditEntry, IngestOffset, Installation, Lease, SaleKey
from nebuloviz.services import postgres_client
from nebuloviz.services.backup import LAST_BACKUP, backup, restore
from nebuloviz.settings import Settings, load
from tests.ingest.support import Ledger, assert_kept_exactly_once, shop, write

SECRET = "a secret that is used by these tests only"


def settings_of(url: str, folder: Path, secret: str | None = SECRET) -> Settings:
    return load(database_url=url, data_dir=folder, secret_key=secret, environment="embedded")


def sell(database: Database, n_orders: int, seed: int) -> Ledger:
    """Sales of a partition of their own, a hundred a batch."""
    made, topic = shop(n_orders, seed), f"till-{seed}"
    sink = DatabaseSink(database, ZoneInfo("UTC"))
    for start in range(0, len(made), 100):
        write(sink, [orjson.dumps(sale) for sale in made[start : start + 100]], topic)
    ledger = Ledger(sent={(topic, 0): len(made)})
    ledger.add(made)
    return ledger


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept.zip"


@pytest.fixture
def another(request: pytest.FixtureRequest, migrated_url: str, tmp_path: Path) -> Iterator[Database]:
    """An empty database of the same kind, without tables."""
    url = f"sqlite:///{tmp_path}/another/nebuloviz.sqlite3"
    server = None
    if migrated_url.startswith("postgresql"):
        server = request.getfixturevalue("postgres")
        name = server.create_database()
        url = server.database_url(name)
    database = Database(url)
    yield database
    database.dispose()
    if server is not None:
        server.drop_database(name)


def test_what_was_kept_comes_back_and_nothing_else(
    database: Database, another: Database, migrated_url: str, tmp_path: Path, file: Path
) -> None:
    ledger = sell(database, 60, seed=1)
    with database.transaction() as session:
        session.execute(text("INSERT INTO lease (name, holder, expires_at) VALUES ('a', 'b', '2999-01-01 00:00:00')"))
    manifest = backup(settings_of(migrated_url, tmp_path), database, file)
    assert file.stat().st_mode & 0o777 == 0o600
    sell(database, 20, seed=2)  # comes too late

    done = restore(settings_of(str(another.where), tmp_path), another, file)
    assert done.manifest == manifest
    assert done.same_secret
    assert_kept_exactly_once(another, ledger)
    assert migrate.current(another) == done.revision == migrate.head()
    with database.session() as made, another.session() as session:
        assert made.scalars(select(AuditEntry.action)).all() == ["backup:make"]
        assert session.scalars(select(AuditEntry.action)).all() == ["backup:restore"]
        assert session.get_one(Installation, LAST_BACKUP).value == manifest.made_at
        assert session.scalar(select(func.count()).select_from(Lease)) == 0
    assert [path.name for path in file.parent.glob(".kept*")] == []


def test_is_of_one_moment_while_somebody_writes(
    database: Database, another: Database, migrated_url: str, tmp_path: Path, file: Path
) -> None:
    begun = threading.Event()

    def keep_selling() -> None:
        for seed in range(8):
            sell(database, 30, seed)
            begun.set()

    seller = threading.Thread(target=keep_selling)
    seller.start()
    assert begun.wait(60)
    backup(settings_of(migrated_url, tmp_path), database, file)
    seller.join()
    restore(settings_of(migrated_url, tmp_path), another, file)
    with another.session() as session:
        n_keys = session.scalar(select(func.count()).select_from(SaleKey)) or 0
        n_counted = session.scalar(select(func.sum(IngestOffset.n_ok))) or 0
    assert n_keys == n_counted > 0
    ledger = Ledger()
    for seed in range(8):
        ledger.add(shop(30, seed))
    with another.session() as session:
        kept = set(session.scalars(text("SELECT sale_id FROM sale")))
    ledger.sales = {sale_id: sold for sale_id, sold in ledger.sales.items() if sale_id in kept}
    assert_kept_exactly_once(another, ledger)


def test_overwrites_only_by_force_and_never_what_is_in_use(
    database: Database, migrated_url: str, tmp_path: Path, file: Path
) -> None:
    settings = settings_of(migrated_url, tmp_path)
    kept = sell(database, 20, seed=1)
    backup(settings, database, file)
    newer = sell(database, 20, seed=2)
    with database.transaction() as session:  # what a later version of the program would have
        session.execute(text("CREATE TABLE later (sale bigint)"))
    with pytest.raises(InvalidInput, match="is there already"):
        backup(settings, database, file)
    with pytest.raises(InvalidInput, match="--force"):
        restore(settings, database, file)
    neighbour = Database(migrated_url)
    with neighbour.session() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(InvalidInput, match="Stop every process"):
            restore(settings, database, file, force=True)
    neighbour.dispose()
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(SaleKey)) == len(kept.sales | newer.sales)
    restore(settings, database, file, force=True)
    assert_kept_exactly_once(database, kept)


def test_an_older_revision_is_brought_up_and_an_unknown_one_refused(
    database: Database, another: Database, migrated_url: str, tmp_path: Path, file: Path
) -> None:
    settings = settings_of(migrated_url, tmp_path)
    migrate.downgrade(database, "0009")
    backup(settings, database, file)
    assert restore(settings, another, file).revision == migrate.head()
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    of_tomorrow = file.with_name("tomorrow.zip")
    backup(settings, database, of_tomorrow)
    with pytest.raises(InvalidInput, match="9999"):
        restore(settings, another, of_tomorrow, force=True)


@pytest.fixture
def kept_sqlite(migrated_sqlite_url: str, tmp_path: Path, file: Path) -> Iterator[Database]:
    """A database whose backup is `file`."""
    database = Database(migrated_sqlite_url)
    backup(settings_of(migrated_sqlite_url, tmp_path), database, file)
    yield database
    database.dispose()


class TestTheFile:
    def test_holds_the_key_that_was_generated(self, migrated_sqlite_url: str, tmp_path: Path, file: Path) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        settings = settings_of(migrated_sqlite_url, here, secret=None)
        key = settings.secret()
        backup(settings, Database(migrated_sqlite_url), file)
        restored = settings_of(f"sqlite:///{there}/nebuloviz.sqlite3", there, secret=None)
        assert restore(restored, Database(restored.resolved_database_url), file).same_secret
        assert restored.secret() == key
        assert (there / "secret_key").stat().st_mode & 0o777 == 0o600

    @pytest.mark.usefixtures("kept_sqlite")
    def test_says_that_the_key_is_another(self, tmp_path: Path, file: Path) -> None:
        settings = settings_of(f"sqlite:///{tmp_path}/new.sqlite3", tmp_path, SECRET.upper())
        assert not restore(settings, Database(settings.resolved_database_url), file).same_secret

    @pytest.mark.parametrize("damage", ["cut", "flipped", "another", "missing"])
    def test_is_refused_when_it_is_damaged(
        self, kept_sqlite: Database, tmp_path: Path, file: Path, damage: str
    ) -> None:
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 255
        told = {"cut": bytes(whole[: len(whole) // 2]), "flipped": bytes(whole), "another": b"something else"}
        file.unlink()
        if damage in told:
            file.write_bytes(told[damage])
        with pytest.raises(InvalidInput, match="cannot be read as a backup"):
            restore(settings_of(f"sqlite:///{tmp_path}/new.sqlite3", tmp_path), kept_sqlite, file)
        assert migrate.current(kept_sqlite) == migrate.head()

    @pytest.mark.usefixtures("kept_sqlite")
    def test_is_not_put_into_another_kind_of_database(self, tmp_path: Path, file: Path, postgres_url: str) -> None:
        database = Database(postgres_url)
        with pytest.raises(InvalidInput, match="another kind"):
            restore(settings_of(postgres_url, tmp_path), database, file)
        database.dispose()

    @pytest.mark.usefixtures("kept_sqlite")
    def test_tells_what_it_is_first(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            assert archive.namelist() == ["manifest.json", "database.sqlite3"]
            assert set(orjson.loads(archive.read("manifest.json"))) == {
                "format", "version", "revision", "database", "made_at", "secret_key",
            }  # fmt: skip


#: pg_restore of 17 and later, where an older one is installed.
_NEWER = """#!/bin/sh -e
{} "$@"
for word; do
    case $word in --file=*) sed -i 's/^SET lock_timeout = 0;$/&\\nSET transaction_timeout = 0;/' "${{word#--file=}}" ;; esac
done
"""


def test_the_programs_may_be_newer_than_the_server(
    monkeypatch: pytest.MonkeyPatch, migrated_postgres_url: str, tmp_path: Path, file: Path
) -> None:
    newer = tmp_path / "pg_restore"
    newer.write_text(_NEWER.format(postgres_client.program("pg_restore")))
    newer.chmod(0o755)
    database, settings = Database(migrated_postgres_url), settings_of(migrated_postgres_url, tmp_path)
    ledger = sell(database, 5, seed=1)
    backup(settings, database, file)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    restore(settings, database, file, force=True)
    assert_kept_exactly_once(database, ledger)
    monkeypatch.setattr(postgres_client, "_KNOWS_TRANSACTION_TIMEOUT", 0)
    with pytest.raises(Unavailable, match=r"ERROR: .*transaction_timeout"):
        restore(settings, database, file, force=True)
    assert_kept_exactly_once(database, ledger)
    database.dispose()


def test_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, migrated_postgres_url: str, tmp_path: Path, file: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_client, "_FOLDERS", ())
    database = Database(migrated_postgres_url)
    with pytest.raises(Unavailable, match="postgresql-client"):
        backup(settings_of(migrated_postgres_url, tmp_path), database, file)
    database.dispose()
    assert not file.exists()


def test_the_commands_say_what_they_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(observability, "configure_logging", lambda _settings: None)
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path / "data"))
    assert main(["backup", str(file)]) == 2
    assert "nothing to keep" in capsys.readouterr().err
    assert main(["migrate"]) == main(["backup", str(file)]) == 0
    monkeypatch.setenv("NEBULOVIZ_DATA_DIR", str(tmp_path / "another"))
    assert main(["restore", str(file)]) == 0
    assert "Everybody signs in again" in capsys.readouterr().out
