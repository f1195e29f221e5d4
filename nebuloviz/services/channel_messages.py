"""From a notification to the message that its channel sends: an e-mail, or a request to a chat or webhook."""

from __future__ import annotations

from typing import Protocol

from nebuloviz.models import NotificationChannel
from nebuloviz.services.interfaces import Hook, Mail, OutgoingMessage
from nebuloviz.services.notification_words import not_sent
from nebuloviz.services.sealing import Seal
from nebuloviz.settings import Settings


class Contents(Protocol):
    """What a message says, by kind of channel."""

    @property
    def key(self) -> str: ...
    def mail(self, to: str) -> Mail: ...
    def slack(self) -> bytes: ...
    def webhook(self) -> bytes: ...


def notification_seal(settings: Settings) -> Seal:
    """What seals URLs and keys of channels."""
    return Seal(settings.secret(), "notifications")


def addressee(channel: NotificationChannel, address: str) -> str:
    """To whom a channel's mails go; its owner has that `address`. Raises NotSent where there is none."""
    if not (channel.target or address):
        raise not_sent("no_address")
    return channel.target or address


def channel_message(seal: Seal, channel: NotificationChannel, address: str, contents: Contents) -> OutgoingMessage:
    """The message by `channel`, addressed; `address` is the e-mail address of the channel's owner, '' for none.

    Raises:
        NotSent: it has nowhere to go.
    """
    if channel.kind == "mail":
        return contents.mail(addressee(channel, address))
    url, secret = seal.open(channel.target), seal.open(channel.secret) if channel.secret else ""
    if url is None or secret is None:
        raise not_sent("sealed")
    return Hook(url, contents.slack() if channel.kind == "slack" else contents.webhook(), contents.key, secret)
