"""Tables in files: CSV and TSV (plain or gzipped), XLSX, Parquet and NDJSON, read row by row in little memory.

What cannot be a table of sales is refused with `InvalidInput` before any row is read; a bad row is a value, and its neighbours
are read all the same.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from nebuloviz.errors import InvalidInput, NebuloVizError
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number

MAX_COLUMNS: Final = 1_000
MAX_LINE_BYTES: Final = 4 << 20
MAX_CELL_CHARACTERS: Final = 1 << 20
#: A compressed file that grows by more than this is no table but a bomb; real ones grow ten- to fiftyfold.
MAX_EXPANSION: Final = 200
MIN_EXPANSION_BYTES: Final = 16 << 20
#: What a process that reads a file may need; no table needs more.
MEMORY_BYTES: Final = 2 << 30
_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_BYTES = 1 << 16


class Row(NamedTuple):
    """One row: `cells` in the order of the columns, the bytes it was read from, and what is wrong with it, or ''."""

    cells: Sequence[Any]
    original: bytes
    problem: str = ""


class TableFile(ABC):
    """The file at `path` as a table. `columns` are unique and not empty; `n_rows` is exact or close."""

    path: Path
    columns: tuple[str, ...]
    n_rows: int

    def rows(self) -> Iterator[Row]:
        """All rows from the first on, in order. May be called again.

        Raises:
            InvalidInput: the file is damaged where the next row would be.
        """
        with _saying_why(self.path):
            yield from self._rows()

    @abstractmethod
    def _rows(self) -> Iterator[Row]:
        """As `rows`; whatever it raises says that the file cannot be read."""

    @property
    def is_json(self) -> bool:
        """Whether a row's original is a sale in JSON already, and needs no mapping."""
        return False


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
    with _saying_why(path):
        if magic == b"PAR1":
            from nebuloviz.ingest.parquet import ParquetTable  # noqa: PLC0415 - loads pyarrow

            return ParquetTable(path)
        if magic == b"PK\x03\x04":
            from nebuloviz.ingest.workbooks import WorkbookTable  # noqa: PLC0415 - loads openpyxl

            return WorkbookTable(path)
        return _text_table(path)


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
    with _saying_why(path):
        table = None if packed else _text_table(path)
    if table is None or table.is_json:
        raise InvalidInput(_("{name} is no CSV.", name=path.name))
    return table


@contextmanager
def _saying_why(path: Path) -> Iterator[None]:
    """Turn whatever the libraries stumble over in a damaged or hostile file into InvalidInput."""
    try:
        yield
    except NebuloVizError:
        raise
    except MemoryError as error:
        raise InvalidInput(
            _("{name} cannot be read: it needs more memory than a file is given.", name=path.name)
        ) from error
    except Exception as error:  # each library has errors of its own, and several that it never meant to raise
        reason = _first_line(error).replace(str(path), path.name)
        raise InvalidInput(_("{name} cannot be read: {reason}.", name=path.name, reason=reason)) from error


def content_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


def column_names(cells: Iterable[Any], where: str) -> tuple[str, ...]:
    """Column names from a header row: trimmed, blanks and repeats made unique.

    Raises:
        InvalidInput: too many, or none.
    """
    names: list[str] = []
    seen: set[str] = set()
    for place, cell in enumerate(cells, 1):
        if place > MAX_COLUMNS:
            raise InvalidInput(_("{name} has more than {limit} columns.", name=where, limit=number(MAX_COLUMNS)))
        base = name = " ".join(str(cell if cell is not None else "").split())[:100] or f"column {place}"
        again = 2
        while name in seen:
            name, again = f"{base} ({again})", again + 1
        seen.add(name)
        names.append(name)
    while names and names[-1] == f"column {len(names)}":
        names.pop()  # what a spreadsheet adds on the right
    if not names:
        raise InvalidInput(_("{name} has no header row.", name=where))
    return tuple(names)


# ---------------------------------------------------------------- text


class _Counted(io.RawIOBase):
    """A decompressing stream that ends with InvalidInput once it has grown too much."""

    def __init__(self, file: BinaryIO, limit: int, name: str) -> None:
        self._file, self._left, self._name = file, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise InvalidInput(
                _(
                    "{name} expands to more than {times} times its size and is not read.",
                    name=self._name,
                    times=number(MAX_EXPANSION),
                )
            )
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            file.seek(0)
            yield file
            return
        file.seek(0)
        limit = max(path.stat().st_size * MAX_EXPANSION, MIN_EXPANSION_BYTES)
        with gzip.GzipFile(fileobj=file) as expanded:
            yield io.BufferedReader(_Counted(expanded, limit, path.name), 1 << 16)  # type: ignore[arg-type]  # GzipFile is one in all but name


class _Line(NamedTuple):
    raw: bytes
    problem: str = ""


def _lines(file: BinaryIO, encoding: str) -> Iterator[_Line]:
    """Lines as UTF-8 bytes where the file is UTF-16, else as they are; an endless one is cut and says so."""
    if encoding == "utf-16":
        with io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n") as text:
            while line := text.readline(MAX_LINE_BYTES):
                yield _Line(line.encode())
        return
    while raw := file.readline(MAX_LINE_BYTES):
        if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
            yield _Line(raw)
            continue
        size = len(raw)
        while (more := file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
            size += len(more)
        yield _Line(raw[:_SNIFFED_BYTES], f"a line of more than {size:,} bytes")


def decoded(raw: bytes) -> str:
    """UTF-8, or Windows-1252 where a line is not."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _text_table(path: Path) -> TableFile:
    with _opened(path) as file:
        start = file.read(_SNIFFED_BYTES)
        n_lines = start.count(b"\n")
        last = start
        while block := file.read(1 << 20):
            n_lines += block.count(b"\n")
            last = block
    if not last.endswith(b"\n"):
        n_lines += 1
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    text = start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    if "\x00" in text[:1000]:
        raise InvalidInput(_("{name} is not text, nor XLSX or Parquet.", name=path.name))
    if text.startswith("{"):
        return _JsonLines(path, n_lines)
    return _DelimitedTable(path, encoding, n_lines)


class _JsonLines(TableFile):
    """A sale in JSON a line, as Kafka's records."""

    def __init__(self, path: Path, n_lines: int) -> None:
        self.path = path
        self.n_rows = n_lines
        self.columns = ("sale",)

    @property
    def is_json(self) -> bool:
        return True

    def _rows(self) -> Iterator[Row]:
        with _opened(self.path) as file:
            for raw, problem in _lines(file, "utf-8"):
                value = raw.strip().removeprefix(b"\xef\xbb\xbf")
                if value:
                    yield Row((), value, problem)


class _DelimitedTable(TableFile):
    """CSV and its relatives; the delimiter is the one that the header has most of."""

    def __init__(self, path: Path, encoding: str, n_lines: int) -> None:
        self.path = path
        self._encoding = encoding
        with _opened(path) as file:
            header = next(
                (line for line in _lines(file, encoding) if line.raw.strip(b"\xef\xbb\xbf \t\r\n")), _Line(b"")
            )
        if header.problem:
            raise InvalidInput(
                _("{name}: the header row is longer than {limit} bytes.", name=path.name, limit=number(MAX_LINE_BYTES))
            )
        text = decoded(header.raw).lstrip("\ufeff")
        self._delimiter = max(_DELIMITERS, key=text.count)
        if text.count(self._delimiter) > MAX_COLUMNS:
            raise InvalidInput(_("{name} has more than {limit} columns.", name=path.name, limit=number(MAX_COLUMNS)))
        self.columns = column_names(next(csv.reader([text], delimiter=self._delimiter)), path.name)
        self.n_rows = max(n_lines - 1, 0)

    def _rows(self) -> Iterator[Row]:
        with _opened(self.path) as file:
            yield from self._parsed(_lines(file, self._encoding))

    def _parsed(self, lines: Iterator[_Line]) -> Iterator[Row]:
        csv.field_size_limit(MAX_CELL_CHARACTERS)
        taken: list[bytes] = []
        problems: list[str] = []

        def feed() -> Iterator[str]:
            for raw, problem in lines:
                taken.append(raw)
                if problem:
                    problems.append(problem)
                yield decoded(raw).lstrip("\ufeff") if len(taken) == 1 else decoded(raw)

        header_seen = False
        while True:
            reader = csv.reader(feed(), delimiter=self._delimiter)
            try:
                for cells in reader:
                    original, problem = b"".join(taken), "".join(problems)
                    taken.clear()
                    problems.clear()
                    if not any(cells):
                        continue
                    if header_seen:
                        yield self._row(cells, original, problem)
                    header_seen = True
            except csv.Error as error:  # the reader is used up, its input is not
                yield Row((), b"".join(taken)[:_SNIFFED_BYTES], f"not readable as CSV: {error}")
                taken.clear()
                problems.clear()
            else:
                return

    def _row(self, cells: list[str], original: bytes, problem: str) -> Row:
        n_columns = len(self.columns)
        if len(cells) > n_columns and any(cell.strip() for cell in cells[n_columns:]):
            problem = problem or f"{len(cells)} cells under {n_columns} columns"
        return Row(cells, original, problem)


def as_json(cells: Sequence[Any]) -> bytes:
    """The bytes of a row of a format whose rows have none of their own."""
    try:
        return orjson.dumps(list(cells), default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:  # a number of more than 64 bits
        return json.dumps([cell if isinstance(cell, int | float | None) else str(cell) for cell in cells]).encode()
