"""What streams in, and rejected records."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text
from nebuloviz.models import MAX_ID
from nebuloviz.services.paging import MAX_PAGE

_Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class PartitionItem(Outgoing):
    topic: str
    partition: int
    next_offset: int
    lag: int | None
    accepted: int
    duplicate: int
    rejected: int
    updated_at: datetime
    halted_reason: Annotated[str, Field(description="Empty while it runs.")]


class Minute(Outgoing):
    """What arrived in one minute; `late_seconds` is how late the sales were in the mean."""

    minute: datetime
    accepted: int
    duplicate: int
    rejected: int
    late_seconds: int


class StreamAnswer(Outgoing):
    """`minutes` are the last sixty, the newest last."""

    partitions: list[PartitionItem]
    minutes: list[Minute]


class PartitionStart(Incoming):
    topic: Annotated[Text, Field(min_length=1)]
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)]
    skip_to: Annotated[int | None, Field(ge=0, le=MAX_ID)] = None


class DeadLetterItem(Outgoing):
    """A rejected record with its reason. `payload_base64` holds at most the first 64 KiB of `payload_size` bytes."""

    id: int
    topic: str
    partition: int
    offset: int
    file: Annotated[str, Field(description="The file whose row `offset` + 1 it was; empty where it came otherwise.")]
    reason: str
    detail: str
    state: str
    received_at: datetime
    payload_size: int
    payload_base64: str
    record: Annotated[
        str,
        Field(
            description="What was made of a file's row, or the correction that was tried last: begin with it to correct."
        ),
    ]


class DeadLetterList(Outgoing):
    items: list[DeadLetterItem]
    next: str | None
    open_by_reason: dict[str, int]


class DeadLetterIds(Incoming):
    ids: Annotated[list[_Id], Field(min_length=1, max_length=MAX_PAGE)]


class Correction(Incoming):
    id: _Id
    record: Annotated[
        str, Field(min_length=1, max_length=4_000, description="The sale as it should have come, in JSON.")
    ]


class DeadLettersAgain(DeadLetterIds):
    corrected: Annotated[
        list[Correction],
        Field(
            default_factory=list,
            max_length=20,
            description="What is read in place of some of them; their bytes stay as they came.",
        ),
    ]


class Retried(Outgoing):
    accepted: int
    duplicates: int
    rejected: int


class Discarded(Outgoing):
    discarded: int
