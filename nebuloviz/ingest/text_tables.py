"""Tables in text: CSV and its relatives, and a JSON object a line; plain or gzipped, in UTF-8, UTF-16 or Windows-1252."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.ingest.tables import (
    MAX_COLUMNS,
    MAX_EXPANSION,
    MIN_EXPANSION_BYTES,
    Row,
    TableFile,
    column_names,
    decoded,
)

MAX_LINE_BYTES: Final = 4 << 20
MAX_CELL_CHARACTERS: Final = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_ANNOUNCED = re.compile(rb'^(?:\xef\xbb\xbf)?"?sep=([,;|\t])"?\s*$')
_UTF_16_END = "\n".encode("utf-16-le")
_SNIFFED_BYTES = 1 << 16


class _Form(NamedTuple):
    """How a file's text is written. Lines end with `end`, which is CR where there is no line feed at all."""

    encoding: str = "utf-8"
    end: bytes = b"\n"


def text_table(path: Path) -> TableFile:
    """The text file at `path` as a table. Raises InvalidInput where it is not text."""
    with _opened(path) as file:
        start = file.read(_SNIFFED_BYTES)
        ends = {end: start.count(end) for end in (b"\n", b"\r")}
        last = start
        while block := file.read(1 << 20):
            ends = {end: n + block.count(end) for end, n in ends.items()}
            last = block
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    form = _Form(encoding, b"\r" if ends[b"\r"] and not ends[b"\n"] else b"\n")
    n_lines = ends[form.end] + (not last.endswith((form.end, _UTF_16_END) if encoding == "utf-16" else form.end))
    text = start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    if "\x00" in text[:1000]:
        raise InvalidInput(_("{name} is not text, nor XLSX or Parquet.", name=path.name))
    if text.startswith("{"):
        return _JsonLines(path, n_lines)
    return _DelimitedTable(path, form, n_lines)


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
            for raw, problem in _lines(file, _Form()):
                value = raw.strip().removeprefix(b"\xef\xbb\xbf")
                if value:
                    yield Row((), value, problem)


class _DelimitedTable(TableFile):
    """CSV and its relatives; the delimiter is the one that the header has most of, or that a line `sep=;` above it announces."""

    def __init__(self, path: Path, form: _Form, n_lines: int) -> None:
        self.path = path
        self._form = form
        with _opened(path) as file:
            filled = (line for line in _lines(file, form) if line.raw.strip(b"\xef\xbb\xbf \t\r\n"))
            header = next(filled, _Line(b""))
            announced = _ANNOUNCED.match(header.raw)
            if announced:
                header = next(filled, _Line(b""))
        self._rows_above = 2 if announced else 1
        if header.problem:
            raise InvalidInput(
                _("{name}: the header row is longer than {limit} bytes.", name=path.name, limit=number(MAX_LINE_BYTES))
            )
        text = decoded(header.raw).lstrip("\ufeff")
        self._delimiter = announced[1].decode() if announced else max(_DELIMITERS, key=text.count)
        if text.count(self._delimiter) > MAX_COLUMNS:
            raise InvalidInput(_("{name} has more than {limit} columns.", name=path.name, limit=number(MAX_COLUMNS)))
        self.columns = column_names(next(csv.reader([text], delimiter=self._delimiter)), path.name)
        self.n_rows = max(n_lines - self._rows_above, 0)

    def _rows(self) -> Iterator[Row]:
        with _opened(self.path) as file:
            yield from self._parsed(_lines(file, self._form))

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

        rows_above = self._rows_above
        while True:
            reader = csv.reader(feed(), delimiter=self._delimiter)
            try:
                for cells in reader:
                    original, problem = b"".join(taken), "".join(problems)
                    taken.clear()
                    problems.clear()
                    if not any(cells):
                        continue
                    if rows_above:
                        rows_above -= 1
                    else:
                        yield self._row(cells, original, problem)
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


def _lines(file: BinaryIO, form: _Form) -> Iterator[_Line]:
    """Lines as UTF-8 bytes where the file is UTF-16, else as they are; an endless one is cut and says so."""
    if form.encoding == "utf-16":
        with io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n") as text:
            while line := text.readline(MAX_LINE_BYTES):
                yield _Line(line.encode())
        return
    with _line_reader(file, form.end) as next_of:
        while raw := next_of(MAX_LINE_BYTES):
            if len(raw) < MAX_LINE_BYTES or raw.endswith(form.end):
                yield _Line(raw)
                continue
            size = len(raw)
            while (more := next_of(MAX_LINE_BYTES)) and not more.endswith(form.end):
                size += len(more)
            yield _Line(raw[:_SNIFFED_BYTES], f"a line of more than {size:,} bytes")


@contextmanager
def _line_reader(file: BinaryIO, end: bytes) -> Iterator[Callable[[int], bytes]]:
    if end == b"\n":
        yield file.readline
        return
    with io.TextIOWrapper(file, "latin-1", newline="\r") as text:  # each byte is a character of it
        yield lambda size: text.readline(size).encode("latin-1")
