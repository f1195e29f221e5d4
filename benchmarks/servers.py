"""The servers that benchmarks ask."""

from collections.abc import Mapping
from typing import ClassVar

from tests.servers import PostgresServer


class DeployedPostgres(PostgresServer):
    """PostgreSQL as deploy/compose.yaml starts it: with its memory, and waiting for the disk with each commit."""

    settings: ClassVar[Mapping[str, object]] = {
        "shared_buffers": "512MB",
        "max_connections": 200,
        "timezone": PostgresServer.settings["timezone"],
    }
