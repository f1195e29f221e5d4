"""Request bodies, read with limits: bytes on the wire, bytes after decompression, and strict JSON."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from tempfile import NamedTemporaryFile
from typing import IO, Any, get_args, get_origin

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
_PIECE_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: Request, limit: int) -> bytes:
    """The body, decompressed. Raises as `body_pieces`."""
    return b"".join([piece async for piece in body_pieces(request, limit)])


@asynccontextmanager
async def body_file(request: Request, limit: int) -> AsyncIterator[IO[bytes]]:
    """The body, decompressed, in a file that ends with the block; more than a piece of it is never held. Raises as `body_pieces`."""
    with NamedTemporaryFile(prefix="nebuloviz-") as file:
        async for piece in body_pieces(request, limit):
            file.write(piece)
        file.seek(0)
        yield file


async def body_pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body, decompressed, as it comes.

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
    left = limit
    unzipping = _Gunzip(limit) if encoding == "gzip" else None
    try:
        async for chunk in request.stream():
            left -= len(chunk)
            if left < 0:
                raise _too_large(limit)
            for piece in unzipping.feed(chunk) if unzipping else (chunk,):
                yield piece
    except ClientDisconnect:
        raise MalformedRequest(_("The body ended early.")) from None
    if unzipping:
        unzipping.end()


class _Gunzip:
    """Decompresses all members of a gzip file, one after the other, to at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._member: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._member = self._member or zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(data, min(self._left + 1, _PIECE_BYTES))
            except zlib.error:
                raise MalformedRequest(_("The body is not valid gzip.")) from None
            self._left -= len(piece)
            if self._left < 0:
                raise _too_large(self._limit)
            yield piece
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, self._member = self._member.unused_data, None

    def end(self) -> None:
        if self._member is not None:
            raise MalformedRequest(_("The gzip body ended early."))


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

    @cached_property
    def known_parameters(self) -> Mapping[str, bool]:
        """Names of the parameters that its address may have, and whether one may come more than once."""
        return dict(_parameters(self.dependant))

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


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The parameters of the URL that a route and what it depends on take, and which of them are lists."""
    for parameter in dependant.query_params:
        yield parameter.alias, _is_list(parameter.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


async def refuse_odd_parameters(request: Request) -> None:
    """A dependency. Of a slip of the pen in a filter's name, figures without that filter would tell nothing; nor of two dates for one.

    Raises:
        InvalidInput: the address has a parameter that its route does not take, and says which there are; or one twice that is no list.
    """
    known: Mapping[str, bool] = request.scope["route"].known_parameters
    given = Counter(name for name, _value in request.query_params.multi_items())
    unknown = sorted(given.keys() - known)
    if unknown:
        raise InvalidInput(
            _(
                "There is no parameter {name} here; there are: {known}.",
                name=repr(unknown[0][:60]),
                known=", ".join(sorted(known)) or "-",
            )
        )
    repeated = [name for name, times in given.items() if times > 1 and not known[name]]
    if repeated:
        raise InvalidInput(_("The parameter {name} may be given once.", name=repeated[0]))


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
