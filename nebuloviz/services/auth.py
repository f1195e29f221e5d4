"""Who somebody is, by the database: passwords and their gate, with browser sessions and API tokens beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import rows_changed
from nebuloviz.errors import InvalidInput, NotFound, NotSignedIn
from nebuloviz.i18n import gettext as _
from nebuloviz.models import BrowserSession, RefreshToken, User
from nebuloviz.permissions import SYSTEM, Actor
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.bearer_tokens import BearerTokens
from nebuloviz.services.browser_sessions import BrowserSessions
from nebuloviz.services.interfaces import (
    NOWHERE,
    AuditAction,
    AuditService,
    AuthService,
    TokenPair,
    UserView,
    Visitor,
)
from nebuloviz.services.interfaces.installation import Live, as_environment
from nebuloviz.services.limits import Counters, SignInGate, account_key, address_key, code_key
from nebuloviz.services.passwords import ROUNDS, Passwords, check_password, check_username, name_key
from nebuloviz.services.role_rows import granted_by, lock_roles
from nebuloviz.services.tokens import TokenSigner
from nebuloviz.services.user_rows import actor_of, add_user, subject_of, view_of
from nebuloviz.settings import Settings

_CODE_WINDOW_SECONDS = 900
_SECOND_STEP_LIFE = timedelta(minutes=10)
#: Who acts where nobody is signed in.
NOBODY = Actor(user_id=0, username="", role="", permissions=frozenset())


class DatabaseAuth(AuthService):
    """The `AuthService` over our own tables.

    All times are taken from `now`, except the expiry of a token, which is verified by the clock. `rounds` is bcrypt's cost.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        counters: Counters | None = None,
        now: Callable[[], datetime] = utc_now,
        rounds: int = ROUNDS,
        audit: AuditService | None = None,
        live: Live | None = None,
    ) -> None:
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        counters = counters or Counters(redis_url)
        self._gate = SignInGate(counters)
        #: A gate of its own, so that a known password does not buy more guesses at the second factor's code.
        self.codes_gate = SignInGate(counters, name="second factor", window_seconds=_CODE_WINDOW_SECONDS)
        self._signer = TokenSigner(settings.secret())
        self._passwords = Passwords(rounds)
        self._now = now
        self._audit = audit or DatabaseAudit(now)
        self._sessions = BrowserSessions(live or as_environment(settings), self._audit, now)
        self.bearer_tokens = BearerTokens(
            self._signer,
            self._audit,
            now,
            access_life=timedelta(minutes=settings.access_token_minutes),
            refresh_life=timedelta(days=settings.refresh_token_days),
        )

    # ------------------------------------------------------------ passwords

    def sign_in(self, session: Session, username: str, password: str, address: str) -> UserView:
        key = name_key(username)
        account, place = account_key(key), address_key(address)
        with self._gate.attempt(account, place):
            user = self._user_by_key(session, key)
            matches = self._passwords.verify(password, user.password_hash if user else None)
            if user is None or not matches or user.disabled:
                self._gate.failed(account, place)
                raise NotSignedIn(_("The username or password is incorrect."))
            self._gate.succeeded(account)
        return view_of(user)

    def sign_in_refused(self, session: Session, username: str) -> None:
        user = self._user_by_key(session, name_key(username))
        subject = subject_of(user) if user else ""
        self._audit.record(session, NOBODY, AuditAction.SIGN_IN_REFUSED, subject)

    def confirm_password(self, session: Session, user_id: int, password: str) -> User:
        """The user, whose password it is. Raises NotSignedIn, and TooManyRequests after five failures."""
        user = self._user(session, user_id)
        account = account_key(user.name_key)
        with self._gate.attempt(account):
            if not self._passwords.verify(password, user.password_hash):
                self._gate.failed(account)
                raise NotSignedIn(_("The current password is incorrect."))
            self._gate.succeeded(account)
        return user

    def change_password(self, session: Session, user_id: int, old: str, new: str) -> UserView:
        user = self.confirm_password(session, user_id, old)
        if new == old:
            raise InvalidInput(_("The new password is the same as the current one."))
        self._audit.record(session, actor_of(view_of(user)), AuditAction.PASSWORD_CHANGED, subject_of(user))
        return self.store_password(session, user, new)

    def set_password(self, session: Session, username: str, password: str) -> UserView:
        user = self._user_by_key(session, name_key(username))
        if user is None:
            raise NotFound(_("There is no user called {name}.", name=username))
        self._audit.record(session, SYSTEM, AuditAction.PASSWORD_SET, subject_of(user))
        return self.store_password(session, user, password)

    def store_password(self, session: Session, user: User, password: str) -> UserView:
        """Give a user another password, and end all sessions and tokens. Raises InvalidInput for one that is easily guessed."""
        check_password(password, user.username)
        user.password_hash = self._passwords.hashed(password)
        user.must_change_password = False
        self.end_all(session, user)
        return view_of(user)

    def end_all(self, session: Session, user: User) -> int:
        """End all of a user's sessions and tokens; how many browser sessions these were."""
        user.sign_in_epoch += 1
        ended = session.execute(delete(BrowserSession).where(BrowserSession.user_id == user.id))
        session.execute(delete(RefreshToken).where(RefreshToken.user_id == user.id))
        session.flush()
        return rows_changed(ended)

    def is_locked(self, user: User) -> bool:
        """Whether there were so many failures that sign-ins are refused for some minutes."""
        return self._gate.is_shut(account_key(user.name_key)) or self.codes_gate.is_shut(code_key(user.name_key))

    def unlock(self, user: User) -> None:
        """Forget the failures."""
        self._gate.succeeded(account_key(user.name_key))
        self.codes_gate.succeeded(code_key(user.name_key))

    # ------------------------------------------------------------ second step

    def second_step(self, user: UserView) -> str:
        ticket, _token_id = self._signer.sign(
            "second step", user_id=user.id, epoch=user.epoch, family="", now=self._now(), life=_SECOND_STEP_LIFE
        )
        return ticket

    def user_of_second_step(self, session: Session, ticket: str) -> UserView:
        claims = self._signer.verify("second step", ticket)
        user = self._user(session, claims.user_id)
        if user.sign_in_epoch != claims.epoch:
            raise NotSignedIn(_("Please sign in."))
        return view_of(user)

    # ------------------------------------------------------------ browser sessions

    def start_session(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> str:
        return self._sessions.start(session, user, visitor)

    def user_of_session(self, session: Session, token: str) -> UserView | None:
        return self._sessions.user_of(session, token)

    def touch_session(self, session: Session, token: str, visitor: Visitor = NOWHERE) -> None:
        self._sessions.touch(session, token, visitor)

    def end_session(self, session: Session, token: str) -> None:
        self._sessions.end(session, token)

    # ------------------------------------------------------------ API tokens

    def issue_tokens(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> TokenPair:
        return self.bearer_tokens.issue(session, user, visitor)

    def refresh_tokens(self, session: Session, refresh_token: str, visitor: Visitor = NOWHERE) -> TokenPair:
        return self.bearer_tokens.refresh(session, refresh_token, visitor)

    def user_of_access_token(self, session: Session, token: str) -> UserView:
        return self.bearer_tokens.user_of_access(session, token)

    # ------------------------------------------------------------ users

    def actor(self, user: UserView) -> Actor:
        return actor_of(user)

    def create_user(
        self, session: Session, username: str, password: str, role: str, *, must_change_password: bool = False
    ) -> UserView:
        name = check_username(username)
        granted_by(lock_roles(session), role)
        check_password(password, name)
        user = User(
            username=name,
            name_key=name_key(name),
            password_hash=self._passwords.hashed(password),
            role=role,
            must_change_password=must_change_password,
            created_at=self._now(),
        )
        add_user(session, user)
        self._audit.record(session, SYSTEM, AuditAction.USER_CREATED, subject_of(user), after={"role": role})
        return view_of(user)

    def users(self, session: Session) -> Sequence[UserView]:
        return [view_of(user) for user in session.scalars(select(User).order_by(User.name_key))]

    def _user(self, session: Session, user_id: int) -> User:
        user = session.get(User, user_id, populate_existing=True)
        if user is None or user.disabled:
            raise NotSignedIn(_("Please sign in."))
        return user

    def _user_by_key(self, session: Session, key: str) -> User | None:
        if "\x00" in key or not key.isprintable() or len(key) > 256:  # no name has these, and databases choke on some
            return None
        return session.scalars(select(User).where(User.name_key == key)).first()
