"""The configured database, which a process that only watches needs and no more."""

from __future__ import annotations

from nebuloviz.db import Database
from nebuloviz.settings import Settings


def database(settings: Settings) -> Database:
    """The configured database; nothing is opened yet."""
    return Database(
        settings.resolved_database_url,
        pool_size=settings.database_pool_size,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )
