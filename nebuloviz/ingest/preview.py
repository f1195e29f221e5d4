"""A look into a file of sales before it is imported: what columns it has, what they seem to mean, and its first rows.

Somebody waits for it, and a process begins for it: so it loads nothing that takes long, the database's tables least of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nebuloviz import process
from nebuloviz.child import Parent
from nebuloviz.ingest.fields import missing
from nebuloviz.ingest.files import MEMORY_BYTES, open_table
from nebuloviz.ingest.mapping import DateOrder, date_orders, mapped_columns
from nebuloviz.ingest.tables import Row, TableFile

_ROWS = 10
_CHARACTERS = 200


@dataclass(frozen=True)
class Preview:
    """A file's columns and first rows as text, the guessed mapping, and the required fields that it lacks.

    `date_orders` is as of `mapping.date_orders`, for all columns. `is_json`: its rows are sales as they are, without a mapping.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    mapping: Mapping[str, str]
    missing: tuple[str, ...]
    n_rows: int
    date_orders: Mapping[str, DateOrder | None]
    is_json: bool = False


def preview(path: Path, corrections: Mapping[str, str] | None = None) -> Preview:
    """Look into a file without importing anything.

    Raises:
        InvalidInput: it cannot be read, or a correction names what is not there.
    """
    table = open_table(path)
    if table.is_json:
        rows = tuple((row.original.decode(errors="replace")[:_CHARACTERS],) for row in _first(table))
        return Preview(table.columns, rows, {}, (), table.n_rows, {}, is_json=True)
    mapping = mapped_columns(table, corrections or {})
    shown = tuple(tuple(_shown(cell) for cell in row.cells) for row in _first(table))
    orders = date_orders(table, table.columns)
    return Preview(table.columns, shown, mapping, missing(mapping), table.n_rows, orders)


def _first(table: TableFile) -> list[Row]:
    return [row for _, row in zip(range(_ROWS), table.rows(), strict=False)]


def _shown(cell: Any) -> str:
    return "" if cell is None else str(cell)[:_CHARACTERS]


def look_into(parent: Parent, path: Path) -> None:
    """Tell the `Preview` of a file of sales. Raises InvalidInput for one that cannot be read."""
    process.bound_memory(MEMORY_BYTES)
    parent.tell(preview(path))
