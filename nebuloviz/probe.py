"""Whether the process beside this one is ready: the health check of a container, which need hold no other tool."""

from __future__ import annotations

from http.client import HTTPConnection

from nebuloviz.settings import Settings

_TIMEOUT_SECONDS = 4.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def probe(settings: Settings) -> tuple[bool, str]:
    """Ask `serve` at its port, or else `ingest` at that of its metrics; whether it is ready, and what it said."""
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    said = ""
    for port in filter(None, (settings.port, settings.metrics_port)):
        try:
            connection = HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status == 200, response.read().decode()
        except OSError as error:
            said = f"Nobody answers at {host}:{port}: {error}."
    return False, said
