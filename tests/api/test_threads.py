"""What passes between the event loop and the dashboard's threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nebuloviz.api.threads import InThreads

SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/", "query_string": b"", "http_version": "1.1",
    "headers": [(b"content-type", b"text/plain")],
}  # fmt: skip
PIECE = b"x" * 100_000


def asked(app: Any, *bodies: bytes, when_sent: Callable[[], None] = lambda: None) -> list[Any]:
    """What is sent to the client, in order, after it has sent `bodies`; `when_sent` is called with each piece."""
    waiting = [{"body": body, "more_body": place < len(bodies)} for place, body in enumerate(bodies, 1)]
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", **waiting.pop(0)}

    async def send(message: Any) -> None:
        sent.append(message)
        when_sent()

    asyncio.run(InThreads(app, 2)(SCOPE, receive, send))
    return sent


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("201 CREATED", [("X-Thread", threading.current_thread().name)])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read()]


def test_an_answer_comes_from_a_thread_and_in_one_piece() -> None:
    start, body = asked(echo, b"hello")
    assert start == {"type": "http.response.start", "status": 201, "headers": [(b"x-thread", b"web_0")]}
    assert body == {"type": "http.response.body", "body": b"POST hello", "more_body": False}


def test_a_body_that_comes_in_parts_is_read_to_its_end() -> None:
    assert asked(echo, b"hel", b"l", b"o")[-1]["body"] == b"POST hello"


def test_a_large_answer_does_not_wait_in_memory() -> None:
    made: list[int] = []
    made_when_sent: list[int] = []

    def large(_environ: object, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(10):
            made.append(number)
            yield PIECE

    start, *bodies = asked(large, b"", when_sent=lambda: made_when_sent.append(len(made)))
    assert start["status"] == 200
    assert b"".join(body["body"] for body in bodies) == 10 * PIECE
    assert [body["more_body"] for body in bodies] == [True, True, True, False]
    assert made_when_sent == [3, 3, 6, 9, 10], "each piece is sent before the next one is made"


def test_what_is_large_is_handed_on_as_it_is() -> None:
    whole = b"y" * 1_000_000

    def large(_environ: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [whole]

    bodies = asked(large, b"")[1:]
    assert bodies[0]["body"] is whole
    assert [body["more_body"] for body in bodies] == [True, False]


def test_what_an_application_opened_is_closed_whatever_happens() -> None:
    closed: list[str] = []

    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("no answer")

        def close(self) -> None:
            closed.append("yes")

    with pytest.raises(ValueError, match="no answer"):
        asked(lambda _environ, _start: Broken(), b"")
    assert closed == ["yes"]
