"""A CSV file of users, read with care: whose, of which columns, in which encoding, and what each row says."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.services.scope import SCOPED_DIMENSIONS

MAX_BYTES = 512 * 1024
MAX_ROWS = 500
#: The columns of a file, as the template has them.
COLUMNS = ("username", "email", "role", *SCOPED_DIMENSIONS)
#: Between the values of a cell that confines rows.
BETWEEN_VALUES = "|"
_ALSO_CALLED = {"user": "username", "name": "username", "e-mail": "email", "mail": "email"}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class UserRow:
    """A row as it stands in the file; `problem` where it cannot even be read."""

    line: int
    username: str = ""
    email: str = ""
    role: str = ""
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problem: str = ""


def template() -> str:
    """A file to fill in: the heading, and a row that shows how."""
    return f"{','.join(COLUMNS)}\r\nanna,anna@example.com,analyst,,,,367{BETWEEN_VALUES}406,\r\n"


def read_users(data: bytes) -> list[UserRow]:
    """The rows of a file; empty ones are left out.

    Raises:
        InvalidInput: it is too large, no text, or has columns that are none of ours. One that is misspelt would let users see all.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInput(_("The file is too large: at most {size} KB.", size=MAX_BYTES // 1024))
    text = _decoded(data)
    rows = _cells(text)
    heading = next(rows, (0, []))[1]
    columns = _columns(heading)
    found = [_row(line, cells, columns) for line, cells in rows if any(cell.strip() for cell in cells)]
    if not found:
        raise InvalidInput(_("The file has no rows below its heading."))
    if len(found) > MAX_ROWS:
        raise InvalidInput(_("The file has too many rows: at most {count}.", count=MAX_ROWS))
    return found


def _decoded(data: bytes) -> str:
    """Text of UTF-8, of UTF-16 with its mark, or of Windows' Western code page, as spreadsheets save it."""
    marked = next((encoding for bom, encoding in _BOMS.items() if data.startswith(bom)), None)
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise InvalidInput(_("This is not a text file. Save the table as CSV in UTF-8."))


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, and the line that it begins in."""
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        raise InvalidInput(
            _("Line {number} cannot be read: a quotation mark is in the wrong place.", number=line)
        ) from None


def _columns(heading: Sequence[str]) -> list[str]:
    named = [cell.strip().casefold() for cell in heading]
    columns = [_ALSO_CALLED.get(name, name) for name in named]
    while columns and not columns[-1]:
        columns.pop()
    known = ", ".join(COLUMNS)
    for name in columns:
        if name not in COLUMNS:
            raise InvalidInput(_("There is no column {name}; there are {known}.", name=name[:40] or "''", known=known))
        if columns.count(name) > 1:
            raise InvalidInput(_("The column {name} appears twice.", name=name))
    for name in ("username", "role"):
        if name not in columns:
            raise InvalidInput(_("The column {name} is missing.", name=name))
    return columns


def _row(line: int, cells: Sequence[str], columns: Sequence[str]) -> UserRow:
    given = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    scope = {
        dimension: [value.strip() for value in given[dimension].split(BETWEEN_VALUES) if value.strip()]
        for dimension in SCOPED_DIMENSIONS
        if given.get(dimension)
    }
    too_many = any(cell.strip() for cell in cells[len(columns) :])
    return UserRow(
        line=line,
        username=given.get("username", ""),
        email=given.get("email", ""),
        role=given.get("role", ""),
        scope=scope,
        problem=_("The row has more cells than the heading.") if too_many else "",
    )
