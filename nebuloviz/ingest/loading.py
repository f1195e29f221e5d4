"""Getting many rows into a table fast: COPY through psycopg2, prepared inserts through every other driver."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg2
from sqlalchemy import Column, Connection, LargeBinary, Table, Text, exc, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateTable

from nebuloviz.db import Insert, insert
from nebuloviz.metrics.rollups import CELL_STAGE
from nebuloviz.models import UtcDateTime, microseconds

_NULL = "\x01"  # no stored text holds a control character
#: More than a batch has. At each chunk a writer waits for its turn among the threads, which may take 5 ms.
_CHUNK_BYTES = 1 << 24


def prepare_stage(connection: Connection) -> None:
    """Make sure that the connection has the rollups' temporary table."""
    connection.execute(CreateTable(CELL_STAGE, if_not_exists=True))


def load(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given as columns of equal length by name.

    Raises:
        sqlalchemy.exc.DBAPIError: as any statement of the connection would.
    """
    if not len(next(iter(columns.values()))):
        return
    if connection.dialect.driver == "psycopg2":
        _copy(connection, table, columns)
    else:
        _insert(connection, table, columns)


def _insert(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    plain: Iterable[Iterable[Any]] = columns.values()
    if connection.dialect.name == "sqlite":
        plain = [
            map(microseconds, column) if isinstance(table.c[name].type, UtcDateTime) else column
            for name, column in columns.items()
        ]
    marks = (f"${n}" if connection.dialect.name == "postgresql" else "?" for n in range(1, len(columns) + 1))
    statement = f'INSERT INTO "{table.name}" ({_quoted(columns)}) VALUES ({", ".join(marks)})'  # noqa: S608 - our own names
    connection.exec_driver_sql(statement, list(zip(*plain, strict=True)))


def _copy(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    texts = [_texts(table.c[name], values) for name, values in columns.items()]
    lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
    statement = f"COPY \"{table.name}\" ({_quoted(columns)}) FROM STDIN WITH (NULL '{_NULL}')"
    cursor = connection.connection.cursor()
    try:
        # Texts hold no tabs and no line ends (see `parse`); the backslash is all that COPY could misread
        cursor.copy_expert(statement, io.StringIO(lines.replace("\\", "\\\\") + "\n"), _CHUNK_BYTES)
    except psycopg2.Error as error:
        raise exc.DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


def _texts(column: Column[Any], values: Sequence[Any]) -> Iterable[str]:
    """The values as COPY wants them."""
    if isinstance(column.type, Text):
        return values
    if isinstance(column.type, LargeBinary):
        return [f"\\x{value.hex()}" for value in values]
    if isinstance(column.type, UtcDateTime):
        return map(_Spelt().__getitem__, values)
    return [_NULL if value is None else str(value) for value in values] if column.nullable else map(str, values)


def insert_texts(
    connection: Connection,
    model: type[Any],
    columns: Mapping[str, Sequence[str]],
    on_conflict: Callable[[Insert], Insert],
) -> None:
    """Insert rows of texts: in PostgreSQL by one statement, as its driver would take many rows one by one."""
    if connection.dialect.name == "postgresql":
        arrays = [func.unnest(literal(list(column), ARRAY(Text))) for column in columns.values()]
        connection.execute(on_conflict(insert(connection, model).from_select(list(columns), select(*arrays))))
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        connection.execute(on_conflict(insert(connection, model)), rows)


class _Spelt(dict[Any, str]):
    """Spells each value out once: many rows share a moment."""

    def __missing__(self, value: object) -> str:
        text = self[value] = str(value)
        return text


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
