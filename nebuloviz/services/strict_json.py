"""JSON from outside, read without surprises: valid text, finite numbers, nothing nested beyond reason."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn


class NotStrictJson(ValueError):
    """The text is not JSON as RFC 8259 has it, or too large in depth or digits to be read."""


class TooManyItems(Exception):
    """A list is longer than its reader takes."""


def parse(data: bytes) -> Any:
    """The decoded value. No NaN or infinities, no halves of surrogate pairs, nothing too deep.

    Raises:
        NotStrictJson: it is none.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if "\\ud" in text.lower():  # half of a surrogate pair is not text, and no database takes it
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(type(error).__name__) from None
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    """JSON has no infinity, but numbers that no float holds would be read as one."""
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


# Numbers stay text: what they are worth is decided, item by item, by whoever reads the items.
_splitter = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_space = re.compile(r"[ \t\r\n]*")
_WINDOW_BYTES = 1 << 20
_GOES_ON = 3  # of `1e+`, before its digits are read, only the `1` is a number


def items_of(file: IO[bytes], most: int, window_bytes: int = _WINDOW_BYTES) -> Iterator[bytes]:
    """The items of a JSON list as they stand, byte for byte; a single value is a list of one. Holds a window of it at a time.

    An item may be nonsense in itself, as long as it is clear where it ends.

    Raises:
        NotStrictJson: where an item ends cannot be told.
        TooManyItems: there are more than `most`.
    """
    try:
        for item in _items(_Text(file, window_bytes), most):
            yield item.encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(type(error).__name__) from None


class _Text:
    """JSON text from a file, read as far as the value at hand needs."""

    def __init__(self, file: IO[bytes], window_bytes: int) -> None:
        self._file = file
        self._window_bytes = window_bytes
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._ended = False

    def next(self) -> str:
        """The next character that is no space, '' at the end; it stays the next."""
        while True:
            self._at = _space.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read()

    def skip(self) -> None:
        """Leave that character behind."""
        self._at += 1

    def value(self) -> str:
        """The value that begins with it. Raises ValueError where there is none, or it does not end."""
        while True:
            try:
                _value, end = _splitter.raw_decode(self._text, self._at)
            except ValueError:
                if self._ended:
                    raise
            else:
                if end + _GOES_ON <= len(self._text) or self._ended:
                    begin, self._at = self._at, end
                    return self._text[begin:end]
            self._read()

    def _read(self) -> None:
        """At least as much again as is held, so that a long value is not begun too often."""
        self._text, self._at = self._text[self._at :], 0
        data = self._file.read(max(self._window_bytes, len(self._text)))
        self._ended = not data
        self._text += self._decode(data, final=self._ended)


def _items(text: _Text, most: int) -> Iterator[str]:
    if text.next() != "[":
        yield text.value()
    else:
        text.skip()
        count = 0
        while text.next() != "]":
            if count:
                if text.next() != ",":
                    raise ValueError("a comma is missing")
                text.skip()
                text.next()
            if count == most:
                raise TooManyItems
            yield text.value()
            count += 1
        text.skip()
    if text.next():
        raise ValueError("something stands behind it")
