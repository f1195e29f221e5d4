"""Users as administrators keep them, in the database."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.errors import Conflict, InvalidInput, NotFound, StaleVersion
from nebuloviz.i18n import gettext as _
from nebuloviz.models import PasswordLink, User
from nebuloviz.permissions import Actor, Permission, RowScope, require
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import (
    AuditAction,
    AuditService,
    PasswordOffer,
    UserDraft,
    UserFilter,
    UserPage,
    UserRecord,
    UserService,
    UserState,
    UserView,
)
from nebuloviz.services.paging import page_size
from nebuloviz.services.passwords import check_username, name_key
from nebuloviz.services.role_rows import (
    Roles,
    all_roles,
    granted_by,
    lock_roles,
    nobody_would_manage,
)
from nebuloviz.services.scope import checked_scope, scope_from_json, scope_to_json
from nebuloviz.services.setting_entries import email_form
from nebuloviz.services.sign_ins import hashed_token
from nebuloviz.services.user_pages import cursor_behind, users_behind
from nebuloviz.services.user_rows import add_user, stored_user, subject_of, twin, user_within, view_of
from nebuloviz.services.viewing import end_views

LINK_LIFE = timedelta(days=7)
_MAX_TOKEN_LENGTH = 100


class DatabaseUsers(UserService):
    """The `UserService` over our own tables; `auth` keeps passwords, sessions and the count of failures."""

    def __init__(self, auth: DatabaseAuth, audit: AuditService, now: Callable[[], datetime] = utc_now) -> None:
        self._auth = auth
        self._audit = audit
        self._now = now

    # ------------------------------------------------------------ reading

    @require(Permission.USERS_MANAGE)
    def list(
        self,
        session: Session,
        actor: Actor,  # noqa: ARG002 - `require` looks at it
        which: UserFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> UserPage:
        which, limit = which or UserFilter(), page_size(limit)
        users = users_behind(session, which, cursor)
        found = list(islice((user for user in users if which.state in {"", self._state(user)}), limit + 1))
        items = tuple(self._record(user) for user in found[:limit])
        return UserPage(items, cursor_behind(found[limit - 1], which.order) if len(found) > limit else None)

    @require(Permission.USERS_MANAGE)
    def get(self, session: Session, actor: Actor, user_id: int) -> UserRecord:  # noqa: ARG002 - `require` looks at the actor
        return self._record(stored_user(session, user_id))

    # ------------------------------------------------------------ changing

    @require(Permission.USERS_MANAGE)
    def check(self, session: Session, actor: Actor, username: str, draft: UserDraft) -> RowScope:
        name = check_username(username)
        if session.scalars(select(User.id).where(User.name_key == name_key(name))).first() is not None:
            raise twin(name)
        return _checked(all_roles(session), actor, draft)

    @require(Permission.USERS_MANAGE)
    def create(self, session: Session, actor: Actor, username: str, draft: UserDraft) -> PasswordOffer:
        name, scope = check_username(username), _checked(lock_roles(session), actor, draft)
        user = User(
            username=name,
            name_key=name_key(name),
            password_hash="",  # matches no password
            role=draft.role,
            email=draft.email,
            scope=scope_to_json(scope),
            created_at=self._now(),
        )
        add_user(session, user)
        self._audit.record(session, actor, AuditAction.USER_CREATED, subject_of(user), after=_told(user))
        return self._offer(session, user)

    @require(Permission.USERS_MANAGE)
    def change(self, session: Session, actor: Actor, user_id: int, version: int, draft: UserDraft) -> UserRecord:
        roles = lock_roles(session)
        scope = _checked(roles, actor, draft)
        managing = Permission.USERS_MANAGE in roles[draft.role]
        user = _for_change(session, actor, roles, user_id, version, managing=managing)
        before, kept = _told(user), (user.role, user.email, user.scope)
        if kept == (draft.role, draft.email, scope_to_json(scope)):
            return self._record(user)
        user.role, user.email, user.scope = draft.role, draft.email, scope_to_json(scope)
        user.version += 1
        session.flush()
        session.expire(user, ["custom_role"])
        self._audit.record(session, actor, AuditAction.USER_CHANGED, subject_of(user), before=before, after=_told(user))
        return self._record(user)

    @require(Permission.USERS_MANAGE)
    def set_disabled(self, session: Session, actor: Actor, user_id: int, version: int, *, disabled: bool) -> UserRecord:
        user = _for_change(session, actor, lock_roles(session), user_id, version, managing=not disabled)
        if disabled:
            _demand_other(actor, user)
        user.disabled = disabled
        user.version += 1
        if disabled:
            self._auth.end_all(session, user)
            end_views(session, self._auth, self._audit, user)
            _withdraw_links(session, user)
        action = AuditAction.USER_DISABLED if disabled else AuditAction.USER_ENABLED
        self._audit.record(session, actor, action, subject_of(user))
        return self._record(user)

    @require(Permission.USERS_MANAGE)
    def delete(self, session: Session, actor: Actor, user_id: int, version: int) -> None:
        user = _for_change(session, actor, lock_roles(session), user_id, version, managing=False)
        _demand_other(actor, user)
        self._audit.record(session, actor, AuditAction.USER_DELETED, subject_of(user), before=_told(user))
        end_views(session, self._auth, self._audit, user)
        session.execute(delete(User).where(User.id == user.id))  # what belongs to the user goes by the foreign keys

    @require(Permission.USERS_MANAGE)
    def unlock(self, session: Session, actor: Actor, user_id: int) -> UserRecord:
        user = user_within(session, actor, user_id)
        self._auth.unlock(user)
        self._audit.record(session, actor, AuditAction.USER_UNLOCKED, subject_of(user))
        return self._record(user)

    @require(Permission.USERS_MANAGE)
    def end_sessions(self, session: Session, actor: Actor, user_id: int) -> int:
        user = user_within(session, actor, user_id)
        ended = self._auth.end_all(session, user)
        self._audit.record(session, actor, AuditAction.SESSIONS_ENDED, subject_of(user))
        return ended

    # ------------------------------------------------------------ one-time links

    @require(Permission.USERS_MANAGE)
    def offer_password(self, session: Session, actor: Actor, user_id: int) -> PasswordOffer:
        user = user_within(session, actor, user_id)
        if user.disabled:
            raise Conflict(_("{name} is disabled; enable the user first.", name=user.username))
        self._audit.record(session, actor, AuditAction.PASSWORD_LINK_MADE, subject_of(user))
        return self._offer(session, user)

    def offered_to(self, session: Session, token: str) -> UserView:
        return view_of(self._owner(session, token))

    def accept_password(self, session: Session, token: str, password: str) -> UserView:
        user = self._owner(session, token)
        view = self._auth.store_password(session, user, password)
        _withdraw_links(session, user)
        self._auth.unlock(user)
        self._audit.record(session, self._auth.actor(view), AuditAction.PASSWORD_LINK_USED, subject_of(user))
        return view

    def _offer(self, session: Session, user: User) -> PasswordOffer:
        _withdraw_links(session, user)
        token, expires_at = secrets.token_urlsafe(32), self._now() + LINK_LIFE
        session.add(PasswordLink(token_hash=hashed_token(token), user_id=user.id, expires_at=expires_at))
        session.flush()
        return PasswordOffer(self._record(user), token, expires_at)

    def _owner(self, session: Session, token: str) -> User:
        """Whose link it is; where the database knows how, nobody else uses it until the transaction ends."""
        wanted = PasswordLink.token_hash == hashed_token(token[:_MAX_TOKEN_LENGTH])
        link = session.scalars(select(PasswordLink).where(wanted).with_for_update()).first()
        user = session.get(User, link.user_id) if link is not None and link.expires_at > self._now() else None
        if user is None or user.disabled:
            raise NotFound(_("This link is no longer valid. Ask an administrator for a new one."))
        return user

    def _record(self, user: User) -> UserRecord:
        return UserRecord(
            id=user.id,
            username=user.username,
            email=user.email,
            role=user.role,
            role_name=user.custom_role.name if user.custom_role else "",
            scope=scope_from_json(user.scope),
            state=self._state(user),
            created_at=user.created_at,
            last_sign_in_at=user.last_sign_in_at,
            version=user.version,
            display_name=user.display_name,
            second_factor=user.second_factor_at is not None,
            language=user.language,
            time_zone=user.time_zone,
        )

    def _state(self, user: User) -> UserState:
        if user.disabled:
            return "disabled"
        if not user.password_hash:
            return "invited"
        return "locked" if self._auth.is_locked(user) else "active"


def _checked(roles: Roles, actor: Actor, draft: UserDraft) -> RowScope:
    """The draft's scope, if all of the draft can be kept. Raises InvalidInput, and PermissionDenied for a role beyond the actor."""
    permissions = granted_by(roles, draft.role)
    actor.demand_no_less(permissions)
    if draft.email and (problem := email_form(draft.email)):
        raise InvalidInput(problem, field="email")
    scope = checked_scope(draft.scope)
    if scope and Permission.USERS_MANAGE in permissions:
        words = _("An administrator sees everything. Choose another role, or no limits on rows.")
        raise InvalidInput(words, field="role")
    return scope


def _for_change(session: Session, actor: Actor, roles: Roles, user_id: int, version: int, *, managing: bool) -> User:
    """The user to be changed, as of `version`. `managing`: the user is one of those who manage users afterwards.

    All of those are locked, whoever is changed: of two changes at once, the second waits and sees what the first has left.

    Raises:
        NotFound, PermissionDenied, StaleVersion, Conflict: as `UserService.change` says.
    """
    alone = nobody_would_manage(session, roles, roles, user_id)
    user = user_within(session, actor, user_id)
    if user.version != version:
        raise StaleVersion(
            _(
                "{name} was changed by somebody else in the meantime. Look at it as it is now, then decide.",
                name=user.username,
            )
        )
    if alone and not managing:
        raise Conflict(_("{name} is the last administrator. Make somebody else one first.", name=user.username))
    return user


def _demand_other(actor: Actor, user: User) -> None:
    """Raise Conflict for the actor's own account: one call by mistake would end all that it is needed for."""
    if user.id == actor.user_id:
        raise Conflict(_("This is your own account. Another administrator can disable or delete it."))


def _withdraw_links(session: Session, user: User) -> None:
    session.execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))


def _told(user: User) -> dict[str, Any]:
    """What the audit log tells of a user."""
    role = user.custom_role.name if user.custom_role else user.role
    return {"role": role, "email": user.email, "scope": dict(scope_from_json(user.scope))}
