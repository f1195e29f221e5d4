"""Files of sales: looked into, imported in the background, and followed."""

from __future__ import annotations

import functools
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import Mappings, mapping_of
from nebuloviz.api.reading import StrictRoute, body_file
from nebuloviz.api.schemas.base import Cursor
from nebuloviz.api.schemas.imports import (
    ORDER_WORDS,
    ZONE_WORDS,
    DateOrderName,
    ImportItem,
    ImportList,
    ImportOfUpload,
    UploadAnswer,
)
from nebuloviz.errors import UnsupportedMediaType
from nebuloviz.i18n import _
from nebuloviz.models import MAX_ID
from nebuloviz.permissions import Permission
from nebuloviz.services.interfaces import ImportView

router = APIRouter(tags=["imports"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.STREAM_READ))]
Writer = Annotated[Asker, Depends(needs(Permission.SALES_WRITE))]
FileName = Annotated[str, Parameter(max_length=200, description="The file's name, for people.")]
_PIECE_BYTES = 256 * 1024

_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: CSV or TSV (plain or gzipped), XLSX, Parquet or NDJSON.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/uploads", summary="A file, to be looked into", status_code=201, openapi_extra=_FILE)
async def upload(asker: Writer, request: Request, name: FileName = "") -> UploadAnswer:
    """Its first rows, what its columns seem to mean, and what is missing. It is kept for a day, to be imported."""
    upload_id = await _stored(asker, request, name)
    seen = await asker.ask_in_thread(asker.services.ingest.preview, upload_id)
    return UploadAnswer.model_validate({"upload_id": upload_id, **vars(seen)})


@router.post("/imports", summary="Import a file", status_code=202, openapi_extra=_FILE)
async def start_import(
    asker: Writer,
    request: Request,
    response: Response,
    mapping: Mappings,
    name: FileName = "",
    time_zone: Annotated[str, Parameter(max_length=64, description=ZONE_WORDS)] = "",
    date_order: Annotated[DateOrderName, Parameter(description=ORDER_WORDS)] = "",
) -> ImportItem:
    """It goes on in the background: ask for it at `Location`. The same file again goes on where it stopped; nothing counts twice."""
    upload_id = await _stored(asker, request, name)
    return await _started(asker, response, upload_id, mapping_of(mapping), time_zone, date_order)


@router.post("/uploads/{upload_id}/import", summary="Import a file that was looked into", status_code=202)
async def import_upload(
    asker: Writer,
    upload_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")],
    body: ImportOfUpload,
    response: Response,
) -> ImportItem:
    return await _started(asker, response, upload_id, body.mapping, body.time_zone, body.date_order)


@router.get("/imports", summary="Imports, newest first")
async def imports(
    asker: Reader, cursor: Cursor = None, limit: Annotated[int, Parameter(ge=1, le=100)] = 20
) -> ImportList:
    found = await asker.ask(asker.services.ingest.imports, limit + 1, cursor)
    items = [ImportItem.model_validate(item) for item in found[:limit]]
    return ImportList(items=items, next=str(items[-1].id) if len(found) > limit else None)


@router.get("/imports/{import_id}", summary="One import, and how far it is")
async def import_of(asker: Reader, import_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> ImportItem:
    return ImportItem.model_validate(await asker.ask(asker.services.ingest.import_of, import_id))


async def _stored(asker: Asker, request: Request, name: str) -> str:
    """Keep the body as a file; it comes piece by piece, and no thread waits for it.

    Raises:
        PayloadTooLarge, MalformedRequest: as `body_file`; nothing is kept then.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/octet-stream":
        raise UnsupportedMediaType(_("Send the file itself, as application/octet-stream."))
    async with body_file(request, asker.services.settings.current.max_upload_mb * 1_000_000) as file:
        pieces = iter(functools.partial(file.read, _PIECE_BYTES), b"")
        return await to_thread.run_sync(
            asker.services.ingest.store_upload, name, pieces, asker.actor.user_id, limiter=asker.context.file_threads
        )


async def _started(
    asker: Asker, response: Response, upload_id: str, mapping: dict[str, str], *reading: str
) -> ImportItem:
    view: ImportView = await asker.ask_in_thread(asker.services.ingest.start_import, upload_id, mapping, *reading)
    response.headers["Location"] = f"/api/v1/imports/{view.id}"
    return ImportItem.model_validate(view)
