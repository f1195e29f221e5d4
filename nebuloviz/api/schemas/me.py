"""Who one is, how one sees things, and where one is signed in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text


class Me(Outgoing):
    """Preferences that are '' (`week_start` null) follow the installation, or the language."""

    id: int
    username: str
    display_name: str
    role: str
    permissions: list[str]
    language: str
    time_zone: str
    format_region: str
    week_start: int | None
    theme: str
    landing_page: str
    second_factor: bool


class MeChanges(Incoming):
    """What is left out stays as it is."""

    display_name: Annotated[Text, Field(max_length=80)] = ""
    language: Annotated[Text, Field(max_length=10)] = ""
    time_zone: Annotated[Text, Field(max_length=64)] = ""
    format_region: Annotated[
        Text,
        Field(
            max_length=3, description="Whose numbers, dates and clock: a country such as DE; '' is the language's own."
        ),
    ] = ""
    week_start: Annotated[int | None, Field(ge=0, le=6, description="0 = Monday ... 6 = Sunday.")] = None
    theme: Literal["auto", "light", "dark"] = "auto"
    landing_page: Annotated[
        Text, Field(max_length=100, description="The page that signing in leads to, such as /alerts; '' is Overview.")
    ] = ""


class SessionItem(Outgoing):
    """A sign-in that works. Times are UTC; `current` is the one that asks."""

    id: str
    kind: Literal["browser", "api"]
    address: str
    user_agent: str
    started_at: datetime
    last_used_at: datetime
    current: bool = False


class SessionList(Outgoing):
    items: list[SessionItem]


class EndedOthers(Outgoing):
    ended: int


class PasswordAgain(Incoming):
    """What concerns signing in takes the password once more."""

    password: Annotated[str, Field(max_length=1024)]


class NewPassword(Incoming):
    current: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(max_length=1024)]


class SecondFactor(Outgoing):
    """`since` is null while it is off."""

    since: datetime | None
    codes_left: int


class EnrolmentItem(Outgoing):
    """For an authenticator app: `secret`, or `address` as a QR code. `ticket` goes back with the first code, in ten minutes."""

    secret: str
    address: str
    ticket: str


class EnrolmentCode(Incoming):
    ticket: Annotated[str, Field(max_length=1000)]
    code: Annotated[str, Field(max_length=64)]


class RecoveryCodes(Outgoing):
    """Told only here; each lets in once."""

    codes: list[str]
