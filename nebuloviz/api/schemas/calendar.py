"""The business calendar: entries, what they come to on the days asked for, opening hours."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text
from nebuloviz.api.schemas.notifications import Clock

Day = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", max_length=10, json_schema_extra={"format": "date"})
]  # `parse_day` says what is none
Closing = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$", max_length=5)]


class EntryBody(Incoming):
    """Days of a `closure`, a `promotion`, or of being `open` in spite of a public holiday, with a name, `last` included.

    `holidays`: those of `country` count, in each year. With a `dimension`, only its `value` is meant.
    """

    kind: Literal["closure", "promotion", "holidays", "open"]
    name: Annotated[Text, Field(max_length=80)] = ""
    first: Day | None = None
    last: Annotated[Day | None, Field(description="The same as `first` where it is not given.")] = None
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$", max_length=2, description="ISO 3166.")] = ""
    dimension: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]*)?$", max_length=64)] = ""
    value: Annotated[Text, Field(max_length=256)] = ""


class EntryItem(Outgoing):
    id: int
    kind: str
    name: str
    first: date | None
    last: date | None
    country: str
    dimension: str
    value: str
    created_by: str
    version: int


class EntryList(Outgoing):
    items: list[EntryItem]


class PlannedItem(Outgoing):
    """`entry_id` is the entry that says so; of public holidays, one for each."""

    first: date
    last: date
    kind: str
    name: str
    dimension: str
    value: str
    entry_id: int


class Agenda(Outgoing):
    items: list[PlannedItem]


class Country(Outgoing):
    code: str
    name: str


class CountryList(Outgoing):
    items: list[Country]


class Opening(Incoming):
    """A `close` before `open` lies on the next day; both the same: closed all day. All day is 00:00 to 24:00."""

    open: Clock
    close: Closing


class WeekHours(Incoming):
    """Of each weekday from Monday on; an empty list: nobody has said, they are learned."""

    days: Annotated[list[Opening], Field(max_length=7)]
