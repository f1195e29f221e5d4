"""Personal API tokens: what programs sign in with that run for longer than a sign-in lasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.interfaces.auth import UserView

TOKEN_PREFIX = "nvt_"  # noqa: S105 - tells the kind of a token, also to programs that look for leaked ones


@dataclass(frozen=True)
class ApiTokenView:
    """A token as its owner sees it; times are UTC. The token itself is told only when it is made."""

    id: int
    name: str
    permissions: tuple[Permission, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewApiToken:
    token: str
    view: ApiTokenView


class ApiTokenService(ABC):
    """Keeps each user's own tokens. A new password, or being signed out everywhere, ends them like all sessions."""

    @abstractmethod
    def list(self, session: Session, actor: Actor) -> Sequence[ApiTokenView]:
        """The actor's tokens that still work, the newest first."""

    @abstractmethod
    def create(
        self, session: Session, actor: Actor, name: str, permissions: Collection[Permission], days: int
    ) -> NewApiToken:
        """A token for at most `permissions`, and what the owner's role includes whenever it is used, for `days` days.

        Raises:
            PermissionDenied: one of `permissions` is not the actor's own.
            InvalidInput: the name is empty or long, no permission is named, or the days are not 1 to 366.
            Conflict: the actor has a token of that name, or as many tokens as one may have.
        """

    @abstractmethod
    def revoke(self, session: Session, actor: Actor, token_id: int) -> None:
        """End one of the actor's tokens at once. Raises NotFound."""

    @abstractmethod
    def user_of(self, session: Session, token: str) -> UserView:
        """Whose token it is, confined to its permissions.

        Raises:
            NotSignedIn: it is unknown, expired or revoked, or its owner may not sign in.
        """

    @abstractmethod
    def note_use(self, session: Session, token: str) -> None:
        """Remember that the token was used now."""

    @abstractmethod
    def use_is_noted(self, session: Session, token: str) -> bool:
        """Whether a use within the last minute is known, so that not every request need write."""
