"""Files for people: figures, sale lines and the audit log, in the caller's words and on the clock of the question or the reader.

A file is written to disk first and then sent piece by piece: it is whole or a problem, never cut off, and never held.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import Asked, FilterTexts, ZoneName, calendar_of, filters_of, query_moment
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.routes.audit import Which
from nebuloviz.api.schemas.base import Moment
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.audit_files import FORMS as AUDIT_FORMS
from nebuloviz.services.audit_files import every_entry, filters_told
from nebuloviz.services.export import FORMATS, Sheet, file_name, sheet_of_frame, sheet_of_lines
from nebuloviz.services.interfaces import AuditAction, DataService, SaleLine

MAX_LINES = 1_000_000  # a sheet of a workbook has little room for more
_LINES_AT_ONCE = 1_000
_PIECE_BYTES = 256 * 1024

router = APIRouter(prefix="/exports", tags=["exports"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
LineReader = Annotated[Asker, Depends(needs(Permission.SALES_READ))]
AuditReader = Annotated[Asker, Depends(needs(Permission.AUDIT_READ))]
Kind = Annotated[Literal["csv", "xlsx"], Parameter(alias="format")]
AuditKind = Annotated[Literal["csv", "ndjson"], Parameter(alias="format")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _described(forms: Mapping[str, tuple[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of an answer that comes in one of `forms`."""
    content = {content_type.partition(";")[0]: _BINARY for content_type, _write in forms.values()}
    return {200: {"description": "The file.", "content": content}}


@router.get(
    "/figures", summary="A question's answer as a file", response_class=StreamingResponse, responses=_described(FORMATS)
)
async def export_figures(asker: Reader, asked: Asked, kind: Kind = "csv") -> StreamingResponse:
    """As the dashboard gives it: headings and values in words. For programs there is `/query`."""
    sheet = functools.partial(_figures, asker.services.data, asked.query)
    return await _exported(asker, kind, file_name(asked.query, kind), sheet, asked.query.to_params())


@router.get("/sales", summary="Sale lines as a file", response_class=StreamingResponse, responses=_described(FORMATS))
async def export_sales(
    asker: LineReader, start: Moment, end: Moment, filter: FilterTexts, time_zone: ZoneName = None, kind: Kind = "csv"
) -> StreamingResponse:
    """Those of the range and filters, newest first; at most the newest million."""
    query = Query(
        metrics=("lines",),
        start=query_moment("start", start),
        end=query_moment("end", end),
        filters=filters_of(filter),
        **calendar_of(time_zone),
    )
    sheet = functools.partial(_lines, asker.services.data, query)
    return await _exported(asker, kind, file_name(query, kind, "sale-lines"), sheet, query.to_params())


@router.get(
    "/audit", summary="The audit log as a file", response_class=StreamingResponse, responses=_described(AUDIT_FORMS)
)
async def export_audit(asker: AuditReader, which: Which, kind: AuditKind = "csv") -> StreamingResponse:
    """At most the newest hundred thousand entries: in words as the page gives them (CSV), or as `/audit` does (NDJSON)."""
    content_type, write = AUDIT_FORMS[kind]

    def make(out: IO[bytes], session: Session, actor: Actor) -> None:
        write(every_entry(asker.services.audit, session, actor, which), out)

    told = functools.partial(
        asker.services.audit.record, action=AuditAction.AUDIT_EXPORTED, after={"filters": filters_told(which)}
    )
    return await _sent(asker, f"audit-log.{kind}", content_type, make, told)


async def _exported(
    asker: Asker, kind: str, name: str, sheet: Callable[[Session, Actor], Sheet], filters: dict[str, list[str]]
) -> StreamingResponse:
    """What `sheet` makes as a file of that kind, noted in the audit log."""
    content_type, write = FORMATS[kind]
    told = functools.partial(
        asker.services.audit.record, action=AuditAction.DATA_EXPORTED, subject=name, after={"filters": filters}
    )
    return await _sent(asker, name, content_type, lambda out, *asked: write(sheet(*asked), out), told)


async def _sent(
    asker: Asker,
    name: str,
    content_type: str,
    write: Callable[[IO[bytes], Session, Actor], None],
    told: Callable[[Session, Actor], None],
) -> StreamingResponse:
    """What `write` writes, once it is whole and `told` has noted it in the audit log."""
    file = TemporaryFile()  # noqa: SIM115 - closed when it has been sent, or nobody is left to send it to

    def make(session: Session, actor: Actor) -> int:
        write(file, session, actor)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size

    try:
        size = await asker.ask_in_thread(make)
        await asker.act(told)
    except BaseException:
        file.close()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return StreamingResponse(_pieces(file), media_type=content_type, headers=headers)


def _figures(data: DataService, query: Query, session: Session, actor: Actor) -> Sheet:
    return sheet_of_frame(data.frame(session, actor, query))


def _lines(data: DataService, query: Query, session: Session, actor: Actor) -> Sheet:
    return sheet_of_lines(islice(_all_lines(data, query, session, actor), MAX_LINES), query.zone)


def _all_lines(data: DataService, query: Query, session: Session, actor: Actor) -> Iterator[SaleLine]:
    cursor = None
    while True:
        page = data.sales(session, actor, query, cursor, _LINES_AT_ONCE)
        yield from page.lines
        cursor = page.next_cursor
        if cursor is None:
            return


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
