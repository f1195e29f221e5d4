"""A real HTTP server for the tests: uvicorn in a thread of this process, on a free port."""

import contextlib
import socket
import threading
import time
from typing import Any, Self

import httpx
import uvicorn

from nebuloviz.connections import PatientConnection
from tests.servers.base import HOST, TRUSTED


class Served:
    """Serves `app` between `with` and its end. `url` is its address; `client()` speaks to it like a program would."""

    def __init__(self, app: Any) -> None:
        self._socket = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app, http=PatientConnection, log_config=None, access_log=False, server_header=False, proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in 30 s"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, verify=TRUSTED, **options)


def raw(url: str, request: bytes, *, hang_up: bool = False) -> bytes:
    """What the server answers to bytes that no HTTP client would send; what it has not said within seconds is left out.

    `hang_up`: the client goes away in the middle of its request.
    """
    host, port = url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=5) as connection, contextlib.suppress(TimeoutError):
        connection.sendall(request)
        if hang_up:
            time.sleep(0.5)
            return answer
        while chunk := connection.recv(65536):
            answer += chunk
    return answer
