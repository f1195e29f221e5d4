"""Channels of notification, and their delivery log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Outgoing, Slug, Text
from nebuloviz.services.interfaces.notifications import EVERY_DAY

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", max_length=5)]
Day = Annotated[int, Field(ge=0, le=6)]


class Rule(Incoming):
    """Which alerts are told, and when. Empty fields do not restrict; of a dimension in `segment` an alert must name one of the values.

    `begin` equal to `end` is all day; an `end` before `begin` lies on the next day. Days: 0 is Monday.
    """

    least: Annotated[Literal["low", "medium", "high", "critical"], Field(description="The lowest severity.")] = "low"
    metrics: Annotated[list[Slug], Field(default_factory=list, max_length=50)]
    segment: Annotated[
        dict[Slug, Annotated[list[Text], Field(max_length=100)]], Field(default_factory=dict, max_length=20)
    ]
    over: Annotated[bool, Field(description="Whether the end of an alert is told as well.")] = True
    days: Annotated[list[Day], Field(default_factory=lambda: list(EVERY_DAY), min_length=1, max_length=7)]
    begin: Clock = "00:00"
    end: Clock = "00:00"
    critical_always: Annotated[bool, Field(description="Whether critical alerts do not wait for these hours.")] = True


class ChannelBody(Incoming):
    """`target` is a webhook's URL, which an empty one leaves as it is, or the address of a shared channel's mails."""

    name: Annotated[Text, Field(min_length=1, max_length=80)]
    target: Annotated[Text, Field(max_length=1000)] = ""
    rules: Annotated[list[Rule], Field(default_factory=lambda: [Rule()], max_length=10)]
    enabled: bool = True
    group_minutes: Annotated[int, Field(ge=0, le=1440, description="At most one message in so many.")] = 5
    most_per_hour: Annotated[int, Field(ge=1, le=60)] = 12
    digest_at: Annotated[
        Clock | None, Field(description="When a mail channel sends the daily digest, on its recipient's clock.")
    ] = None


class NewChannelBody(ChannelBody):
    kind: Literal["mail", "slack", "webhook"]
    shared: Annotated[bool, Field(description="Of the installation; needs `settings:manage`.")] = False


class ChannelItem(Outgoing):
    """A channel. Of a webhook's URL, `target` tells the host."""

    id: int
    kind: str
    shared: bool
    name: str
    target: str
    rules: list[Rule]
    enabled: bool
    group_minutes: int
    most_per_hour: int
    digest_at: str | None
    version: int


class ChannelList(Outgoing):
    items: list[ChannelItem]


class MadeChannel(Outgoing):
    """`secret` is what a webhook's messages are signed with, told only here; empty for other kinds."""

    secret: str
    item: ChannelItem


class MessageItem(Outgoing):
    """What became of a message. Times are UTC; `next_at` counts while `state` is `waiting`, `status` is what a webhook answered."""

    id: int
    channel: str
    kind: str
    shared: bool
    key: str
    state: str
    alerts: int
    attempts: int
    created_at: datetime
    next_at: datetime
    done_at: datetime | None
    reason: str
    status: int
    about: str


class MessageList(Outgoing):
    items: list[MessageItem]
    next: str | None
