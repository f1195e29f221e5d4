"""The dashboard's Flask server, which works in threads, behind the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from a2wsgi.wsgi import Body, build_environ
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:  # typeshed's, not there at run time
    from _typeshed.wsgi import WSGIApplication

_AT_ONCE_BYTES = 256 * 1024


class InThreads:
    """A WSGI application in `workers` threads.

    Each time that a thread and the event loop wait for each other, both wait for Python's one turn as well. So a thread is given
    what there is of the body, and hands over its answer whole; a large one in few pieces.
    """

    def __init__(self, app: WSGIApplication, workers: int) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(workers, "web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        body = Body(loop, cast("Any", receive))
        first = await receive()
        body.buffer.extend(first.get("body", b""))
        body._has_more = first.get("more_body", False)  # noqa: SLF001 - what it sets by itself, once it has waited for the loop
        answer = _Answer(loop, send)
        environ = build_environ(cast("Any", scope), body)
        await loop.run_in_executor(self._threads, copy_context().run, answer.fill, self._app, environ)
        await answer.give(more=False)


class _Answer:
    """What an application answers, as it comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop = loop
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    def fill(self, app: WSGIApplication, environ: Any) -> None:
        """In a thread."""
        parts = app(environ, cast("Any", self._begin))
        try:
            for part in parts:
                self._add(part)
        finally:
            getattr(parts, "close", lambda: None)()

    def _begin(self, status: str, headers: Iterable[tuple[str, str]], _failure: object = None) -> Any:
        named = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": named}
        return self._add

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        if sum(map(len, self._parts)) >= _AT_ONCE_BYTES:
            asyncio.run_coroutine_threadsafe(self.give(more=True), self._loop).result()

    async def give(self, *, more: bool) -> None:
        """Send what has come."""
        start, self._start = self._start, None
        parts, self._parts = self._parts, []
        body = parts[0] if len(parts) == 1 else b"".join(parts)  # what is large is not copied
        if start is not None:
            await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
