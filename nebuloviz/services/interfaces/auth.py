"""Users, their browser sessions and their API tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor, Permission, RowScope


@dataclass(frozen=True)
class UserView:
    """Somebody who may sign in. `granted`: what the role includes; `role_name`: '' of a ready-made one, whose words are translated.

    `seen_by`: the administrator who looks through this user's eyes, if it is not the user; nothing may be changed then.
    `confined_to`: the permissions of the token that was shown; None where all of the role count. `session_id`: of the sign-in that
    was shown. Preferences that are '' (`week_start` None) follow the installation.
    """

    id: int
    username: str
    role: str
    language: str
    time_zone: str
    theme: str
    disabled: bool
    must_change_password: bool
    epoch: int
    granted: frozenset[Permission] = frozenset()
    role_name: str = ""
    scope: RowScope = ()
    confined_to: frozenset[Permission] | None = None
    display_name: str = ""
    format_region: str = ""
    week_start: int | None = None
    landing_page: str = ""
    second_factor: bool = False
    session_id: str = field(default="", compare=False)
    seen_by: UserView | None = None


@dataclass(frozen=True)
class Visitor:
    """From where a sign-in is used: the address, and what the browser or program calls itself."""

    address: str = ""
    user_agent: str = ""


NOWHERE = Visitor()


@dataclass(frozen=True)
class TokenPair:
    """API tokens; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"  # noqa: S105 - the OAuth term


class AuthService(ABC):
    """Knows who somebody is."""

    @abstractmethod
    def sign_in(self, session: Session, username: str, password: str, address: str) -> UserView:
        """Check a password. Unknown user and wrong password take the same time and say the same.

        Raises:
            NotSignedIn: wrong, or the account is disabled.
            TooManyRequests: five failures for this account or address.
        """

    @abstractmethod
    def sign_in_refused(self, session: Session, username: str) -> None:
        """Note in the audit log that `sign_in` has refused somebody. A name that nobody has may be a password, and is not kept."""

    @abstractmethod
    def second_step(self, user: UserView) -> str:
        """A ticket that says that the password was right; good for ten minutes, for nothing but the second step of signing in."""

    @abstractmethod
    def user_of_second_step(self, session: Session, ticket: str) -> UserView:
        """Whose ticket it is. Raises NotSignedIn for one that is over, or of before a change of password."""

    @abstractmethod
    def start_session(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> str:
        """A new browser session; returns the secret for its cookie, of which only a hash is stored."""

    @abstractmethod
    def user_of_session(self, session: Session, token: str) -> UserView | None:
        """Whose session it is, or whom it looks at; None when unknown, expired or revoked, or the user is disabled.

        None as well once the one who looks may no more, or the one who is looked at is gone or may more than that one.
        """

    @abstractmethod
    def touch_session(self, session: Session, token: str, visitor: Visitor = NOWHERE) -> None:
        """Say that it is in use: its idle time starts anew, its absolute end stays. Called now and then, in a transaction."""

    @abstractmethod
    def end_session(self, session: Session, token: str) -> None:
        """Sign out: the cookie is worth nothing afterwards."""

    @abstractmethod
    def issue_tokens(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> TokenPair:
        """A new family of API tokens."""

    @abstractmethod
    def refresh_tokens(self, session: Session, refresh_token: str, visitor: Visitor = NOWHERE) -> TokenPair:
        """Exchange a refresh token, once. A second use revokes the family, access tokens included.

        Raises:
            NotSignedIn: not valid or expired.
            TokenReused: used before; the revocation is committed although this is raised.
        """

    @abstractmethod
    def user_of_access_token(self, session: Session, token: str) -> UserView:
        """Whose access token it is. Raises NotSignedIn."""

    @abstractmethod
    def actor(self, user: UserView) -> Actor:
        """The user as an actor: row scope, and of the role's permissions those that it and the token leave."""

    @abstractmethod
    def change_password(self, session: Session, user_id: int, old: str, new: str) -> UserView:
        """Set a new password and end all of the user's sessions and tokens.

        Raises:
            NotSignedIn: `old` is wrong.
            InvalidInput: `new` is too short, too common or hardly more than the name.
        """

    @abstractmethod
    def create_user(
        self, session: Session, username: str, password: str, role: str, *, must_change_password: bool = False
    ) -> UserView:
        """Add a user. Raises Conflict when the name (or a twin by case or Unicode form) exists, InvalidInput for a bad one."""

    @abstractmethod
    def set_password(self, session: Session, username: str, password: str) -> UserView:
        """Set a user's password without the old one (command line). Ends all sessions and tokens. Raises NotFound."""

    @abstractmethod
    def users(self, session: Session) -> Sequence[UserView]:
        """All users by name."""
