"""Copies of one database that are used again and again: to empty one costs a fraction of making and dropping another."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class in spite of its name

from tests.servers.postgres import PostgresServer

#: Where PostgreSQL keeps what a database consists of, and what tells a row from what it was before; the first column is what a row
#: is of. Of tables that is not their whole row, in which it also notes that there once were partitions.
_CATALOGS = {
    "pg_class": "oid, relname, relkind, relnatts, relchecks, relpersistence, reloptions",
    "pg_attribute": "attrelid, xmin",
    "pg_constraint": "oid, xmin",
    "pg_index": "indexrelid, xmin",
    "pg_trigger": "oid, xmin",
    "pg_proc": "oid, xmin",
    "pg_type": "oid, xmin",
}
#: Below it are PostgreSQL's own, which are the same in every database, and ten times as many.
_FIRST_OF_OURS = 16_384
_SHAPE = " UNION ALL ".join(
    f"SELECT count(*), sum(hashtext(row({columns})::text)) FROM {name} WHERE {columns.split(',')[0]} >= {_FIRST_OF_OURS}"
    for name, columns in _CATALOGS.items()
)
_PARTITIONS = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relispartition"
)
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY oid"
#: Most tests write into few tables; to delete from a table where nothing was ever written costs as much as from another.
_WRITTEN = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0"
_CUT_OFF = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
#: What deleted rows leave behind slows down whoever comes next.
_MAX_LEFT_BEHIND = 4_000_000


class PostgresCopies:
    """Databases like `template`, rows included. One that comes back is made so again, unless its tables were changed or grew."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        with self._asking(template) as cursor:
            self._shape, self._size = _shape(cursor), _size(cursor)
            cursor.execute(_TABLES)
            self._rows = {name: _rows(cursor, name) for (name,) in cursor.fetchall()}

    def take(self) -> str:
        """Name of a database like the template, for whoever asks alone."""
        return self._free.pop() if self._free else self._server.create_database(self._template)

    def give_back(self, name: str) -> None:
        """Whoever is still connected to it is cut off."""
        if self._restored(name):
            self._free.append(name)
        else:
            self._server.drop_database(name)

    def _restored(self, name: str) -> bool:
        try:
            with self._asking(name) as cursor:
                cursor.execute(_CUT_OFF)
                cursor.execute(_PARTITIONS)  # NebuloViz makes one for each month that it has sales of
                for (partition,) in cursor.fetchall():
                    cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(partition)))
                if _shape(cursor) != self._shape or _size(cursor) > self._size + _MAX_LEFT_BEHIND:
                    return False
                cursor.execute(
                    "SET session_replication_role = replica"
                )  # no trigger and no foreign key has a say in it
                cursor.execute(_WRITTEN)
                for (table,) in cursor.fetchall():
                    cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
                    for row in self._rows[table]:
                        cursor.execute(sql.SQL("INSERT INTO {} VALUES %s").format(sql.Identifier(table)), [row])
                cursor.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")
        except psycopg2.Error:  # it is gone, or takes no connections any more
            return False
        return True

    @contextmanager
    def _asking(self, name: str) -> Iterator[Cursor]:
        url = self._server.database_url(name)
        with (
            closing(psycopg2.connect(url, connect_timeout=60)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            yield cursor


def _shape(cursor: Cursor) -> list[tuple[object, ...]]:
    cursor.execute(_SHAPE)
    return cursor.fetchall()


def _size(cursor: Cursor) -> int:
    cursor.execute("SELECT pg_database_size(current_database())")
    return int(cursor.fetchall()[0][0])


def _rows(cursor: Cursor, table: str) -> list[tuple[object, ...]]:
    cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
    return cursor.fetchall()
