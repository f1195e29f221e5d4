"""The status of the installation."""

from __future__ import annotations

from pydantic import Field

from nebuloviz.api.schemas.base import Outgoing
from nebuloviz.services.interfaces import Level


class StatusFinding(Outgoing):
    name: str = Field(description="Never changes: disk, database, kafka and so on.")
    title: str
    level: Level = Field(description="`note`: worth knowing, and nothing that hinders anybody now.")
    detail: str = Field(description="In the asker's language; says what to do.")


class StatusAnswer(Outgoing):
    ok: bool = Field(description="Whether nothing is `bad`.")
    findings: list[StatusFinding]
