"""One-time codes as a second factor, in the database: secrets sealed, recovery codes as hashes, no code accepted twice."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import rows_changed
from nebuloviz.errors import Conflict, InvalidInput, NotFound, WrongCode
from nebuloviz.i18n import gettext as _
from nebuloviz.models import RecoveryCode, User
from nebuloviz.permissions import SYSTEM, Actor, Permission, require
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import (
    AuditAction,
    AuditService,
    Enrolment,
    SecondFactorService,
    SecondFactorState,
    UserView,
    user_subject,
)
from nebuloviz.services.limits import address_key, code_key
from nebuloviz.services.passwords import name_key
from nebuloviz.services.sealing import Seal
from nebuloviz.services.user_rows import subject_of, user_within

STEP_SECONDS = 30
RECOVERY_CODES = 8
_ISSUER = "NebuloViz"
_DRIFT_STEPS = 1  # clocks of phones are a little fast or slow
_TICKET_LIFE = timedelta(minutes=10)
_MAX_CODE_LENGTH = 64
_MAX_TICKET_LENGTH = 1_000
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that are easily mistaken for another
_GROUPS, _GROUP_LENGTH = 6, 4  # 24 letters of 31: 118 bits


def _not_required() -> bool:
    return False


class DatabaseSecondFactor(SecondFactorService):
    """The `SecondFactorService` over our own tables. `required` says whether the installation asks everybody for one now."""

    def __init__(
        self,
        secret: str,
        auth: DatabaseAuth,
        audit: AuditService,
        *,
        now: Callable[[], datetime] = utc_now,
        required: Callable[[], bool] = _not_required,
    ) -> None:
        self._stored = Seal(secret, "second factor")
        self._tickets = Seal(secret, "enrolment of a second factor")
        self._auth = auth
        self._audit = audit
        self._now = now
        self._required = required

    # ------------------------------------------------------------ one's own

    def state(self, session: Session, actor: Actor) -> SecondFactorState:
        since = session.scalars(select(User.second_factor_at).where(User.id == actor.user_id)).first()
        return SecondFactorState(since, _codes_left(session, actor.user_id))

    def begin(self, session: Session, actor: Actor, password: str) -> Enrolment:
        user = self._auth.confirm_password(session, actor.user_id, password)
        _demand_off(user)
        secret = pyotp.random_base32()
        until = int((self._now() + _TICKET_LIFE).timestamp())
        return _enrolment(user, secret, self._tickets.close(json.dumps([user.id, secret, until])))

    def resume(self, session: Session, actor: Actor, ticket: str) -> Enrolment:
        return _enrolment(_user(session, actor.user_id), self._secret_of(actor, ticket), ticket)

    def confirm(self, session: Session, actor: Actor, ticket: str, code: str) -> Sequence[str]:
        secret, user = self._secret_of(actor, ticket), _user(session, actor.user_id)
        _demand_off(user)
        key = code_key(user.name_key)
        with self._auth.codes_gate.attempt(key):
            step = self._step_of(secret, code)
            if step is None:
                self._auth.codes_gate.failed(key)
                raise WrongCode(_("The code is incorrect. Check that your phone's clock is right."))
            self._auth.codes_gate.succeeded(key)
        user, now = _locked(session, actor.user_id), self._now()
        _demand_off(user)  # once more: of two at once, one wins
        user.totp_secret = self._stored.close(json.dumps([user.id, secret]))
        user.totp_step, user.second_factor_at = step, now
        session.flush()
        self._audit.record(session, actor, AuditAction.SECOND_FACTOR_ON, subject_of(user))
        return _new_codes(session, user.id)

    def renew_codes(self, session: Session, actor: Actor, password: str) -> Sequence[str]:
        self._auth.confirm_password(session, actor.user_id, password)
        user = _locked(session, actor.user_id)
        _demand_on(user)
        self._audit.record(session, actor, AuditAction.RECOVERY_CODES_MADE, subject_of(user))
        return _new_codes(session, user.id)

    def turn_off(self, session: Session, actor: Actor, password: str) -> None:
        user = self._auth.confirm_password(session, actor.user_id, password)
        _demand_on(user)
        if self._required():
            raise Conflict(_("This installation requires a second factor."))
        _forget(session, user)
        self._audit.record(session, actor, AuditAction.SECOND_FACTOR_OFF, subject_of(user))

    def is_due(self, user: UserView) -> bool:
        return not user.second_factor and self._required()

    # ------------------------------------------------------------ signing in

    def check(self, session: Session, user: UserView, code: str, address: str) -> None:
        key, place, gate = code_key(name_key(user.username)), address_key(address), self._auth.codes_gate
        with gate.attempt(key, place):
            if not self._takes(session, user, code[:_MAX_CODE_LENGTH]):
                gate.failed(key, place)
                self._refuse(session, user)
            gate.succeeded(key)

    def _takes(self, session: Session, user: UserView, code: str) -> bool:
        """Whether the code was good, and was not used before; it is used from now on."""
        row = _user(session, user.id)
        secret = self._opened(row)
        step = self._step_of(secret, code) if secret else None
        if step is not None:  # one statement: of two at once, one wins
            newer = update(User).where(User.id == user.id, User.totp_step < step).values(totp_step=step)
            return rows_changed(session.execute(newer)) == 1
        mine = RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(code)
        if rows_changed(session.execute(delete(RecoveryCode).where(*mine))) != 1:
            return False
        left = {"left": _codes_left(session, user.id)}
        self._audit.record(session, self._auth.actor(user), AuditAction.RECOVERY_CODE_USED, subject_of(row), after=left)
        return True

    def _refuse(self, session: Session, user: UserView) -> NoReturn:
        self._audit.record(
            session, self._auth.actor(user), AuditAction.SECOND_FACTOR_REFUSED, user_subject(user.username)
        )
        raise WrongCode(_("The code is incorrect or has been used before."))

    # ------------------------------------------------------------ administrators

    @require(Permission.USERS_MANAGE)
    def reset(self, session: Session, actor: Actor, user_id: int) -> None:
        user = user_within(session, actor, user_id)
        _demand_on(user)
        _forget(session, user)
        self._auth.unlock(user)
        self._audit.record(session, actor, AuditAction.SECOND_FACTOR_RESET, subject_of(user))

    def reset_by_name(self, session: Session, username: str) -> None:
        """As `reset`, for the command line. Raises NotFound; Conflict while it is off."""
        found = session.scalars(select(User.id).where(User.name_key == name_key(username))).first()
        if found is None:
            raise NotFound(_("There is no user called {name}.", name=username))
        self.reset(session, SYSTEM, found)

    # ------------------------------------------------------------ codes

    def _step_of(self, secret: str, code: str) -> int | None:
        """The step of 30 seconds, now or beside it, that `code` belongs to; None where it is none's."""
        given = "".join(code.split())
        totp, now = pyotp.TOTP(secret), int(self._now().timestamp()) // STEP_SECONDS
        steps = range(now - _DRIFT_STEPS, now + _DRIFT_STEPS + 1)
        right = [step for step in steps if _same(totp.generate_otp(step), given)]
        return right[-1] if right else None

    def _opened(self, user: User) -> str | None:
        """The user's secret; None where there is none, or it was sealed with another secret of the installation."""
        text = self._stored.open(user.totp_secret) if user.totp_secret else None
        owner, secret = json.loads(text) if text else (0, "")
        return secret if owner == user.id else None

    def _secret_of(self, actor: Actor, ticket: str) -> str:
        text = self._tickets.open(ticket[:_MAX_TICKET_LENGTH])
        owner, secret, until = json.loads(text) if text else (0, "", 0)
        if owner != actor.user_id or until < self._now().timestamp():
            raise InvalidInput(_("That took too long. Please begin again."))
        return str(secret)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def _enrolment(user: User, secret: str, ticket: str) -> Enrolment:
    address = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=_ISSUER)
    return Enrolment(secret, address, ticket)


def _user(session: Session, user_id: int) -> User:
    return session.get_one(User, user_id, populate_existing=True)


def _locked(session: Session, user_id: int) -> User:
    """The user as stored now, whom nobody else changes until the transaction ends."""
    return session.get_one(User, user_id, populate_existing=True, with_for_update={"of": User})


def _demand_off(user: User) -> None:
    if user.second_factor_at is not None:
        raise Conflict(_("The second factor is on already."))


def _demand_on(user: User) -> None:
    if user.second_factor_at is None:
        raise Conflict(_("There is no second factor that is on."))


def _forget(session: Session, user: User) -> None:
    user.totp_secret, user.totp_step, user.second_factor_at = "", 0, None
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    session.flush()


def _codes_left(session: Session, user_id: int) -> int:
    counted = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return session.scalars(counted).one()


def _new_codes(session: Session, user_id: int) -> Sequence[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = ["-".join(_group() for _unused in range(_GROUPS)) for _unused in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=_hash(code), user_id=user_id) for code in codes)
    session.flush()
    return codes


def _group() -> str:
    return "".join(secrets.choice(_LETTERS) for _unused in range(_GROUP_LENGTH))


def _hash(code: str) -> str:
    """Of a recovery code as it is typed: case, spaces and dashes do not matter."""
    plain = "".join(letter for letter in code.casefold() if letter.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
