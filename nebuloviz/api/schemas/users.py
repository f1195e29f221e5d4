"""Users and their sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from nebuloviz.api.schemas.base import MAX_COLUMNS, Incoming, Outgoing, Slug, Text

#: A row scope: dimension -> the values that may be seen; empty where all may.
Scope = Annotated[dict[str, list[Text]], BeforeValidator(dict)]
_Rows = Annotated[dict[Slug, list[Text]], Field(max_length=MAX_COLUMNS)]


class UserBody(Incoming):
    """What an administrator decides of a user."""

    role: Annotated[str, Field(max_length=64)]
    email: Annotated[Text, Field(max_length=254)] = ""
    scope: Annotated[
        _Rows, Field(description="Empty for all rows; never left out, so that nobody's limits fall by accident.")
    ]


class NewUser(UserBody):
    username: Annotated[Text, Field(min_length=1, max_length=256)]
    scope: Annotated[_Rows, Field(default_factory=dict)]


class UserStateBody(Incoming):
    disabled: bool


class UserItem(Outgoing):
    """A user as administrators see one. Times are UTC; `version` goes up with every change."""

    id: int
    username: str
    email: str
    role: str
    scope: Scope
    state: Literal["active", "invited", "locked", "disabled"]
    created_at: datetime
    last_sign_in_at: datetime | None
    version: int
    display_name: str
    second_factor: bool


class UserList(Outgoing):
    items: list[UserItem]
    next: str | None


class PasswordLink(Outgoing):
    """A one-time link: open `path` at this installation's address, and set a password. Told once, and stored only as a hash."""

    user: UserItem
    path: str
    expires_at: datetime


class ViewAnswer(Outgoing):
    """Send `access_token` as `Authorization: Bearer <token>`."""

    access_token: str
    expires_in: Annotated[int, Field(description="Seconds until it expires.")]


class EndedSessions(Outgoing):
    ended: Annotated[int, Field(description="Browser sessions; API tokens have ended too.")]


class ImportedUserItem(Outgoing):
    """What a row of the file came to. `line` counts from 1, the heading included."""

    line: int
    username: str
    email: str
    role: str
    scope: Scope
    problem: Annotated[str | None, Field(description="Why the row was refused.")]
    path: Annotated[
        str | None, Field(description="The one-time link, told once: open it at this installation's address.")
    ]
    expires_at: datetime | None


class ImportAnswer(Outgoing):
    created: Annotated[int, Field(description="With `dry_run`: how many would be.")]
    refused: int
    items: list[ImportedUserItem]
