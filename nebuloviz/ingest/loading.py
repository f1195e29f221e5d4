"""Getting many rows into a table fast: COPY and arrays through psycopg2, prepared inserts through every other driver."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import psycopg2
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Table,
    Text,
    any_,
    exc,
    func,
    literal,
    select,
    text,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY

from nebuloviz.db import Insert, insert
from nebuloviz.models import MEASURES, Rollup, UtcDateTime, microseconds

_NULL = "\x01"  # no stored text holds a control character
_PREPARED = "rollups_prepared"
#: More than a batch has. At each chunk a writer waits for its turn among the threads, which may take 5 ms.
_CHUNK_BYTES = 1 << 24


def table_of(model: type[Any]) -> Table:
    """The table behind a model, for what is done by columns."""
    return cast("Table", model.__table__)


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
    statement = f'INSERT INTO "{table.name}" ({_quoted(columns)}) VALUES ({_marks(connection, columns)})'  # noqa: S608 - our own names
    connection.exec_driver_sql(statement, _rows(connection, table, columns))


def _marks(connection: Connection, columns: Collection[str]) -> str:
    return ", ".join(f"${n}" if connection.dialect.name == "postgresql" else "?" for n in range(1, len(columns) + 1))


def _rows(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    """As the driver takes them."""
    plain: Iterable[Iterable[Any]] = columns.values()
    if connection.dialect.name == "sqlite":
        plain = [
            map(microseconds, column) if isinstance(table.c[name].type, UtcDateTime) else column
            for name, column in columns.items()
        ]
    return list(zip(*plain, strict=True))


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


def add_cells(connection: Connection, cells: Mapping[Rollup, Mapping[str, Sequence[Any]]]) -> None:
    """Add to the rollups; cells are given as columns, no cell twice. Writers take turns.

    Raises:
        sqlalchemy.exc.DBAPIError: as any statement of the connection would.
    """
    if connection.dialect.driver == "psycopg2":
        _add_arrays(connection, cells)
        return
    for rollup, columns in cells.items():
        statement = _adding(rollup, f"VALUES ({_marks(connection, columns)})")
        connection.exec_driver_sql(statement, _rows(connection, rollup.table, columns))


def _add_arrays(connection: Connection, cells: Mapping[Rollup, Mapping[str, Sequence[Any]]]) -> None:
    """Sent in one go, and planned once a connection: to plan them takes as long as to carry out a small batch."""
    prepared = _prepared(connection)
    texts, arrays = [], []
    for rollup, columns in cells.items():
        name = f"add_to_{rollup.name}"
        if name not in prepared:
            types = (rollup.table.c[column].type.compile(connection.dialect) for column in columns)
            given = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, 1))
            texts.append(f"PREPARE {name} AS " + _adding(rollup, f"SELECT * FROM unnest({given})"))  # noqa: S608 - our own names
        texts.append(f"EXECUTE {name} ({', '.join(['%s'] * len(columns))})")
        arrays += [_array(rollup.table.c[column], values) for column, values in columns.items()]
    connection.exec_driver_sql("; ".join(texts), tuple(arrays))
    connection.info[_PREPARED] = prepared | {f"add_to_{rollup.name}" for rollup in cells}


def _prepared(connection: Connection) -> frozenset[str]:
    """The statements that this session has planned; it is asked where it may have failed in the midst of planning."""
    known: frozenset[str] | None = connection.info.pop(_PREPARED, None)
    return known or frozenset(connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").scalars())


def _adding(rollup: Rollup, rows: str) -> str:
    """The statement that adds rows, whose columns are those of the rollup in order."""
    keys = ("bucket", *rollup.dimensions)
    sums = ", ".join(f"{measure} = {rollup.name}.{measure} + excluded.{measure}" for measure in MEASURES)
    columns, unique = ", ".join((*keys, *MEASURES)), ", ".join(keys)
    return f"INSERT INTO {rollup.name} ({columns}) {rows} ON CONFLICT ({unique}) DO UPDATE SET {sums}"


def _array(column: Column[Any], values: Sequence[Any]) -> str:
    """As PostgreSQL reads it: one text takes it a fraction of the time that thousands of values do."""
    texts = _texts(column, values)
    if not isinstance(column.type, (Text, LargeBinary)):
        return f"{{{','.join(texts)}}}"
    joined = _NULL.join(texts).replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace(_NULL, '","') + '"}' if values else "{}"


def array_of(column: Column[Any], values: Sequence[Any]) -> ColumnElement[Sequence[Any]]:
    """Values of a column, none of them NULL, as one parameter (PostgreSQL)."""
    return sql_cast(literal(_array(column, values), Text), ARRAY(column.type))


def among(connection: Connection, column: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
    """That a column of texts has one of many values."""
    if connection.dialect.name == "postgresql":
        return column == any_(array_of(column, values))
    return column.in_(select(text("value")).select_from(func.json_each(json.dumps(values))))


def insert_texts(
    connection: Connection,
    table: Table,
    columns: Mapping[str, Sequence[str]],
    on_conflict: Callable[[Insert], Insert],
) -> None:
    """Insert rows of texts: in PostgreSQL by one statement, as its driver would take many rows one by one."""
    if connection.dialect.name == "postgresql":
        arrays = [func.unnest(array_of(table.c[name], column)) for name, column in columns.items()]
        connection.execute(on_conflict(insert(connection, table).from_select(list(columns), select(*arrays))))
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        connection.execute(on_conflict(insert(connection, table)), rows)


class _Spelt(dict[Any, str]):
    """Spells each value out once: many rows share a moment."""

    def __missing__(self, value: object) -> str:
        text = self[value] = str(value)
        return text


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
