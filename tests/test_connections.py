"""Connections that rest between two requests, and those that do not come to the end of one."""

import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from nebuloviz import connections
from tests.served import Served

ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LOOKS = 5


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """One that is looked at often."""
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.2)
    with Served(Starlette(routes=[Route("/", hello)])) as served:
        host, port = served.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            yield connection


def test_at_rest_it_is_kept_for_the_next_request(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(ASKED)
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"hello")
        time.sleep(LOOKS * connections.LOOK_SECONDS)


@pytest.mark.parametrize("before", [b"", ASKED], ids=["the first", "the second"])
def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(connection: socket.socket, before: bytes) -> None:
    connection.sendall(before + ASKED[:20])
    answer = b""
    try:
        while chunk := connection.recv(1000):
            answer += chunk
    except ConnectionResetError:
        pass
    assert answer.startswith(b"HTTP/1.1 200") == bool(before)


def test_a_proxy_lets_go_of_a_resting_connection_first() -> None:
    nginx_keeps_seconds = 60  # unless `keepalive_timeout` of its `upstream` says otherwise
    assert nginx_keeps_seconds < connections.KEEP_ALIVE_SECONDS
