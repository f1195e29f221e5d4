"""Roles: the ready-made ones, and those of one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, Permission


@dataclass(frozen=True)
class RoleView:
    """A role. `slug` is how programs and users' records name it, and stays; `name` is '' of a ready-made one, which is translated.

    `holders` counts the users who have it. `version` is 0 of what cannot be changed.
    """

    slug: str
    name: str
    description: str
    permissions: tuple[Permission, ...]
    ready_made: bool
    holders: int
    version: int


@dataclass(frozen=True)
class RoleDraft:
    """What an administrator decides of a role. Permissions are kept together with what they need."""

    name: str
    permissions: Collection[Permission]
    description: str = ""


class RoleService(ABC):
    """Keeps the roles of one's own; all of it needs `users:manage`. What is changed holds from a user's next request on.

    Nobody gives more than they have: what an actor may not do is part of no role that this actor makes, changes or takes away;
    PermissionDenied otherwise. Ready-made roles cannot be changed: Conflict.
    """

    @abstractmethod
    def list(self, session: Session, actor: Actor) -> Sequence[RoleView]:
        """The ready-made ones, from the least to the most; then one's own by name."""

    @abstractmethod
    def get(self, session: Session, actor: Actor, slug: str) -> RoleView:
        """One role. Raises NotFound."""

    @abstractmethod
    def create(self, session: Session, actor: Actor, draft: RoleDraft) -> RoleView:
        """A new role; its slug is made of the name.

        Raises:
            Conflict: there is one of that name, or a twin by case or Unicode form; or there are too many.
            InvalidInput: the name or description is none.
        """

    @abstractmethod
    def change(self, session: Session, actor: Actor, slug: str, version: int, draft: RoleDraft) -> RoleView:
        """Give a role another name, description or permissions.

        Raises:
            NotFound: the role is gone.
            StaleVersion: somebody else has changed it since `version`.
            Conflict: nobody would be left to manage users; or as for `create`.
            InvalidInput: as for `create`.
        """

    @abstractmethod
    def delete(self, session: Session, actor: Actor, slug: str, version: int) -> None:
        """Take a role away. Raises NotFound, StaleVersion, and Conflict while somebody has it."""
