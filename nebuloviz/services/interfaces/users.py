"""What administrators do with users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, RowScope
from nebuloviz.services.interfaces.auth import UserView

UserState = Literal["active", "invited", "locked", "disabled"]
USER_STATES: tuple[UserState, ...] = get_args(UserState)
UserOrder = Literal["name", "role", "created", "signed_in"]
USER_ORDERS: tuple[UserOrder, ...] = get_args(UserOrder)


def password_path(token: str) -> str:
    """Where the one-time link leads that bears `token`."""
    return f"/welcome/{token}"


@dataclass(frozen=True)
class UserRecord:
    """A user as administrators see one. `role_name`: '' of a ready-made role, whose words are translated.

    `invited`: has not set a password yet; `locked`: has failed to sign in too often.
    """

    id: int
    username: str
    email: str
    role: str
    role_name: str
    scope: RowScope
    state: UserState
    created_at: datetime
    last_sign_in_at: datetime | None
    version: int
    display_name: str = ""
    second_factor: bool = False
    language: str = ""  # as the user has chosen; '' where not
    time_zone: str = ""


@dataclass(frozen=True)
class UserFilter:
    """Which users, and in what order: empty fields do not restrict. `search`: any part of name, name shown or e-mail.

    `state` is one of `USER_STATES`; `order` one of `USER_ORDERS`, newest first where it is a time.
    """

    search: str = ""
    state: str = ""
    role: str = ""
    order: str = "name"


@dataclass(frozen=True)
class UserPage:
    """`next_cursor` continues the list; None at its end."""

    items: tuple[UserRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class UserDraft:
    """What an administrator decides of a user. `scope`: dimension -> at least one value; empty where not confined."""

    role: str
    email: str = ""
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PasswordOffer:
    """The secret of a one-time link, by which the user sets a password. It is told once, and stored only as a hash."""

    user: UserRecord
    token: str
    expires_at: datetime

    @property
    def path(self) -> str:
        return password_path(self.token)


class UserService(ABC):
    """Keeps the users. All but the last two need `users:manage`. Whatever it does holds from the user's next request on.

    Nobody gives, or takes over, more than they have: with a role, or to a user whose role includes what the actor may not do, all
    that changes something raises PermissionDenied.

    Of what could leave nobody to manage users, the methods raise Conflict, for two administrators at once too: the last one who
    has a password is neither deleted, disabled nor given another role.
    """

    @abstractmethod
    def list(
        self,
        session: Session,
        actor: Actor,
        which: UserFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> UserPage:
        """Users in pages of `limit` (at most 500). A page begins behind the last user of the one before, whoever came or went.

        Raises:
            InvalidInput: `cursor` is not one that a page of this order gave.
        """

    @abstractmethod
    def get(self, session: Session, actor: Actor, user_id: int) -> UserRecord:
        """One user. Raises NotFound."""

    @abstractmethod
    def check(self, session: Session, actor: Actor, username: str, draft: UserDraft) -> RowScope:
        """The scope as it would be kept, if `create` would create that user now. Raises what `create` does."""

    @abstractmethod
    def create(self, session: Session, actor: Actor, username: str, draft: UserDraft) -> PasswordOffer:
        """A new user, who cannot sign in before setting a password by the link.

        Raises:
            Conflict: there is one of that name, or a twin by case or Unicode form.
            InvalidInput: the name, role, e-mail or scope is none.
        """

    @abstractmethod
    def change(self, session: Session, actor: Actor, user_id: int, version: int, draft: UserDraft) -> UserRecord:
        """Give a user another role, e-mail or scope.

        Raises:
            NotFound: the user is gone.
            StaleVersion: somebody else has changed the user since `version`.
            Conflict: it is the last administrator.
            InvalidInput: as for `create`.
        """

    @abstractmethod
    def set_disabled(self, session: Session, actor: Actor, user_id: int, version: int, *, disabled: bool) -> UserRecord:
        """Shut a user out, ending all sessions, tokens and links; or let in again.

        Raises what `change` does, and Conflict for the actor's own account.
        """

    @abstractmethod
    def delete(self, session: Session, actor: Actor, user_id: int, version: int) -> None:
        """Take a user away; the audit log keeps the name. Raises what `set_disabled` does."""

    @abstractmethod
    def unlock(self, session: Session, actor: Actor, user_id: int) -> UserRecord:
        """Forget failed sign-ins, so that the user need not wait. Raises NotFound."""

    @abstractmethod
    def end_sessions(self, session: Session, actor: Actor, user_id: int) -> int:
        """Sign a user out everywhere, API tokens included; how many browser sessions ended. Raises NotFound."""

    @abstractmethod
    def offer_password(self, session: Session, actor: Actor, user_id: int) -> PasswordOffer:
        """A new link; those before it are worth nothing any more. The old password holds until the link is used.

        Raises:
            NotFound: the user is gone.
            Conflict: the user is disabled.
        """

    @abstractmethod
    def offered_to(self, session: Session, token: str) -> UserView:
        """Whose link it is. Raises NotFound for one that is unknown, used, expired, or of a disabled user."""

    @abstractmethod
    def accept_password(self, session: Session, token: str, password: str) -> UserView:
        """Set the password, once: the link is worth nothing afterwards, and all sessions and tokens have ended.

        Raises:
            NotFound: as `offered_to` does.
            InvalidInput: the password is easily guessed; the link is still good.
        """
