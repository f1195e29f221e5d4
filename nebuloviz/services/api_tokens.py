"""Personal API tokens in the database, which holds only their hashes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.errors import Conflict, InvalidInput, NotFound, NotSignedIn
from nebuloviz.i18n import gettext as _
from nebuloviz.models import ApiToken, User
from nebuloviz.permissions import Actor, Permission
from nebuloviz.services.interfaces import (
    TOKEN_PREFIX,
    ApiTokenService,
    ApiTokenView,
    AuditAction,
    AuditService,
    NewApiToken,
    UserView,
)
from nebuloviz.services.sign_ins import hashed_token
from nebuloviz.services.user_rows import view_of

MAX_TOKENS = 50
MAX_NAME_LENGTH = 80
MAX_LIFE_DAYS = 366
_MAX_TOKEN_LENGTH = 100
_NOTED_APART = timedelta(minutes=1)


class DatabaseApiTokens(ApiTokenService):
    """The `ApiTokenService` over our own table."""

    def __init__(self, audit: AuditService, now: Callable[[], datetime] = utc_now) -> None:
        self._audit = audit
        self._now = now

    def list(self, session: Session, actor: Actor) -> Sequence[ApiTokenView]:
        return [_view(row) for row in self._living(session, actor)]

    def create(
        self, session: Session, actor: Actor, name: str, permissions: Collection[Permission], days: int
    ) -> NewApiToken:
        name = _checked(name.strip(), permissions, days)
        for permission in permissions:
            actor.demand(permission)
        own = self._living(session, actor)
        if len(own) >= MAX_TOKENS:
            raise Conflict(_("You have {limit} tokens already; revoke one first.", limit=MAX_TOKENS))
        if any(row.name == name for row in own):
            raise Conflict(_("You have a token called {name} already.", name=name))
        token, now = TOKEN_PREFIX + secrets.token_urlsafe(32), self._now()
        row = ApiToken(
            user_id=actor.user_id,
            name=name,
            token_hash=hashed_token(token),
            permissions=" ".join(sorted(set(permissions))),
            epoch=session.scalars(select(User.sign_in_epoch).where(User.id == actor.user_id)).one(),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        session.add(row)
        session.flush()
        view = _view(row)
        self._audit.record(session, actor, AuditAction.TOKEN_CREATED, f"token {name}", after=_told(view))
        return NewApiToken(token, view)

    def revoke(self, session: Session, actor: Actor, token_id: int) -> None:
        row = next((row for row in self._living(session, actor) if row.id == token_id), None)
        if row is None:
            raise NotFound(_("There is no such token."))
        session.execute(delete(ApiToken).where(ApiToken.id == row.id))
        self._audit.record(session, actor, AuditAction.TOKEN_REVOKED, f"token {row.name}", before=_told(_view(row)))

    def user_of(self, session: Session, token: str) -> UserView:
        found = session.execute(
            select(ApiToken, User)
            .join(User, User.id == ApiToken.user_id)
            .where(_is(token), ApiToken.epoch == User.sign_in_epoch)
        ).first()
        if found is None or found.User.disabled or found.ApiToken.expires_at <= self._now():
            raise NotSignedIn(_("The token is not valid or has expired."))
        return replace(view_of(found.User), confined_to=frozenset(_permissions(found.ApiToken)))

    def note_use(self, session: Session, token: str) -> None:
        session.execute(update(ApiToken).where(_is(token)).values(last_used_at=self._now()))

    def use_is_noted(self, session: Session, token: str) -> bool:
        last = session.scalars(select(ApiToken.last_used_at).where(_is(token))).first()
        return last is not None and last > self._now() - _NOTED_APART

    def _living(self, session: Session, actor: Actor) -> Sequence[ApiToken]:
        """The actor's tokens that work, the newest first."""
        statement = (
            select(ApiToken)
            .join(User, User.id == ApiToken.user_id)
            .where(
                ApiToken.user_id == actor.user_id,
                ApiToken.epoch == User.sign_in_epoch,
                ApiToken.expires_at > self._now(),
            )
            .order_by(ApiToken.id.desc())
        )
        return session.scalars(statement).all()


def _is(token: str) -> ColumnElement[bool]:
    return ApiToken.token_hash == hashed_token(token[:_MAX_TOKEN_LENGTH])


def _checked(name: str, permissions: Collection[Permission], days: int) -> str:
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(_("A token needs a name of at most {limit} characters.", limit=MAX_NAME_LENGTH))
    if not permissions:
        raise InvalidInput(_("Name at least one permission that the token is for."))
    if not 1 <= days <= MAX_LIFE_DAYS:
        raise InvalidInput(_("A token lives for 1 to {limit} days.", limit=MAX_LIFE_DAYS))
    return name


def _permissions(row: ApiToken) -> list[Permission]:
    """Those that there still are in this version."""
    known = set(Permission)
    return [Permission(text) for text in row.permissions.split() if text in known]


def _view(row: ApiToken) -> ApiTokenView:
    return ApiTokenView(row.id, row.name, tuple(_permissions(row)), row.created_at, row.expires_at, row.last_used_at)


def _told(view: ApiTokenView) -> dict[str, object]:
    return {"permissions": [str(item) for item in view.permissions], "expires_at": view.expires_at.isoformat()}
