"""The servers that benchmarks ask."""

from collections.abc import Mapping
from typing import ClassVar

from tests.servers import PostgresServer


class DeployedPostgres(PostgresServer):
    """PostgreSQL with the memory that deploy/compose.yaml gives it; as in the tests, it does not wait for the disk."""

    settings: ClassVar[Mapping[str, object]] = {**PostgresServer.settings, "shared_buffers": "512MB"}
