"""What users say of themselves, and where they are signed in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces.auth import UserView


class ProfileChanges(TypedDict, total=False):
    """What a user may change of the own profile; '' (of `week_start` None) follows the installation, or the language."""

    display_name: str
    language: str
    time_zone: str
    format_region: str
    week_start: int | None
    theme: str
    landing_page: str


@dataclass(frozen=True)
class SessionView:
    """A sign-in that still works: of a browser, or of a program through the API. Times are UTC.

    `last_used_at` is to the minute; of a program, when it last got new tokens.
    """

    id: str
    kind: Literal["browser", "api"]
    address: str
    user_agent: str
    started_at: datetime
    last_used_at: datetime


class ProfileService(ABC):
    """Everybody's own affairs: what it reads and changes is the actor's."""

    @abstractmethod
    def change(self, session: Session, actor: Actor, **changes: Unpack[ProfileChanges]) -> UserView:
        """Store what is named and leave the rest. Raises InvalidInput for what cannot be."""

    @abstractmethod
    def sessions(self, session: Session, actor: Actor) -> Sequence[SessionView]:
        """The actor's sign-ins that work, the last used first."""

    @abstractmethod
    def end_session(self, session: Session, actor: Actor, session_id: str) -> None:
        """End one of them at once. Raises NotFound."""

    @abstractmethod
    def end_other_sessions(self, session: Session, actor: Actor, own_id: str) -> int:
        """End all of them but `own_id` at once; how many these were. Personal API tokens are not among them."""
