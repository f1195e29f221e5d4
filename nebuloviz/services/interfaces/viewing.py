"""Looking through a user's eyes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor


@dataclass(frozen=True, slots=True)
class ViewToken:
    """An access token that sees what somebody else sees; `expires_in` is its life in seconds."""

    access_token: str
    expires_in: int


class ViewingService(ABC):
    """Lets an administrator see what a user sees. It is a browser session that does, or a token, and changes nothing meanwhile.

    It never leads to more: of whom may something that the administrator may not, nothing is shown. Both ends are in the audit log,
    of a token the beginning.
    """

    @abstractmethod
    def start(self, session: Session, actor: Actor, token: str, user_id: int) -> None:
        """From the next request on, the actor's browser session `token` sees what that user sees.

        Raises:
            PermissionDenied: without `users:manage`, or the user may more than the actor.
            NotFound: the user is gone.
            Conflict: the user is disabled, or the actor.
            NotSignedIn: it is not a session of the actor.
        """

    @abstractmethod
    def token(self, session: Session, actor: Actor, access_token: str, user_id: int) -> ViewToken:
        """The same for programs, beside the actor's `access_token`. It ends by itself soon, and with the sign-in of that token.

        Raises: what `start` does; NotSignedIn where `access_token` is not an access token of the actor's own.
        """

    @abstractmethod
    def stop(self, session: Session, token: str) -> int:
        """Back to the administrator's own eyes; the id of the user that was looked at. Raises Conflict where nobody was."""
