"""Bodies before anybody works on them: they come in time, and whole where a thread would have to wait for them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nebuloviz.api.problems import known_problem
from nebuloviz.errors import MalformedRequest, NebuloVizError, PayloadTooLarge, TooSlow
from nebuloviz.i18n import _

PATIENCE_SECONDS = 20.0
MIN_BYTES_PER_SECOND = 16 * 1024
FILES = "/uploads"  # the one address of the dashboard that takes its body as it comes
_PASSWORDS = ("/login", "/password", "/welcome/")
_MAX_BYTES = 8 * 1024 * 1024
_SMALL_BYTES = 256 * 1024
_LARGE_AT_ONCE = 16
_FILES_AT_ONCE = 8
_PASSWORDS_AT_ONCE = 8  # of which two are checked, and the others wait


def in_time(receive: Receive) -> Receive:
    """`receive`, for a body that comes at `MIN_BYTES_PER_SECOND`, give or take `PATIENCE_SECONDS` in all.

    What it returns raises, when it is called:
        TooSlow: the client keeps us waiting longer than that.
        MalformedRequest: the connection ended before the body did.
    """
    received, waited, more = 0, 0.0, True
    now = asyncio.get_running_loop().time

    async def receiving() -> Message:
        nonlocal received, waited, more
        if not more:
            return await receive()
        began = now()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS + received / MIN_BYTES_PER_SECOND - waited):
                message = await receive()
        except TimeoutError:
            raise TooSlow(_("The request did not come in time.")) from None
        if message["type"] == "http.disconnect":
            raise MalformedRequest(_("The body ended early."))
        waited += now() - began
        received += len(message.get("body", b""))
        more = message.get("more_body", False)
        return message

    return receiving


class WholeBodies:
    """Before the dashboard, whose threads are few: a request gets one when its body is here.

    Otherwise as many clients as there are threads, each with a body that never ends, would stop it for everybody. Files are
    too large for that; they are taken as they come, few at a time. So are passwords, for their checks wait for each other, and
    bodies that need memory worth mentioning.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._files = asyncio.Semaphore(_FILES_AT_ONCE)
        self._passwords = asyncio.Semaphore(_PASSWORDS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == FILES:
            async with self._files:
                try:
                    await self._app(scope, receive, send)
                except NebuloVizError as error:  # it did not begin to come
                    await known_problem(error)(scope, receive, send)
        else:
            async with AsyncExitStack() as held:
                try:
                    body = await self._whole(scope, receive, held)
                except NebuloVizError as error:
                    await known_problem(error)(scope, receive, send)
                else:
                    if scope["method"] == "POST" and scope["path"].startswith(_PASSWORDS):
                        await held.enter_async_context(self._passwords)
                    await self._app(scope, _again(body, receive), send)

    async def _whole(self, scope: Scope, receive: Receive, held: AsyncExitStack) -> bytes:
        """The body. What is large holds its place among the large ones until `held` ends.

        Raises:
            PayloadTooLarge: it is more than any page sends.
            TooSlow, MalformedRequest: as `in_time` says.
        """
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > _MAX_BYTES:
            raise _too_large()
        body, more, large = bytearray(), True, False
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > _MAX_BYTES:
                raise _too_large()
            if len(body) > _SMALL_BYTES and not large:
                large = True
                await held.enter_async_context(self._large)
        return bytes(body)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(_("The file or request is too large."))


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body at first."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
