"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nebuloviz.api.schemas.base import Outgoing


class AuditItem(Outgoing):
    """One act; `at` is UTC. `username` is empty where nobody known acted."""

    id: int
    at: datetime
    username: str
    address: str
    action: str
    subject: str
    before: dict[str, Any]
    after: dict[str, Any]


class AuditList(Outgoing):
    items: list[AuditItem]
    next: str | None
