"""Excel workbooks as tables. A module of its own, for openpyxl takes a while to load and most files are no workbooks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import openpyxl
from openpyxl.packaging.manifest import Manifest
from openpyxl.xml.constants import ARC_CONTENT_TYPES, WORKSHEET_TYPE
from openpyxl.xml.functions import fromstring

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.ingest.tables import (
    MAX_COLUMNS,
    MAX_EXPANSION,
    MIN_EXPANSION_BYTES,
    Row,
    TableFile,
    as_json,
    column_names,
)

MAX_WORKBOOK_BYTES: Final = 1 << 30
#: Of texts and styles, which have to be in memory, at several times their size.
MAX_WORKBOOK_HELD_BYTES: Final = 64 << 20
MAX_SHEET_ROWS: Final = 1 << 20  # Excel's own limit


class WorkbookTable(TableFile):
    """The first sheet of an Excel workbook."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            expanded = sum(item.file_size for item in archive.infolist())
            if "xl/workbook.xml" not in archive.namelist():
                raise InvalidInput(_("{name} is a ZIP archive but no Excel workbook.", name=path.name))
        if expanded > max(path.stat().st_size * MAX_EXPANSION, MIN_EXPANSION_BYTES) or expanded > MAX_WORKBOOK_BYTES:
            raise InvalidInput(
                _("{name} expands to {size} bytes and is not read.", name=path.name, size=number(expanded))
            )
        held = _held_bytes(path)
        if held > MAX_WORKBOOK_HELD_BYTES:
            raise InvalidInput(
                _(
                    "{name} holds {size} bytes of texts and styles; save it as CSV, which may hold more.",
                    name=path.name,
                    size=number(held),
                )
            )
        with self._sheet() as sheet:
            self.n_rows = max((sheet.max_row or 1) - 1, 0)
            header = next(self._filled(sheet), ())[: MAX_COLUMNS + 1]
        self.columns = column_names(_trimmed(header), path.name)

    @contextmanager
    def _sheet(self) -> Iterator[Any]:
        with self.path.open("rb") as file:  # which openpyxl itself would leave open where it fails
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            if not book.worksheets:
                raise InvalidInput(_("{name} has no sheet with cells.", name=self.path.name))
            yield book.worksheets[0]

    def _rows(self) -> Iterator[Row]:
        with self._sheet() as sheet:
            filled = self._filled(sheet, len(self.columns))
            next(filled, None)
            for cells in filled:
                yield Row(cells, as_json(cells))

    def _filled(self, sheet: Any, n_columns: int | None = None) -> Iterator[tuple[Any, ...]]:
        """The first cells, or all, of each row that has any; the size that a sheet gives itself is not believed."""
        sheet.reset_dimensions()
        for place, cells in enumerate(sheet.iter_rows(max_col=n_columns, values_only=True), 1):
            if place > MAX_SHEET_ROWS:
                raise InvalidInput(
                    _("{name} has a row beyond number {limit}.", name=self.path.name, limit=number(MAX_SHEET_ROWS))
                )
            if any(cell is not None for cell in cells):
                yield cells


def _held_bytes(path: Path) -> int:
    """The size of all parts of a workbook but the sheets, which alone are read as a stream. What a part is, it says of itself."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        manifest = Manifest.from_tree(fromstring(archive.read(ARC_CONTENT_TYPES)))
    kinds: dict[str, set[str]] = {}
    for override in manifest.Override:
        kinds.setdefault(override.PartName.lstrip("/"), set()).add(override.ContentType)
    return sum(
        item.file_size
        for item in parts
        if not (item.filename.startswith("xl/worksheets/") and kinds.get(item.filename) == {WORKSHEET_TYPE})
    )


def _trimmed(cells: Sequence[Any]) -> Sequence[Any]:
    end = len(cells)
    while end and cells[end - 1] is None:
        end -= 1
    return cells[:end]
