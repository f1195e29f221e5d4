"""Tables in files: CSV and TSV (plain or gzipped), XLSX, Parquet and NDJSON, read row by row in little memory.

What cannot be a table of sales is refused with `InvalidInput` before any row is read; a bad row is a value, and its neighbours
are read all the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.ingest.tables import TableFile, unreadable_as_input
from nebuloviz.ingest.text_tables import text_table

#: What a process that reads a file may need; no table needs more.
MEMORY_BYTES: Final = 2 << 30


def open_table(path: Path) -> TableFile:
    """Look into a file and choose how to read it, by its content rather than its name.

    Raises:
        InvalidInput: it is empty, no table, too wide, or expands without end.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise InvalidInput(_("{name} cannot be read: {reason}.", name=path.name, reason=error.strerror)) from error
    if size == 0:
        raise InvalidInput(_("{name} is empty.", name=path.name))
    with unreadable_as_input(path):
        if magic == b"PAR1":
            from nebuloviz.ingest.parquet import ParquetTable  # noqa: PLC0415 - loads pyarrow

            return ParquetTable(path)
        if magic == b"PK\x03\x04":
            from nebuloviz.ingest.workbooks import WorkbookTable  # noqa: PLC0415 - loads openpyxl

            return WorkbookTable(path)
        return text_table(path)


def open_csv(path: Path) -> TableFile:
    """As `open_table`, for CSV and its relatives alone: what has to be unpacked is not read.

    Raises:
        InvalidInput: it is empty, no CSV, or too wide.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise InvalidInput(_("{name} is empty.", name=path.name))
    packed = start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PAR1"))
    with unreadable_as_input(path):
        table = None if packed else text_table(path)
    if table is None or table.is_json:
        raise InvalidInput(_("{name} is no CSV.", name=path.name))
    return table


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
