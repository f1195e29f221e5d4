"""One running server: its socket, its signals, and what it prints when it is ready."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable

import uvicorn

from nebuloviz import tracing
from nebuloviz.bootstrap.program import build
from nebuloviz.connections import PatientConnection
from nebuloviz.errors import ConfigurationError
from nebuloviz.observability import takes_json
from nebuloviz.settings import Settings

_log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 5  # for requests under way; the workers' own shutdown comes on top, ten seconds in all


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, address: str, say: Callable[[str], None]) -> None:
        super().__init__(config)
        self._address = address
        self._say = say

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say(f"NebuloViz is ready: {self._address}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Having ended because somebody asked for it is no failure, so the signal is not raised again as uvicorn would."""
        await super().shutdown(sockets)
        self._captured_signals.clear()


def serve(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; returns the process's exit code.

    Raises:
        ConfigurationError: the address cannot be listened on, or a setting forbids the start.
    """
    end_tracing = tracing.configure(settings, "serve")
    say = _log_always if takes_json(settings, sys.stdout) else _print
    application = build(settings, say=say)
    listener = _listen(settings.host, settings.port)
    config = uvicorn.Config(
        application,
        http=PatientConnection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the program believes `trusted_proxies`, no header by itself
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    _Server(config, _address(listener, settings.host), say).run(sockets=[listener])
    end_tracing()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # named, as asyncio sends small answers at once only where it knows the protocol; else each waits 40 ms for the one before
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        message = f"Cannot listen on {host}:{port}: {error.strerror}. Set NEBULOVIZ_PORT (or --port) to a free port; 0 takes any."
        raise ConfigurationError(message) from error
    return listener


def _address(listener: socket.socket, host: str) -> str:
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _log_always(line: str) -> None:
    """Where a program reads along, the log has it, at any level: a line of another form would be none that it can read."""
    _log.setLevel(logging.INFO)
    _log.info(line)


def _print(line: str) -> None:
    """To the person who started it: standard output, at once, apart from the log on standard error."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
