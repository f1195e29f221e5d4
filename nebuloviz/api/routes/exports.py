"""Files for people: figures and sale lines as CSV and XLSX, in the caller's words and on the clock of the question.

A file is written to disk first and then sent piece by piece: it is whole or a problem, never cut off, and never held.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import Asked, FilterTexts, ZoneName, filters_of, query_moment
from nebuloviz.api.reading import StrictRoute
from nebuloviz.api.schemas.base import Moment
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.export import FORMATS, Sheet, file_name, sheet_of_frame, sheet_of_lines
from nebuloviz.services.interfaces import AuditAction, DataService, SaleLine

MOST_LINES = 1_000_000  # a sheet of a workbook has little room for more
_LINES_AT_ONCE = 1_000
_PIECE_BYTES = 256 * 1024

router = APIRouter(prefix="/exports", tags=["exports"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.DATA_READ))]
LineReader = Annotated[Asker, Depends(needs(Permission.SALES_READ))]
Kind = Annotated[Literal["csv", "xlsx"], Parameter(alias="format")]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {kind.partition(";")[0]: _BINARY for kind, _write in FORMATS.values()}}
}


@router.get("/figures", summary="A question's answer as a file", response_class=StreamingResponse, responses=_FILES)
async def export_figures(asker: Reader, asked: Asked, kind: Kind = "csv") -> StreamingResponse:
    """As the dashboard gives it: headings and values in words. For programs there is `/query`."""
    sheet = functools.partial(_figures, asker.services.data, asked.query)
    return await _exported(asker, kind, file_name(asked.query, kind), sheet, asked.query.to_params())


@router.get("/sales", summary="Sale lines as a file", response_class=StreamingResponse, responses=_FILES)
async def export_sales(
    asker: LineReader, start: Moment, end: Moment, filter: FilterTexts, time_zone: ZoneName = "UTC", kind: Kind = "csv"
) -> StreamingResponse:
    """Those of the range and filters, newest first; at most the newest million."""
    query = Query(
        metrics=("lines",),
        start=query_moment("start", start),
        end=query_moment("end", end),
        filters=filters_of(filter),
        time_zone=time_zone,
    )
    sheet = functools.partial(_lines, asker.services.data, query)
    return await _exported(asker, kind, file_name(query, kind, "sale-lines"), sheet, query.to_params())


async def _exported(
    asker: Asker, kind: str, name: str, sheet: Callable[[Session, Actor], Sheet], filters: dict[str, list[str]]
) -> StreamingResponse:
    """What `sheet` makes as a file of that kind, noted in the audit log."""
    content_type, write = FORMATS[kind]
    file = TemporaryFile()  # noqa: SIM115 - closed when it has been sent, or nobody is left to send it to

    def make(session: Session, actor: Actor) -> int:
        write(sheet(session, actor), file)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return size

    try:
        size = await asker.ask_in_thread(make)
        await asker.act(asker.services.audit.record, AuditAction.DATA_EXPORTED, name, after={"filters": filters})
    except BaseException:
        file.close()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return StreamingResponse(_pieces(file), media_type=content_type, headers=headers)


def _figures(data: DataService, query: Query, session: Session, actor: Actor) -> Sheet:
    return sheet_of_frame(data.frame(session, actor, query))


def _lines(data: DataService, query: Query, session: Session, actor: Actor) -> Sheet:
    return sheet_of_lines(islice(_all_lines(data, query, session, actor), MOST_LINES), query.zone)


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
