"""Personal tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text


class NewToken(Incoming):
    name: Annotated[Text, Field(min_length=1, max_length=80)]
    permissions: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=50)]
    days: Annotated[int, Field(ge=1, le=366, description="How long it works.")] = 90


class TokenItem(Outgoing):
    """A personal token. Times are UTC."""

    id: int
    name: str
    permissions: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class TokenList(Outgoing):
    items: list[TokenItem]
    next: str | None


class MadeToken(Outgoing):
    """`token` is told only here; what is stored is its hash."""

    token: str
    item: TokenItem
