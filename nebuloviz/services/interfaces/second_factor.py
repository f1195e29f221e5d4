"""The second factor: one-time codes of an app on the user's phone (TOTP, RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces.auth import UserView


@dataclass(frozen=True)
class SecondFactorState:
    """`since`: when it was turned on, None while it is off; `codes_left`: recovery codes that were not used yet."""

    since: datetime | None
    codes_left: int


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app is to learn: `secret` typed by hand, or `address` as a QR code.

    `ticket` goes back with the first code, within ten minutes; nothing is stored before.
    """

    secret: str
    address: str
    ticket: str


class SecondFactorService(ABC):
    """Keeps second factors. What changes one needs the password once more, whose failures count like those of signing in."""

    @abstractmethod
    def state(self, session: Session, actor: Actor) -> SecondFactorState:
        """Of the actor."""

    @abstractmethod
    def begin(self, session: Session, actor: Actor, password: str) -> Enrolment:
        """A secret to be set up. Raises NotSignedIn, TooManyRequests; Conflict where a second factor is on."""

    @abstractmethod
    def resume(self, session: Session, actor: Actor, ticket: str) -> Enrolment:
        """The enrolment that `ticket` is of. Raises InvalidInput where it is over, or somebody else's."""

    @abstractmethod
    def confirm(self, session: Session, actor: Actor, ticket: str, code: str) -> Sequence[str]:
        """Turn the second factor on with its first code; the recovery codes, told only now.

        Raises:
            WrongCode: the code is not that of the secret now.
            InvalidInput: as `resume` does.
            Conflict: a second factor is on.
            TooManyRequests: five wrong codes.
        """

    @abstractmethod
    def renew_codes(self, session: Session, actor: Actor, password: str) -> Sequence[str]:
        """New recovery codes, which void the old ones. Raises NotSignedIn, TooManyRequests; Conflict while it is off."""

    @abstractmethod
    def turn_off(self, session: Session, actor: Actor, password: str) -> None:
        """Raises NotSignedIn, TooManyRequests; Conflict while it is off, or where the installation asks for one."""

    @abstractmethod
    def check(self, session: Session, user: UserView, code: str, address: str) -> None:
        """Let a user go on whose password was right: an app's code or a recovery code, each of which works once.

        Raises:
            WrongCode: it is none. That is noted in the audit log, and committed.
            TooManyRequests: five wrong codes of this user or from this address.
        """

    @abstractmethod
    def is_due(self, user: UserView) -> bool:
        """Whether the installation asks for a second factor and the user has none: nothing else may be done before."""

    @abstractmethod
    def reset(self, session: Session, actor: Actor, user_id: int) -> None:
        """Turn a user's second factor off, who has lost it; needs `users:manage`.

        Raises:
            NotFound: there is no such user.
            PermissionDenied: the user may more than the actor.
            Conflict: it is off.
        """
