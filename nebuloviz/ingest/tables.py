"""What every table in a file has in common, whatever its format: rows, column names, limits, and how damage is reported."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from nebuloviz.errors import InvalidInput, NebuloVizError
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number

MAX_COLUMNS: Final = 1_000
#: A compressed file that expands to more times its size is no table but a bomb; real ones expand ten- to fiftyfold.
MAX_EXPANSION: Final = 200
MIN_EXPANSION_BYTES: Final = 16 << 20


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
        with unreadable_as_input(self.path):
            yield from self._rows()

    @abstractmethod
    def _rows(self) -> Iterator[Row]:
        """As `rows`; whatever it raises says that the file cannot be read."""

    @property
    def is_json(self) -> bool:
        """Whether a row's original is a sale in JSON already, and needs no mapping."""
        return False


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


def as_json(cells: Sequence[Any]) -> bytes:
    """The bytes of a row of a format whose rows have none of their own."""
    try:
        return orjson.dumps(list(cells), default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:  # a number of more than 64 bits
        return json.dumps([cell if isinstance(cell, int | float | None) else str(cell) for cell in cells]).encode()


def decoded(raw: bytes) -> str:
    """UTF-8, or Windows-1252 where a line is not."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


@contextmanager
def unreadable_as_input(path: Path) -> Iterator[None]:
    """Turn whatever a library raises over a damaged or hostile file into InvalidInput, which names the file and the reason."""
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


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
