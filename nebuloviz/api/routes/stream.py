"""What streams in, and records that were rejected."""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Cursor
from nebuloviz.api.schemas.stream import (
    DeadLetterIds,
    DeadLetterItem,
    DeadLetterList,
    DeadLettersAgain,
    Discarded,
    Minute,
    PartitionItem,
    PartitionStart,
    Retried,
    StreamAnswer,
)
from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import _
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import DeadLetterView

router = APIRouter(tags=["stream"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.STREAM_READ))]
Manager = Annotated[Asker, Depends(needs(Permission.STREAM_MANAGE))]


@router.get("/stream", summary="Partitions, and the pace of the last hour")
async def stream(asker: Reader) -> StreamAnswer:
    status = await asker.ask(asker.services.ingest.status)
    names = tuple(Minute.model_fields)
    return StreamAnswer(
        partitions=[PartitionItem.model_validate(partition) for partition in status.partitions],
        minutes=[Minute(**dict(zip(names, minute, strict=True))) for minute in status.minutes],
    )


@router.post("/stream/resume", summary="Let a halted partition go on")
async def resume_partition(asker: Manager, body: PartitionStart) -> PartitionItem:
    """What lies before `skip_to` is not read: a gap, kept on record."""
    ingest = asker.services.ingest
    return PartitionItem.model_validate(await asker.act(ingest.resume, body.topic, body.partition, body.skip_to))


@router.get("/dead-letters", summary="Rejected records, newest first")
async def dead_letters(
    asker: Reader,
    state: Literal["open", "retried", "discarded"] = "open",
    reason: Annotated[str, Parameter(max_length=64)] = "",
    cursor: Cursor = None,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
) -> DeadLetterList:
    page = await asker.ask(asker.services.ingest.dead_letters, state, reason, cursor, limit)
    return DeadLetterList(
        items=[_letter(item) for item in page.items], next=page.next_cursor, open_by_reason=dict(page.open_by_reason)
    )


@router.get("/dead-letters/{letter_id}", summary="One rejected record")
async def dead_letter(asker: Reader, letter_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> DeadLetterItem:
    return _letter(await asker.ask(asker.services.ingest.dead_letter, letter_id))


@router.post("/dead-letters/retry", summary="Read rejected records again")
async def retry_dead_letters(asker: Manager, body: DeadLettersAgain) -> Retried:
    """Those that succeed close; the others stay, with their new reason."""
    corrected = {each.id: each.record.encode() for each in body.corrected}
    if not corrected.keys() <= set(body.ids):
        raise InvalidInput(_("Corrections are for records that are among `ids`."))
    result = await asker.act_in_thread(asker.services.ingest.retry, body.ids, corrected)
    return Retried.model_validate(result)


@router.post("/dead-letters/discard", summary="Close rejected records without writing them")
async def discard_dead_letters(asker: Manager, body: DeadLetterIds) -> Discarded:
    """Their bytes stay."""
    return Discarded(discarded=await asker.act(asker.services.ingest.discard, body.ids))


def _letter(letter: DeadLetterView) -> DeadLetterItem:
    own = {"payload_base64": base64.b64encode(letter.payload).decode("ascii")}
    own["record"] = (letter.record or b"").decode(errors="replace")
    fields = {name: getattr(letter, name) for name in DeadLetterItem.model_fields if name not in own}
    return DeadLetterItem(**fields, **own)
