"""JSON from outside, read without surprises: valid text, finite numbers, nothing nested beyond reason."""

from __future__ import annotations

import json
from typing import Any, NoReturn


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
        value = json.loads(text, parse_constant=_refuse)
        if "\\ud" in text.lower():  # half of a surrogate pair is not text, and no database takes it
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(type(error).__name__) from None
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


# Numbers stay text: what they are worth is decided, item by item, by whoever reads the items.
_splitter = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
_SPACE = " \t\r\n"


def split_items(data: bytes, most: int) -> list[bytes]:
    """The items of a JSON list as they stand, byte for byte; a single value is a list of one.

    An item may be nonsense in itself, as long as it is clear where it ends.

    Raises:
        NotStrictJson: where an item ends cannot be told.
        TooManyItems: there are more than `most`.
    """
    try:
        text = data.decode("utf-8").strip(_SPACE)
        return [item.encode("utf-8") for item in (_items(text, most) if text.startswith("[") else [_whole(text)])]
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(type(error).__name__) from None


def _whole(text: str) -> str:
    _splitter.decode(text)
    return text


def _items(text: str, most: int) -> list[str]:
    items: list[str] = []
    at = _skip(text, 1)
    while text[at : at + 1] != "]":
        if items:
            if text[at : at + 1] != ",":
                raise ValueError("a comma is missing")
            at = _skip(text, at + 1)
        if len(items) == most:
            raise TooManyItems
        _value, end = _splitter.raw_decode(text, at)
        items.append(text[at:end])
        at = _skip(text, end)
    if at + 1 != len(text):
        raise ValueError("something stands behind the list")
    return items


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t", "\r", "\n"}:
        at += 1
    return at
