"""Sales in, and the lines that are stored."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as Parameter
from sqlalchemy.orm import Session

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.questions import FilterTexts, Mappings, ZoneName, calendar_of, filters_of, mapping_of, query_moment
from nebuloviz.api.reading import MAX_SALES_BYTES, StrictRoute, body_file
from nebuloviz.api.schemas.base import Cursor, Moment
from nebuloviz.api.schemas.sales import SaleItem, SaleList, SalesAnswer
from nebuloviz.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from nebuloviz.i18n import _
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services import strict_json
from nebuloviz.services.interfaces import MAX_POSTED, IngestService, PostResult

router = APIRouter(prefix="/sales", tags=["sales"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.SALES_READ))]
Writer = Annotated[Asker, Depends(needs(Permission.SALES_WRITE))]

_KEPT_BYTES = 1 << 21
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"})
_EXAMPLE = {
    "sale_id": "4711-1",
    "order_id": "4711",
    "sold_at": "2026-11-22T15:04:05+01:00",
    "customer_id": "C-12",
    "product_id": "P-100",
    "product": "Whole milk 1 l",
    "category": "Dairy",
    "region": "North",
    "country": "DE",
    "channel": "store",
    "store": "367",
    "quantity": 2,
    "unit_price": 1.19,
    "discount": 0,
    "amount": 2.38,
    "currency": "EUR",
}
_EXAMPLE_ROWS = "\r\n".join(",".join(map(str, cells)) for cells in (_EXAMPLE, _EXAMPLE.values()))
# Any JSON is taken, because each item is judged by itself; what a good one looks like is the example.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A list of sales, a single one, one a line, or a CSV table; at most 20 MB, gzip allowed. Required are "
        "`sale_id`, `order_id`, `sold_at` (ISO 8601 with an offset), `product_id`, `quantity`, and `unit_price` or `amount` (the "
        "line's own total, which is then its revenue). Columns of a table are recognised by their names as those of imports are.",
        "content": {
            "application/json": {"schema": {}, "example": [_EXAMPLE]},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE_ROWS},
        },
    }
}


@router.post("", summary="Write sales", openapi_extra=_BODY, response_model=SalesAnswer)
async def post_sales(asker: Writer, request: Request, mapping: Mappings) -> Response:
    """Each item gets its own answer; a bad one does not harm its neighbours. Sending the same again counts nothing twice.

    All of it is one transaction, begun when all of it has come: a connection that breaks leaves nothing counted by half.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _LINES | {"application/json", "text/csv"}:
        raise UnsupportedMediaType(
            _("Send application/json (a list, or one sale), application/x-ndjson (one sale a line) or text/csv.")
        )
    columns = mapping_of(mapping)
    async with body_file(request, MAX_SALES_BYTES) as file:
        content = await asker.act_in_thread(functools.partial(_post, asker.services.ingest, kind, file, columns))
    return Response(content, media_type="application/json")


@router.get("", summary="Stored sale lines, newest first")
async def sale_lines(  # noqa: PLR0913, PLR0917 - each is a parameter of the URL
    asker: Reader,
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    time_zone: ZoneName = None,
    order: Annotated[
        str, Parameter(max_length=32, description="A field of the lines, with `-` in front for descending.")
    ] = "-sold_at",
    cursor: Cursor = None,
    limit: Annotated[int, Parameter(ge=1, le=1000)] = 100,
) -> SaleList:
    """Those of the range and filters, in pages."""
    asked = Query(
        metrics=("lines",),
        start=query_moment("start", start),
        end=query_moment("end", end),
        filters=filters_of(filter),
        **calendar_of(time_zone),
    )
    page = await asker.ask(asker.services.data.sales, asked, cursor, limit, order)
    return SaleList(
        items=[SaleItem.model_validate(line) for line in page.lines], next=page.next_cursor, total=page.total
    )


def _post(
    ingest: IngestService, kind: str, file: IO[bytes], mapping: Mapping[str, str], session: Session, actor: Actor
) -> bytes:
    if kind == "text/csv":
        return _answer(ingest.post_rows(session, actor, Path(file.name), mapping))
    return _answer(ingest.post(session, actor, _readable(_json_lines if kind in _LINES else _json_items, file)))


def _readable(read: Callable[[IO[bytes]], Iterator[bytes]], file: IO[bytes]) -> Iterable[bytes]:
    """The items, once all could be read: else all is refused before anything is written. Those of a large file are read again."""
    if os.fstat(file.fileno()).st_size <= _KEPT_BYTES:
        return list(read(file))
    for _item in read(file):
        pass
    file.seek(0)
    return read(file)


def _json_lines(file: IO[bytes]) -> Iterator[bytes]:
    lines = filter(None, map(bytes.strip, file))
    for count, line in enumerate(lines):
        if count == MAX_POSTED:
            raise _too_many()
        yield line


def _json_items(file: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from strict_json.items_of(file, MAX_POSTED)
    except strict_json.NotStrictJson:
        raise MalformedRequest(_("The body is not valid JSON.")) from None
    except strict_json.TooManyItems:
        raise _too_many() from None


def _too_many() -> PayloadTooLarge:
    return PayloadTooLarge(_("At most {limit} sales can be sent at once.", limit=f"{MAX_POSTED:,}"))


def _answer(result: PostResult) -> bytes:
    """As `SalesAnswer` describes it; a model for each of many thousand rows would cost seconds."""
    results = [
        {"index": row.index, "status": row.status} | ({"reason": row.reason} if row.reason else {})
        for row in result.results
    ]
    counts = {"accepted": result.accepted, "duplicates": result.duplicates, "rejected": result.rejected}
    return orjson.dumps(counts | {"results": results})
