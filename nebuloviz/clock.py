"""The time. What depends on it takes `now` as a parameter, and this unless somebody says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
