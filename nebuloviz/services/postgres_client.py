"""PostgreSQL's own programs: a dump of one moment, and a dump put back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text

from nebuloviz.db import Database
from nebuloviz.errors import Unavailable

#: Where they may be as well as on the PATH.
_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "opt/homebrew/opt/libpq/bin",
)
#: All that is ours in the schema: what an older version's dump lacks would stand in its way.
_DROP_ALL = """
DO $$ DECLARE it record; BEGIN
    FOR it IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relowner = current_user::regrole
        AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP EXECUTE format('DROP TABLE %s CASCADE', it.name); END LOOP;
    FOR it IN SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proowner = current_user::regrole
    LOOP EXECUTE format('DROP FUNCTION %s CASCADE', it.name); END LOOP;
END $$;
"""
#: Stands in what the client programs of 17 and later write for any server; an older one refuses it.
_TRANSACTION_TIMEOUT = b"SET transaction_timeout = 0;"
_KNOWS_TRANSACTION_TIMEOUT = 170_000
_HEAD_BYTES = 4096


def dump(database: Database, target: Path) -> None:
    """Write what the database holds at one moment to `target`, whatever is written meanwhile.

    Raises:
        Unavailable: `pg_dump` is not installed, or says why it failed.
    """
    _run([program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], database)


def put_back(database: Database, dumped: Path) -> None:
    """Replace all that is in the database by what was dumped, in one transaction. Writes two files beside the dump.

    Raises:
        Unavailable: `pg_restore` or `psql` is not installed, or says why it failed; nothing was changed.
    """
    dropping, rows = dumped.with_name("drop.sql"), dumped.with_name("rows.sql")
    dropping.write_text(_DROP_ALL, encoding="utf-8")
    _run([program("pg_restore"), "--no-owner", "--no-privileges", f"--file={rows}", str(dumped)])
    with database.session() as session:
        version = int(session.scalar(text("SHOW server_version_num")) or 0)
    if version < _KNOWS_TRANSACTION_TIMEOUT:
        leave_out(_TRANSACTION_TIMEOUT, rows)
    quietly = ["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", "--single-transaction"]
    _run([program("psql"), *quietly, f"--file={dropping}", f"--file={rows}"], database)


def leave_out(line: bytes, script: Path) -> None:
    """Make a comment of this line in the head of a script, which may be as large as the database."""
    with script.open("r+b") as file:
        place = file.read(_HEAD_BYTES).find(b"\n" + line)
        if place >= 0:
            file.seek(place + 1)
            file.write(b"--")


def program(name: str) -> str:
    """Where `pg_dump`, `pg_restore` or `psql` is.

    Raises:
        Unavailable: nowhere; says what to install.
    """
    newest_first = sorted((str(folder) for pattern in _FOLDERS for folder in Path("/").glob(pattern)), reverse=True)
    where = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *newest_first]))
    if where is None:
        message = (
            f"{name} is not installed here. Install PostgreSQL's client programs, of the server's version or a newer one: "
            "apt install postgresql-client, or brew install libpq."
        )
        raise Unavailable(message)
    return where


def _run(command: Sequence[str], database: Database | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, with arguments of ours
        command, env=_connection(database) if database else None, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        reason = next((line for line in said if "error:" in line.lower()), said[0])  # notices may stand before it
        message = f"{Path(command[0]).name} failed: {reason}"
        raise Unavailable(message)


def _connection(database: Database) -> Mapping[str, str]:
    """The server's address by the environment, where no other user of the machine sees the password."""
    url = database.url
    given = {
        "PGHOST": url.host,
        "PGPORT": url.port,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("sslmode"),
        "PGSSLROOTCERT": url.query.get("sslrootcert"),
        "PGAPPNAME": "nebuloviz backup",
        "PGCONNECT_TIMEOUT": 10,
    }
    return os.environ | {name: str(value) for name, value in given.items() if value}
