"""Sales in, and the lines that are stored."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Request
from fastapi import Query as Parameter

from nebuloviz.api.deps import Asker, needs
from nebuloviz.api.reading import MAX_SALES_BYTES, StrictRoute, read_body
from nebuloviz.api.routes.data import FilterTexts, filters_of, query_moment
from nebuloviz.api.schemas.base import Cursor, Moment
from nebuloviz.api.schemas.sales import SaleItem, SaleList, SaleResult, SalesAnswer
from nebuloviz.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Permission
from nebuloviz.services import strict_json
from nebuloviz.services.interfaces import PostResult

router = APIRouter(prefix="/sales", tags=["sales"], route_class=StrictRoute)
Reader = Annotated[Asker, Depends(needs(Permission.SALES_READ))]
Writer = Annotated[Asker, Depends(needs(Permission.SALES_WRITE))]

_MOST_ITEMS = 200_000  # sales so short that more of them fit into the bytes have no room for what is required
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
# Any JSON is taken, because each item is judged by itself; what a good one looks like is the example.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A list of sales, a single one, or one a line; at most 20 MB, gzip allowed. Required are `sale_id`, "
        "`order_id`, `sold_at` (ISO 8601 with an offset), `product_id`, `quantity`, and `unit_price` or `amount` (the line's "
        "own total, which is then its revenue).",
        "content": {
            "application/json": {"schema": {}, "example": [_EXAMPLE]},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post("", summary="Write sales", openapi_extra=_BODY)
async def post_sales(asker: Writer, request: Request) -> SalesAnswer:
    """Each item gets its own answer; a bad one does not harm its neighbours. Sending the same again counts nothing twice."""
    kind, body = request.headers.get("content-type", ""), await read_body(request, MAX_SALES_BYTES)
    items = await to_thread.run_sync(_items, kind, body, limiter=asker.context.write_threads)
    return _answer(await asker.act_in_thread(asker.services.ingest.post, items))


@router.get("", summary="Stored sale lines, newest first")
async def sale_lines(  # noqa: PLR0913, PLR0917 - each is a parameter of the URL
    asker: Reader,
    start: Moment,
    end: Moment,
    filter: FilterTexts,
    time_zone: Annotated[str, Parameter(max_length=64)] = "UTC",
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
        time_zone=time_zone,
    )
    page = await asker.ask(asker.services.data.sales, asked, cursor, limit, order)
    return SaleList(
        items=[SaleItem.model_validate(line) for line in page.lines], next=page.next_cursor, total=page.total
    )


def _items(content_type: str, body: bytes) -> list[bytes]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _LINES:
        lines = [line for line in (line.strip() for line in body.split(b"\n")) if line]
        if len(lines) > _MOST_ITEMS:
            raise _too_many()
        return lines
    if kind != "application/json":
        raise UnsupportedMediaType(
            "Send application/json (a list, or one sale) or application/x-ndjson (one sale a line)."
        )
    try:
        return strict_json.split_items(body, _MOST_ITEMS)
    except strict_json.NotStrictJson:
        raise MalformedRequest("The body is not valid JSON.") from None
    except strict_json.TooManyItems:
        raise _too_many() from None


def _too_many() -> PayloadTooLarge:
    return PayloadTooLarge(f"At most {_MOST_ITEMS:,} sales can be sent at once.")


def _answer(result: PostResult) -> SalesAnswer:
    results = [SaleResult(index=row.index, status=row.status, reason=row.reason or None) for row in result.results]
    return SalesAnswer(
        accepted=result.accepted, duplicates=result.duplicates, rejected=result.rejected, results=results
    )
