"""Whether Kafka is there, for a process that serves and leaves consuming to others."""

from __future__ import annotations

import socket

from nebuloviz.observability import Health

_DEFAULT_PORT = "9092"
_TIMEOUT_SECONDS = 0.5


def brokers_health(bootstrap_servers: str) -> Health:
    """Well while one of the brokers, given as comma-separated `host:port`, takes a connection."""
    servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
    if any(_takes_connections(server) for server in servers):
        return Health(ok=True)
    return Health(
        ok=False,
        detail=f"Kafka at {','.join(servers)} takes no connection. Check NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS and that the broker runs.",
    )


def _takes_connections(server: str) -> bool:
    host, colon, port = server.rpartition(":")
    if not colon:
        host, port = server, _DEFAULT_PORT
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True
