"""Getting many rows into a table fast: COPY through psycopg2, prepared inserts through every other driver."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg2
from sqlalchemy import Column, Connection, LargeBinary, Table, Text, delete, exc
from sqlalchemy.schema import CreateTable

from nebuloviz.metrics.rollups import CELL_STAGE
from nebuloviz.models import UtcDateTime, microseconds

_NULL = "\x01"  # no stored text holds a control character


def prepare_stage(connection: Connection) -> None:
    """Make sure that the connection has the rollups' temporary table, and that it is empty."""
    connection.execute(CreateTable(CELL_STAGE, if_not_exists=True))
    connection.execute(delete(CELL_STAGE))


def load(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, whose values stand in the order of `names`.

    Raises:
        sqlalchemy.exc.DBAPIError: as any statement of the connection would.
    """
    if not rows:
        return
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    if connection.dialect.driver == "psycopg2":
        _copy(connection, table, names, columns)
    else:
        _insert(connection, table, names, columns)


def _insert(connection: Connection, table: Table, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    plain: Sequence[Iterable[Any]] = columns
    if connection.dialect.name == "sqlite":
        plain = [
            map(microseconds, column) if isinstance(table.c[name].type, UtcDateTime) else column
            for name, column in zip(names, columns, strict=True)
        ]
    marks = (f"${n}" if connection.dialect.name == "postgresql" else "?" for n in range(1, len(names) + 1))
    statement = f'INSERT INTO "{table.name}" ({_quoted(names)}) VALUES ({", ".join(marks)})'  # noqa: S608 - our own names
    connection.exec_driver_sql(statement, list(zip(*plain, strict=True)))


def _copy(connection: Connection, table: Table, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
    forms = [_text_form(table.c[name]) for name in names]
    texts = [column if form is None else map(form, column) for form, column in zip(forms, columns, strict=True)]
    lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
    statement = f"COPY \"{table.name}\" ({_quoted(names)}) FROM STDIN WITH (NULL '{_NULL}')"
    cursor = connection.connection.cursor()
    try:
        # Texts hold no tabs and no line ends (see `parse`); the backslash is all that COPY could misread
        cursor.copy_expert(statement, io.StringIO(lines.replace("\\", "\\\\") + "\n"))
    except psycopg2.Error as error:
        raise exc.DBAPIError.instance(statement, None, error, psycopg2.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()


def _text_form(column: Column[Any]) -> Callable[[Any], str] | None:
    """How COPY wants a value of the column; None for text, which it takes as it is."""
    if isinstance(column.type, Text):
        return None
    if isinstance(column.type, LargeBinary):
        return _hexadecimal
    return _nullable if column.nullable else str


def _hexadecimal(value: bytes) -> str:
    return "\\x" + value.hex()


def _nullable(value: object) -> str:
    return _NULL if value is None else str(value)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
