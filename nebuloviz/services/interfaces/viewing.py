"""Looking through a user's eyes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor


class ViewingService(ABC):
    """Lets an administrator see what a user sees. It is a browser session that does, which changes nothing meanwhile.

    It never leads to more: of whom may something that the administrator may not, nothing is shown. Both ends are in the audit log.
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
    def stop(self, session: Session, token: str) -> int:
        """Back to the administrator's own eyes; the id of the user that was looked at. Raises Conflict where nobody was."""
