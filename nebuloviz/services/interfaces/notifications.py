"""What is told to people outside of the program: their channels, which alerts go there and when, and what became of messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, RowScope
from nebuloviz.services.interfaces.mail import Mail

ChannelKind = Literal["mail", "slack", "webhook"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = ("mail", "slack", "webhook")
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class NotificationRule:
    """Which alerts a channel is told of, and when. Empty fields do not restrict.

    `least` is the lowest severity. Of a dimension that `segment` keeps to some values, an alert's series must name one. `over`: the
    end of an alert is told as well. Outside of `days` (0 = Monday) and the minutes of the day `begin` to `end`, by the recipient's
    clock, messages wait; `begin` equal to `end` is all day, and an `end` before `begin` lies on the next day. `critical_always`:
    critical alerts do not wait.
    """

    least: str = "low"
    metrics: tuple[str, ...] = ()
    segment: RowScope = ()
    over: bool = True
    days: tuple[int, ...] = EVERY_DAY
    begin: int = 0
    end: int = 0
    critical_always: bool = True


@dataclass(frozen=True)
class ChannelDraft:
    """What somebody decides of a channel. An alert that fits any of `rules` is told; at most one message in `group_minutes`.

    Where it sends a digest there may be no rule: then it tells of no alert.

    `target` is a webhook's URL, which '' leaves as it is; or the address of a shared channel's mails: a user's own go to the user's.
    `digest_at`: at which minute of the recipient's day the digest is mailed; None: it is not.
    """

    name: str
    target: str = ""
    rules: tuple[NotificationRule, ...] = (NotificationRule(),)
    enabled: bool = True
    group_minutes: int = 5
    most_per_hour: int = 12
    digest_at: int | None = None


@dataclass(frozen=True)
class ChannelView:
    """A channel: the actor's own, or `shared` by the installation. `target` tells of a webhook's URL the host alone."""

    id: int
    kind: ChannelKind
    shared: bool
    target: str
    draft: ChannelDraft
    version: int


@dataclass(frozen=True)
class NewChannel:
    """A channel, and the key that a webhook's messages are signed with ('' of others): it is told only here."""

    view: ChannelView
    secret: str = ""


@dataclass(frozen=True)
class MessageView:
    """What became of a message: `waiting` (then it is tried at `next_at`), `sent`, `failed` or `dropped`. Times are UTC.

    `about` is `alerts`, so many of them, or `digest`. `reason` is a slug of `notification_words.REASONS`, '' where nothing went
    wrong; `status` what a webhook answered, 0 for nothing.
    """

    id: int
    channel: str
    kind: ChannelKind
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
    about: str = "alerts"


@dataclass(frozen=True)
class MessagePage:
    items: tuple[MessageView, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Hook:
    """A message for a webhook. With a `secret` it is signed."""

    url: str
    body: bytes
    key: str
    secret: str = ""


#: What is handed to a mail server or a webhook.
OutgoingMessage = Mail | Hook


class NotificationService(ABC):
    """Keeps channels, and sends to them. Everybody's own are theirs alone; shared ones are for those who manage settings."""

    @abstractmethod
    def channels(self, session: Session, actor: Actor) -> Sequence[ChannelView]:
        """The actor's own, and the shared ones for who manages settings; by name."""

    @abstractmethod
    def channel(self, session: Session, actor: Actor, channel_id: int) -> ChannelView:
        """One of them. Raises NotFound."""

    @abstractmethod
    def create(
        self, session: Session, actor: Actor, kind: ChannelKind, draft: ChannelDraft, *, shared: bool = False
    ) -> NewChannel:
        """A new one.

        Raises:
            InvalidInput: says what does not fit; an own channel for mails of a user without an address does not.
            Conflict: there are too many already.
            PermissionDenied: it would be shared, and the actor does not manage settings.
        """

    @abstractmethod
    def change(self, session: Session, actor: Actor, channel_id: int, version: int, draft: ChannelDraft) -> ChannelView:
        """Store what `draft` says.

        Raises:
            InvalidInput, NotFound: as above.
            StaleVersion: somebody else has changed it since `version`.
        """

    @abstractmethod
    def delete(self, session: Session, actor: Actor, channel_id: int) -> None:
        """Take it away, with its messages. Raises NotFound."""

    @abstractmethod
    def messages(self, session: Session, actor: Actor, cursor: str | None = None, limit: int = 50) -> MessagePage:
        """The delivery log of the channels that the actor sees, newest first. Raises InvalidInput for a cursor of no page."""

    @abstractmethod
    def trial(self, session: Session, actor: Actor, channel_id: int) -> OutgoingMessage:
        """A test for a channel, noted in the audit log; `send` sends it.

        Raises:
            NotFound: as above.
            TooManyRequests: the last test was only seconds ago.
            NotSent: there is nobody to send it to.
        """

    @abstractmethod
    def send(self, message: OutgoingMessage) -> None:
        """Hand it over; returns once it is taken, after some seconds at most. Takes no session: never call it inside a transaction.

        Raises:
            NotSent: says why it was not taken.
        """
