"""A connection to a client that is not waited for without end: uvicorn's, with limits of time."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nebuloviz.api.problems import ProblemResponse

LOOK_SECONDS = 15.0
#: Longer than nginx keeps a connection to us at rest (60 s). Whoever ends it first must be the one that may send the next request:
#: else one is lost where it meets with the end.
KEEP_ALIVE_SECONDS = 75


class PatientConnection(H11Protocol):
    """Looked at every `LOOK_SECONDS`, and cut off where nothing has happened since the last look that should have.

    That is the head of a request not coming to its end, a client that does not take its answer, or one that goes on with
    a body whose answer it has. How long an answer may take is for others to say, and so is how slowly a body may come. Between
    two requests a connection rests for `KEEP_ALIVE_SECONDS`.
    """

    _seen: tuple[Any, ...] = ()
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.timeout_keep_alive = KEEP_ALIVE_SECONDS
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no request of HTTP is told so as every other fault is."""
        problem = ProblemResponse(400, "malformed_request", msg, headers={"Connection": "close"})
        answer = (
            h11.Response(status_code=400, headers=problem.raw_headers, reason=b"Bad Request"),
            h11.Data(data=bytes(problem.body)),
            h11.EndOfMessage(),
        )
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in answer))
        self.transport.close()

    def _look(self) -> None:
        rests = self.timeout_keep_alive_task is not None and not self.conn.trailing_data[0]
        waiting = not rests and getattr(self.cycle, "response_complete", True)  # there is none before the first request
        unsent = self.transport.get_write_buffer_size()
        found = (self.cycle, waiting, unsent)
        if (waiting or unsent) and found == self._seen:
            self.transport.abort()
            return
        self._seen = found
        self._next_look = self.loop.call_later(LOOK_SECONDS, self._look)
