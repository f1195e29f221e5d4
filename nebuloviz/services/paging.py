"""Lists in pages, newest first: how long a page is, and where the next one begins."""

from __future__ import annotations

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _

MAX_PAGE = 500


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
