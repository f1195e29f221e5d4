"""Request bodies, read with limits: bytes on the wire, bytes after decompression, and strict JSON."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from nebuloviz.api.versions import tagged
from nebuloviz.errors import InvalidInput, MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from nebuloviz.i18n import _
from nebuloviz.services import strict_json

MAX_JSON_BYTES = 1024 * 1024
MAX_SALES_BYTES = 20 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, limit: int) -> bytes:
    """The body, decompressed.

    Raises:
        PayloadTooLarge: it has more than `limit` bytes, compressed or not.
        MalformedRequest: it is not the gzip that it says it is, or ended early.
        UnsupportedMediaType: it is compressed in another way.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType(_("A body may be compressed with gzip, or not at all."))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise MalformedRequest(_("The body ended early.")) from None
    return bytes(body) if encoding == "identity" else _gunzipped(bytes(body), limit)


def _gunzipped(data: bytes, limit: int) -> bytes:
    """All members of a gzip file, one after the other."""
    out = bytearray()
    while data:
        member = zlib.decompressobj(_GZIP)
        try:
            out += member.decompress(data, limit + 1 - len(out))
        except zlib.error:
            raise MalformedRequest(_("The body is not valid gzip.")) from None
        if len(out) > limit:
            raise _too_large(limit)
        if not member.eof:
            raise MalformedRequest(_("The gzip body ended early."))
        data = member.unused_data
    return bytes(out)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        _("The body may have at most {limit} MB, also after decompression.", limit=limit // (1024 * 1024))
    )


class _StrictRequest(Request):
    """A request whose body has been read within the limits, and whose JSON is strict."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body

    async def json(self) -> Any:
        try:
            return strict_json.parse(self._body)
        except strict_json.NotStrictJson:
            raise MalformedRequest(_("The body is not valid JSON.")) from None


class StrictRoute(APIRoute):
    """A route whose JSON body is read by us; FastAPI's own reading would accept NaN, and fail on deep nesting.

    What is read has an ETag, see `versions`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def strict(request: Request) -> Response:
            if request.method == "GET":
                return tagged(request, await handle(request))
            if not takes_json:
                return await handle(request)
            strict_request = _StrictRequest(request, await read_body(request, MAX_JSON_BYTES))
            if strict_request._body and _says_json(request):  # noqa: SLF001 - ours
                await strict_request.json()  # here, because FastAPI would turn our error into one of its own
            return await handle(strict_request)

        return strict


def _parameters(dependant: Dependant) -> Iterator[str]:
    """The parameters of the URL that a route and what it depends on take."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency. Of a slip of the pen in a filter's name, figures without that filter would tell nothing.

    Raises:
        InvalidInput: the address has a parameter that its route does not take; says which there are.
    """
    route = request.scope["route"]
    known = set(_parameters(route.dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise InvalidInput(
            _(
                "There is no parameter {name} here; there are: {known}.",
                name=repr(unknown[0][:60]),
                known=", ".join(sorted(known)) or "-",
            )
        )


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
