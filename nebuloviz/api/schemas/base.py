"""What the schemas of all routes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Query as Parameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import _
from nebuloviz.services.paging import last_id

_T = TypeVar("_T")

MAX_COLUMNS = 20


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


Text = Annotated[str, Field(max_length=500), AfterValidator(_without_nul)]
Slug = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
Moment = Annotated[
    str,
    Field(
        max_length=40,
        description="ISO 8601, such as 2026-11-22T15:00:00Z or 2026-11-22; without an offset it is in `time_zone`.",
        json_schema_extra={"format": "date-time"},
    ),
]

#: Of a list, a parameter of the URL.
Cursor = Annotated[str | None, Parameter(max_length=4_000, description="`next` of the page before.")]


def moment_of(name: str, text: str | None) -> datetime | None:
    """A parameter's time, aware; without an offset it is taken as UTC.

    Raises:
        InvalidInput: it is none.
    """
    return None if text is None else moment_from(name, text)


def moment_from(name: str, text: str) -> datetime:
    """As `moment_of`, of a time that must be there."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(_("{name} is no ISO 8601 time; write it like 2026-11-22T15:00:00Z.", name=name)) from None


def part_of(whole: Sequence[_T], cursor: str | None, limit: int) -> tuple[list[_T], str | None]:
    """Of a list that is short enough to be made whole, the page after `cursor`, and the cursor of the next one.

    Raises:
        InvalidInput: no page gave that cursor.
    """
    begin = last_id(cursor) if cursor else 0
    end = begin + limit
    return list(whole[begin:end]), str(end) if end < len(whole) else None


class Incoming(BaseModel):
    """A body: strict about types, and about fields that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(Outgoing):
    """RFC 9457. `code` is stable; `title` and `detail` are for people, in their language."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None
