"""Signing in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing


class Credentials(Incoming):
    username: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=1024)]
    code: Annotated[
        str | None,
        Field(max_length=64, description="Of the second factor, where there is one: the app's, or a recovery code."),
    ] = None

    new_password: Annotated[
        str | None,
        Field(
            max_length=1024, description="Instead of the present one from now on; asked for where it has to be changed."
        ),
    ] = None


class LinkedPassword(Incoming):
    link: Annotated[str, Field(max_length=2048, description="The one-time link, or the token at its end.")]
    new: Annotated[str, Field(max_length=1024)]


class RefreshRequest(Incoming):
    refresh_token: Annotated[str, Field(max_length=4096)]


class Tokens(Outgoing):
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: Annotated[int, Field(description="Seconds until the access token expires.")]
