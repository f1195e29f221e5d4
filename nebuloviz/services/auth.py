"""Users, passwords, browser sessions and API tokens, kept in the database."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import rows_changed
from nebuloviz.errors import InvalidInput, NotFound, NotSignedIn, TokenReused
from nebuloviz.i18n import gettext as _
from nebuloviz.models import BrowserSession, RefreshToken, User
from nebuloviz.permissions import SCOPABLE, SYSTEM, Actor, Permission
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.interfaces import (
    NOWHERE,
    AuditAction,
    AuditService,
    AuthService,
    TokenPair,
    UserView,
    ViewToken,
    Visitor,
)
from nebuloviz.services.interfaces.installation import Live, as_environment
from nebuloviz.services.limits import Counters, SignInGate, account_key, address_key, code_key
from nebuloviz.services.passwords import ROUNDS, Passwords, check_password, check_username, name_key
from nebuloviz.services.role_rows import granted, granted_by, lock_roles
from nebuloviz.services.scope import scope_from_json
from nebuloviz.services.tokens import Claims, TokenSigner, invalid_token
from nebuloviz.services.user_rows import add_user, subject_of
from nebuloviz.settings import Settings

_CODE_WINDOW_SECONDS = 900
_SECOND_STEP_LIFE = timedelta(minutes=10)
_MAX_AGENT_LENGTH = 300
_ID_LENGTH = 16
#: Who acts where nobody is signed in.
NOBODY = Actor(user_id=0, username="", role="", permissions=frozenset())


class DatabaseAuth(AuthService):
    """The `AuthService` over our own tables.

    A browser session's expiry is the earlier of its absolute end and the end of its idle time. All times are taken from `now`,
    except a token's own claims, which are verified by the clock. `rounds` is bcrypt's cost.
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
        self._live = live or as_environment(settings)
        self._access_life = timedelta(minutes=settings.access_token_minutes)
        self._refresh_life = timedelta(days=settings.refresh_token_days)
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        counters = counters or Counters(redis_url)
        self._gate = SignInGate(counters)
        #: Apart from that of passwords, so that a known password does not buy more guesses at the code.
        self.codes_gate = SignInGate(counters, name="second factor", window_seconds=_CODE_WINDOW_SECONDS)
        self._signer = TokenSigner(settings.secret())
        self._passwords = Passwords(rounds)
        self._now = now
        self._audit = audit or DatabaseAudit(now)

    # ------------------------------------------------------------ passwords

    def sign_in(self, session: Session, username: str, password: str, address: str) -> UserView:
        key = name_key(username)
        account, place = account_key(key), address_key(address)
        with self._gate.attempt(account, place):
            user = self._user_by_key(session, key)
            matches = self._passwords.verify(password, user.password_hash if user else None)
            if user is None or not matches or user.disabled:
                self._gate.failed(account, place)
                raise NotSignedIn(_("The username or the password is not right."))
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
                raise NotSignedIn(_("The current password is not right."))
            self._gate.succeeded(account)
        return user

    def change_password(self, session: Session, user_id: int, old: str, new: str) -> UserView:
        user = self.confirm_password(session, user_id, old)
        if new == old:
            raise InvalidInput(_("The new password is the same as the current one."))
        self._audit.record(session, self.actor(view_of(user)), AuditAction.PASSWORD_CHANGED, subject_of(user))
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

    # ------------------------------------------------------------ browser sessions

    @property
    def _session_life(self) -> timedelta:
        return timedelta(hours=self._live().session_hours)

    @property
    def _idle_life(self) -> timedelta:
        return timedelta(minutes=self._live().session_idle_minutes)

    def second_step(self, user: UserView) -> str:
        ticket, _unused = self._signer.sign(
            "second step", user_id=user.id, epoch=user.epoch, family="", now=self._now(), life=_SECOND_STEP_LIFE
        )
        return ticket

    def user_of_second_step(self, session: Session, ticket: str) -> UserView:
        claims = self._signer.verify("second step", ticket)
        user = self._user(session, claims.user_id)
        if user.sign_in_epoch != claims.epoch:
            raise NotSignedIn(_("Please sign in."))
        return view_of(user)

    def start_session(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> str:
        token, now = secrets.token_urlsafe(32), self._now()
        session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
        expires_at = now + min(self._idle_life, self._session_life)
        row = BrowserSession(
            token_hash=hashed_token(token),
            user_id=user.id,
            epoch=user.epoch,
            created_at=now,
            expires_at=expires_at,
            last_used_at=now,
            **_told_of(visitor),
        )
        session.add(row)
        self._signed_in(session, user, "browser")
        return token

    def user_of_session(self, session: Session, token: str) -> UserView | None:
        found = self._living_session(session, token)
        if found is None:
            return None
        row, user = found
        own = replace(view_of(user), session_id=session_id_of(row.token_hash))
        return own if row.viewed_user_id is None else self._seen(session, row.viewed_user_id, own)

    def _living_session(self, session: Session, token: str) -> tuple[BrowserSession, User] | None:
        found = session.execute(
            select(BrowserSession, User)
            .join(User, User.id == BrowserSession.user_id)
            .where(BrowserSession.token_hash == hashed_token(token))
        ).first()
        if found is None:
            return None
        row, user = found
        if row.expires_at <= self._now() or row.epoch != user.sign_in_epoch or user.disabled:
            return None
        return row, user

    def _seen(
        self, session: Session, user_id: int, viewer: UserView, made_before: datetime | None = None
    ) -> UserView | None:
        """The user as `viewer` looks through this user's eyes, in the viewer's own language and colours; None where that ended.

        `made_before`: SQLite gives the number of a deleted user to the next one that is made, who is somebody else.
        """
        user, may = session.get(User, user_id), self.actor(viewer)
        allowed = may.may(Permission.USERS_MANAGE) and user is not None and granted(user) <= may.permissions
        if user is None or user.disabled or not allowed or (made_before is not None and user.created_at >= made_before):
            return None
        seen = replace(view_of(user), seen_by=viewer, must_change_password=False)
        return replace(seen, language=viewer.language, theme=viewer.theme)

    def touch_session(self, session: Session, token: str, visitor: Visitor = NOWHERE) -> None:
        row, now = session.get(BrowserSession, hashed_token(token)), self._now()
        if row is not None and row.expires_at > now:
            row.expires_at = min(now + self._idle_life, row.created_at + self._session_life)
            row.last_used_at = now
            row.address, row.user_agent = _told_of(visitor).values()
            session.flush()

    def end_session(self, session: Session, token: str) -> None:
        found = self._living_session(session, token)
        if found is not None:
            row, user = found
            actor = self.actor(view_of(user))
            viewed = session.get(User, row.viewed_user_id) if row.viewed_user_id is not None else None
            if viewed is not None:
                self._audit.record(session, actor, AuditAction.VIEW_ENDED, subject_of(viewed))
            self._audit.record(session, actor, AuditAction.SIGN_OUT)
        session.execute(delete(BrowserSession).where(BrowserSession.token_hash == hashed_token(token)))

    def _signed_in(self, session: Session, user: UserView, by: str) -> None:
        session.execute(update(User).where(User.id == user.id).values(last_sign_in_at=self._now()))
        self._audit.record(session, self.actor(user), AuditAction.SIGN_IN, after={"by": by})

    # ------------------------------------------------------------ API tokens

    def issue_tokens(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> TokenPair:
        now = self._now()
        session.execute(delete(RefreshToken).where(RefreshToken.expires_at <= now))
        self._signed_in(session, user, "api")
        return self._pair(session, user.id, user.epoch, secrets.token_hex(16), now, visitor)

    def refresh_tokens(self, session: Session, refresh_token: str, visitor: Visitor = NOWHERE) -> TokenPair:
        claims = self._signer.verify("refresh", refresh_token)
        user = self._believed(session, claims)
        taken = self._take(session, claims)
        if taken is None:
            revoke_family(session, claims.family)
            raise TokenReused(_("The token was used before. Please sign in again."))
        return self._pair(session, user.id, user.sign_in_epoch, claims.family, taken.started_at, visitor)

    def user_of_access_token(self, session: Session, token: str) -> UserView:
        claims = self._signer.verify("access", token)
        own = replace(view_of(self._believed(session, claims)), session_id=session_id_of(claims.family))
        if claims.viewed_user_id is None:
            return own
        made_before = (
            claims.expires_at - self._access_life + timedelta(seconds=1)
        )  # when it was signed; `exp` has no fractions
        user = self._seen(session, claims.viewed_user_id, own, made_before)
        if user is None:
            raise invalid_token()
        return user

    def view_token(self, session: Session, actor: Actor, access_token: str, user_id: int) -> ViewToken:
        """A token of the actor's sign-in that sees what that user sees. Raises NotSignedIn: `access_token` is not the actor's own."""
        claims = self._signer.verify("access", access_token)
        if self._believed(session, claims).id != actor.user_id or claims.viewed_user_id is not None:
            raise invalid_token()
        token, _unused = self._signer.sign(
            "access",
            user_id=claims.user_id,
            epoch=claims.epoch,
            family=claims.family,
            now=self._now(),
            life=self._access_life,
            viewed_user_id=user_id,
        )
        return ViewToken(token, int(self._access_life.total_seconds()))

    def _take(self, session: Session, claims: Claims) -> RefreshToken | None:
        """Mark a refresh token as used; None when somebody was first. One statement, so that of two at once one wins."""
        return session.scalars(
            update(RefreshToken)
            .where(RefreshToken.token_id == claims.token_id, RefreshToken.used.is_(False))
            .values(used=True)
            .returning(RefreshToken)
        ).first()

    def _believed(self, session: Session, claims: Claims) -> User:
        """The user of verified claims, if the user may still sign in and the token's family is not revoked."""
        family_lives = exists().where(
            RefreshToken.family == claims.family,
            RefreshToken.user_id == claims.user_id,
            RefreshToken.revoked.is_(False),
        )
        user = session.scalars(select(User).where(User.id == claims.user_id, family_lives)).first()
        if user is None or user.disabled or user.sign_in_epoch != claims.epoch:
            raise invalid_token()
        return user

    def _pair(
        self, session: Session, user_id: int, epoch: int, family: str, started_at: datetime | None, visitor: Visitor
    ) -> TokenPair:
        now = self._now()
        sign = partial(self._signer.sign, user_id=user_id, epoch=epoch, family=family, now=now)
        access, _unused = sign("access", life=self._access_life)
        refresh, token_id = sign("refresh", life=self._refresh_life)
        row = RefreshToken(
            token_id=token_id,
            family=family,
            user_id=user_id,
            expires_at=now + self._refresh_life,
            started_at=started_at,
            issued_at=now,
            **_told_of(visitor),
        )
        session.add(row)
        session.flush()
        return TokenPair(access, refresh, int(self._access_life.total_seconds()))

    # ------------------------------------------------------------ users

    def actor(self, user: UserView) -> Actor:
        left = user.granted & SCOPABLE if user.scope else user.granted
        if user.confined_to is not None:
            left &= user.confined_to
        looking = user.seen_by is not None
        return Actor(user.id, user.username, user.role, left, user.scope, looking)

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


def hashed_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def session_id_of(secret: str) -> str:
    """What a session is called where it is listed: enough of its hash or family to tell it apart, too little to be used."""
    return secret[:_ID_LENGTH]


def revoke_family(session: Session, family: str) -> None:
    """End all API tokens that descend from one sign-in, at once."""
    session.execute(update(RefreshToken).where(RefreshToken.family == family).values(revoked=True))


def _told_of(visitor: Visitor) -> dict[str, str]:
    """Address and program, as far as they can be kept."""
    agent = "".join(letter for letter in visitor.user_agent if letter.isprintable())
    return {"address": visitor.address, "user_agent": agent[:_MAX_AGENT_LENGTH]}


def view_of(user: User) -> UserView:
    return UserView(
        id=user.id,
        username=user.username,
        role=user.role,
        language=user.language,
        time_zone=user.time_zone,
        theme=user.theme,
        granted=granted(user),
        role_name=user.custom_role.name if user.custom_role else "",
        disabled=user.disabled,
        must_change_password=user.must_change_password,
        epoch=user.sign_in_epoch,
        scope=scope_from_json(user.scope),
        display_name=user.display_name,
        format_region=user.format_region,
        week_start=user.week_start,
        landing_page=user.landing_page,
        second_factor=user.second_factor_at is not None,
    )
