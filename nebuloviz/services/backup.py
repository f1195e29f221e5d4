"""A whole installation in one file, and back: the database as it was at one moment, and the key that opens what is sealed in it.

A backup is a zip file: `manifest.json`, then `database.sqlite3` or `database.dump` (of `pg_dump`, custom format), then
`secret_key` where the installation has generated one. It is made while everything runs, and opened by its owner alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, inspect, select, table, text

from nebuloviz import __version__, migrate
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput
from nebuloviz.models import BrowserSession, Installation, Lease, PasswordLink, RefreshToken
from nebuloviz.permissions import SYSTEM
from nebuloviz.services import postgres_client
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import AuditAction
from nebuloviz.settings import Settings

FORMAT = 1
#: The key in `installation` under which the moment of the last backup stands.
LAST_BACKUP = "last_backup"
_MANIFEST, _SECRET = "manifest.json", "secret_key"
_MEMBERS = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
_MAX_MANIFEST_BYTES = 10_000


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself. `secret_key` tells whether a key is the same, and nothing more of it."""

    format: int
    version: str
    revision: str
    database: str
    made_at: str
    secret_key: str

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.made_at)


@dataclass(frozen=True)
class Restored:
    """What was restored, the revision that the database is at now, and whether what is sealed in it can be opened."""

    manifest: Manifest
    revision: str
    same_secret: bool


# ---------------------------------------------------------------- making one


def backup(settings: Settings, database: Database, file: Path) -> Manifest:
    """Write the installation to `file`, whole or not at all. Everything may run meanwhile.

    Raises:
        InvalidInput: the file is there, its folder is not, or the database has no tables.
        Unavailable: `pg_dump` is missing, or says why it failed.
    """
    revision = migrate.current(database)
    if revision is None:
        message = f"{database.where} has no tables yet, so there is nothing to keep."
        raise InvalidInput(message)
    if file.exists() or not file.parent.is_dir():
        reason = "is there already; name another file" if file.exists() else "is in a folder that does not exist"
        message = f"{file} {reason}."
        raise InvalidInput(message)
    made_at, kind = utc_now(), database.url.get_backend_name()
    manifest = Manifest(FORMAT, __version__, revision, kind, made_at.isoformat(), _fingerprint(settings))
    with _folder_beside(file) as folder:
        dump = folder / _MEMBERS[kind]
        (_copy_sqlite if database.is_sqlite else postgres_client.dump)(database, dump)
        _pack(folder / "whole", manifest, dump, _secret_file(settings))
        (folder / "whole").rename(file)
    with database.transaction() as session:
        session.merge(Installation(key=LAST_BACKUP, value=manifest.made_at))
        DatabaseAudit().record(session, SYSTEM, AuditAction.BACKUP_MADE, file.name)
    return manifest


@contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """A passing folder on the same disk, which only its owner can open."""
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        yield Path(folder)


def _pack(whole: Path, manifest: Manifest, dump: Path, secret: Path | None) -> None:
    opener = os.open(whole, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opener, "w+b") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))
            stored = zipfile.ZIP_STORED if dump.suffix == ".dump" else None  # which is compressed as it is
            archive.write(dump, dump.name, stored)
            if secret is not None:
                archive.write(secret, _SECRET)
        target.flush()
        os.fsync(target.fileno())


def _secret_file(settings: Settings) -> Path | None:
    """The generated key; None where the environment gives it, which keeps it as well."""
    path = settings.data_dir / "secret_key"
    return path if settings.secret_key is None and path.is_file() else None


def _fingerprint(settings: Settings) -> str:
    return hashlib.sha256(settings.secret().encode()).hexdigest()[:16]


def _copy_sqlite(database: Database, target: Path) -> None:
    """SQLite's own online copy, in one step: those who write meanwhile go on, and are not in it."""
    with closing(sqlite3.connect(str(database.url.database))) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


# ---------------------------------------------------------------- and back


def restore(settings: Settings, database: Database, file: Path, *, force: bool = False) -> Restored:
    """Put back what `file` holds, bring it to this version's tables, and sign everybody out. Nothing else may run.

    Raises:
        InvalidInput: `file` is no backup, is of another kind of database or of a newer version; the database is used by
            another process, or holds users or sales and `force` is not given. Nothing was changed.
        Unavailable: PostgreSQL's client programs are missing, or say why they failed. Nothing was changed.
    """
    manifest = _manifest_of(file)
    _check(database, manifest, force=force)
    with _folder_beside(Path(str(database.url.database)) if database.is_sqlite else file) as folder:
        dump, secret = _unpack(file, manifest, folder)
        (_put_back_sqlite if database.is_sqlite else postgres_client.put_back)(database, dump)
    if secret is not None and settings.secret_key is None:
        _keep_secret(settings, secret)
    migrate.upgrade(database)
    _begin_anew(database, manifest, file)
    revision = migrate.current(database) or ""
    return Restored(manifest, revision, same_secret=_fingerprint(settings) == manifest.secret_key)


@contextmanager
def _reading(file: Path) -> Iterator[zipfile.ZipFile]:
    """Raises InvalidInput: it cannot be read, or is no backup."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError) as error:
        message = f"{file} cannot be read as a backup: {error}."
        raise InvalidInput(message) from error


def _manifest_of(file: Path) -> Manifest:
    with _reading(file) as archive, archive.open(_MANIFEST) as member:
        said = json.loads(member.read(_MAX_MANIFEST_BYTES))
        if said["format"] != FORMAT:
            message = f"{file} is a backup in a form that this version of NebuloViz ({__version__}) does not know."
            raise InvalidInput(message)
        return Manifest(**said)


def _unpack(file: Path, manifest: Manifest, folder: Path) -> tuple[Path, bytes | None]:
    """The database's copy, and the secret key where there is one. What was damaged on the way is noticed here."""
    with _reading(file) as archive:
        secret = archive.read(_SECRET) if _SECRET in archive.namelist() else None
        return Path(archive.extract(_MEMBERS[manifest.database], folder)), secret


def _check(database: Database, manifest: Manifest, *, force: bool) -> None:
    if manifest.database != database.url.get_backend_name():
        message = (
            f"The backup is of {manifest.database}, and {database.where} is another kind of database. "
            "Set NEBULOVIZ_DATABASE_URL."
        )
        raise InvalidInput(message)
    if not migrate.knows(manifest.revision):
        message = (
            f"The backup was made by version {manifest.version}, at revision {manifest.revision}, which this version "
            f"({__version__}) does not know. Restore it with that version or a newer one."
        )
        raise InvalidInput(message)
    if _holds_something(database) and not force:
        message = f"{database.where} holds users or sales. To lose them for what the backup holds, add --force."
        raise InvalidInput(message)
    if _used_by_others(database):
        message = f"{database.where} is in use. Stop every process of NebuloViz first."
        raise InvalidInput(message)


def _holds_something(database: Database) -> bool:
    there = set(inspect(database.engine).get_table_names())
    with database.session() as session:
        rows = (
            session.execute(select(text("1")).select_from(table(name)).limit(1)).first()
            for name in ("app_user", "sale_key")
            if name in there
        )
        return any(row is not None for row in rows)


def _used_by_others(database: Database) -> bool:
    database.dispose()
    if not database.is_sqlite:
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nebuloviz' "
            "AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        with database.session() as session:
            return bool(session.scalar(others))
    with closing(sqlite3.connect(str(database.url.database), timeout=0, isolation_level=None)) as alone:
        try:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")
            alone.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def _put_back_sqlite(database: Database, dump: Path) -> None:
    """In one transaction of the file that is there, so that a process killed meanwhile has changed nothing."""
    with closing(sqlite3.connect(dump)) as source:
        found = source.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            message = f"The backup's database is damaged: {found}."
            raise InvalidInput(message)
        with closing(sqlite3.connect(str(database.url.database))) as target:
            source.backup(target)


def _keep_secret(settings: Settings, secret: bytes) -> None:
    path = settings.data_dir / "secret_key"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        target.write(secret)


def _begin_anew(database: Database, manifest: Manifest, file: Path) -> None:
    """Sessions that were ended since the backup must not live again; whoever held an election then is gone."""
    with database.transaction() as session:
        for passing in (BrowserSession, RefreshToken, PasswordLink, Lease):
            session.execute(delete(passing))
        session.merge(Installation(key=LAST_BACKUP, value=manifest.made_at))
        version = {"version": manifest.version}
        DatabaseAudit().record(session, SYSTEM, AuditAction.BACKUP_RESTORED, file.name, after=version)
