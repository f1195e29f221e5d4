"""PostgreSQL for the tests."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from typing import ClassVar
from uuid import uuid4

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class in spite of its name

from tests.servers.base import HOST, Server, find_program


class PostgresServer(Server):
    """PostgreSQL with databases made on demand; its zone is not UTC, so that nothing can lean on the server's zone."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions; SIGTERM would wait for them
    role = "nebuloviz"
    #: A killed process loses nothing without fsync: what it wrote is the system's. A killed machine would.
    settings: ClassVar[Mapping[str, object]] = {
        "fsync": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "max_connections": 100,
        "timezone": "'Asia/Kathmandu'",
    }

    def __init__(self) -> None:
        folders = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
        self._initdb = find_program("initdb", folders=folders)
        super().__init__()
        self.data = self.folder / "data"
        self._kept: Connection | None = None

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        return f"postgresql://{self.role}@{HOST}:{self.port}/{database}"

    def user(self) -> str | None:
        if os.geteuid() != 0:
            return None
        return "postgres" if _account_exists("postgres") else "nobody"  # PostgreSQL refuses to run as root

    def prepare(self) -> None:
        if user := self.user():
            shutil.chown(self.folder, user)
        options = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={self.role}")
        self.run(self._initdb, *options, "-D", self.data)
        here = {"listen_addresses": f"'{HOST}'", "port": self.port, "unix_socket_directories": "''"}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = {value}\n" for key, value in {**self.settings, **here}.items())

    def command(self) -> list[str]:
        return [str(self._initdb.with_name("postgres")), "-D", str(self.data)]

    def check(self) -> None:
        """By a connection that is kept: to make one costs more than many a test does, and two ask in each."""
        if self._kept is None:
            self._kept = psycopg2.connect(self.url, connect_timeout=60)
            self._kept.autocommit = True
        try:
            with self._kept.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            self._kept = None  # it was of the server's life before
            raise

    def crash(self) -> None:
        """PostgreSQL's immediate shutdown: sessions cut off, recovery from the log at the next start."""
        self.end(signal.SIGQUIT)

    def limit_files(self, pid: int, most_bytes: int) -> None:
        """Let the process of a session write no file beyond so many bytes; it is a limit of the kernel."""
        user, limit = self.user(), f"--fsize={most_bytes}:unlimited"
        command = [str(find_program("prlimit")), f"--pid={pid}", limit]
        subprocess.run(command, check=True, user=user, group=user, extra_groups=[] if user else None)

    def execute(self, statement: str, *names: str) -> None:
        """Run one statement outside a transaction, with `{}` replaced by quoted names."""
        with closing(psycopg2.connect(self.url, connect_timeout=60)) as asking:
            asking.autocommit = True
            with asking.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def create_database(self, template: str = "template0") -> str:
        """Name of a new database, empty or a copy of `template` (which nobody may be connected to).

        Copied as files: without fsync that is a fraction of the work that copying page by page is.
        """
        name = f"test_{uuid4().hex[:12]}"
        self.execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, even if somebody is still connected."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _account_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
