"""Roles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text
from nebuloviz.permissions import Permission


class RoleBody(Incoming):
    """What an administrator decides of a role of one's own."""

    name: Annotated[Text, Field(min_length=1, max_length=60)]
    description: Annotated[Text, Field(max_length=300)] = ""
    permissions: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Field(
            max_length=100,
            description=f"Of {', '.join(Permission)}. What they need is added, and `data:read` always.",
        ),
    ]


class RoleItem(Outgoing):
    """A role. Users have it by its `slug`, which stays when the name changes. A ready-made one cannot be changed."""

    slug: str
    name: str
    description: str
    permissions: list[str]
    ready_made: bool
    holders: Annotated[int, Field(description="How many users have it.")]
    version: int


class RoleList(Outgoing):
    items: list[RoleItem]
