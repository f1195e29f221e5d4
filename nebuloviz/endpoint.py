"""Alive, ready and Prometheus' figures of a process that serves no pages: `ingest`. One that serves has them in its API."""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import Any

from nebuloviz.errors import ConfigurationError
from nebuloviz.observability import EXPOSITION_TYPE, HealthChecks, exposition

_TIMEOUT_SECONDS = 5.0
_JSON = "application/json"

_log = logging.getLogger(__name__)


class Endpoint:
    """Answers GET and HEAD of /healthz, /readyz and /metrics in threads of its own; `url` is where, port 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, health: HealthChecks) -> None:
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, port), _handler(health))
        except OSError as error:
            message = f"Cannot listen on {host}:{port}: {error.strerror}. Set NEBULOVIZ_METRICS_PORT to a free port; 0 takes any."
            raise ConfigurationError(message) from error
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="nebuloviz-endpoint", daemon=True).start()
        _log.info("Health and figures are at %s", self.url)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # somebody who asks slowly must not keep the process from ending


class _Server6(_Server):
    address_family = AF_INET6


def _handler(health: HealthChecks) -> type[BaseHTTPRequestHandler]:
    """The class that answers one request, as the standard library wants it."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_SECONDS
        server_version, sys_version = "nebuloviz", ""

        def do_GET(self) -> None:
            status, kind, body = answer(self.path.partition("?")[0], health)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, format: str, *arguments: Any) -> None:
            _log.debug(format, *arguments)

    return Handler


def answer(path: str, health: HealthChecks) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    if path == "/metrics":
        return 200, EXPOSITION_TYPE, exposition()
    if path == "/healthz":
        return 200, _JSON, b'{"status":"alive"}'
    if path == "/readyz":
        ready, report = health.readiness()
        body = {"status": "ready" if ready else "not ready", "parts": report}
        return (200 if ready else 503), _JSON, json.dumps(body).encode()
    return 404, _JSON, b'{"status":"not found"}'
