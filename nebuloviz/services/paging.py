"""Lists in pages: how long a page is, and where the next one begins."""

from __future__ import annotations

import base64
import json
from typing import Any

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.services import strict_json

MAX_PAGE = 500
_BITS = 64


def page_size(limit: int) -> int:
    """How many rows a page of `limit` has: at least one, at most `MAX_PAGE`."""
    return max(1, min(limit, MAX_PAGE))


def bad_cursor() -> InvalidInput:
    """For a cursor that no page gave."""
    return InvalidInput(_("The cursor is not one that this list gave; begin again without it."))


def last_id(cursor: str) -> int:
    """The id of the last row of the page before, which gave `cursor`.

    Raises:
        InvalidInput: no page did.
    """
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)


def cursor_of(*parts: str | int) -> str:
    """A cursor that says where a page ended, by values of its last row.

    >>> parts_of(cursor_of("name", 7))
    ['name', 7]
    """
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode()


def parts_of(cursor: str) -> list[Any]:
    """What `cursor` was made of: texts and integers that a database can compare with its own.

    Raises:
        InvalidInput: it holds anything else.
    """
    try:
        parts = strict_json.parse(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise bad_cursor() from None
    if not isinstance(parts, list) or not all(map(_is_storable, parts)):
        raise bad_cursor()
    return parts


def _is_storable(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" not in value
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < _BITS
