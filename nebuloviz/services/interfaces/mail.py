"""E-mails that the program sends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class Mail:
    """One e-mail to one address: the same said as text and as HTML, whose `cid:picture0` is the first of the PNG `pictures`.

    By the `key` its receiver can tell a repetition from another one; '' where it is never repeated.
    """

    to: str
    subject: str
    text: str
    html: str
    pictures: tuple[bytes, ...] = ()
    key: str = ""


class MailService(ABC):
    """Sends e-mails by the server that administrators have decided on. It takes no session: never call it inside a transaction."""

    @property
    @abstractmethod
    def is_set_up(self) -> bool:
        """Whether there is a server to send by."""

    @abstractmethod
    def send(self, mail: Mail) -> None:
        """Hand an e-mail to the server; returns once it has taken it, after some seconds at most.

        Raises:
            Conflict: there is no server.
            InvalidInput: the address is none.
            Unavailable: the server does not answer, or refuses; says why.
        """
