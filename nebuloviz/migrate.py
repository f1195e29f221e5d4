"""Brings a database to this version's tables. An embedded start calls `upgrade` itself, production calls `nebuloviz migrate`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from nebuloviz.db import Database
from nebuloviz.models import Base

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
_LOCK = 7_314_406_105  # any constant: two processes that migrate at once take turns


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply all revisions up to `revision` in one transaction; nothing happens where there is nothing to do."""
    with database.engine_begin() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Undo revisions down to `revision` ('base' for all)."""
    with database.engine_begin() as connection:
        command.downgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """The database's revision; None when it has no tables of ours."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this version of the program needs."""
    revision = ScriptDirectory(str(FOLDER)).get_current_head()
    assert revision is not None, "the migrations folder holds at least one revision"  # noqa: S101 - an invariant of the source tree
    return revision


def knows(revision: str) -> bool:
    """Whether this version can bring a database at `revision` to its own."""
    return any(script.revision == revision for script in ScriptDirectory(str(FOLDER)).walk_revisions())


def differences(database: Database) -> list[object]:
    """How the database's tables differ from the models; empty when they agree. Partitions of `sale` do not count."""
    with database.engine.connect() as connection:
        options = {"compare_type": True, "include_name": _ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("sale_p"))


def _config(connection: Connection) -> Config:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
