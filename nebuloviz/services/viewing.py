"""Looking through a user's eyes: a mark on a browser session, or in a token."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, NotSignedIn
from nebuloviz.i18n import gettext as _
from nebuloviz.models import BrowserSession, User
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.interfaces import AuditAction, AuditService, ViewingService, ViewToken
from nebuloviz.services.sign_ins import hashed_token
from nebuloviz.services.user_rows import subject_of, user_within, view_of


class DatabaseViewing(ViewingService):
    """The `ViewingService`; what a marked session sees is for `DatabaseAuth.user_of_session` to say."""

    def __init__(self, auth: DatabaseAuth, audit: AuditService) -> None:
        self._auth = auth
        self._audit = audit

    @require(Permission.USERS_MANAGE)
    def start(self, session: Session, actor: Actor, token: str, user_id: int) -> None:
        user = _visible(session, actor, user_id)
        row = session.get(BrowserSession, hashed_token(token))
        if row is None or row.user_id != actor.user_id:
            raise NotSignedIn(_("Please sign in."))
        self._audit.record(session, actor, AuditAction.VIEW_STARTED, subject_of(user))
        row.viewed_user_id = user.id

    @require(Permission.USERS_MANAGE)
    def token(self, session: Session, actor: Actor, access_token: str, user_id: int) -> ViewToken:
        user = _visible(session, actor, user_id)
        made = self._auth.bearer_tokens.view(session, actor, access_token, user.id)
        self._audit.record(session, actor, AuditAction.VIEW_STARTED, subject_of(user), after={"by": "api"})
        return made

    def stop(self, session: Session, token: str) -> int:
        row = session.get(BrowserSession, hashed_token(token))
        if row is None or row.viewed_user_id is None:
            raise Conflict(_("You are not viewing as another user."))
        viewed, row.viewed_user_id = row.viewed_user_id, None
        viewer, user = session.get_one(User, row.user_id), session.get(User, viewed)
        subject = subject_of(user) if user else ""
        self._audit.record(session, self._auth.actor(view_of(viewer)), AuditAction.VIEW_ENDED, subject)
        return viewed


def _visible(session: Session, actor: Actor, user_id: int) -> User:
    user = user_within(session, actor, user_id)
    if user.disabled or user.id == actor.user_id:
        raise Conflict(_("You cannot view as {name}: that user is disabled, or you.", name=user.username))
    return user


def end_views(session: Session, auth: DatabaseAuth, audit: AuditService, user: User) -> None:
    """End the sessions that look through the eyes of a user who is shut out: else an open page would be another one's suddenly."""
    looking = select(BrowserSession, User).join(User, User.id == BrowserSession.user_id)
    for row, viewer in session.execute(looking.where(BrowserSession.viewed_user_id == user.id)).all():
        audit.record(session, auth.actor(view_of(viewer)), AuditAction.VIEW_ENDED, subject_of(user))
        session.execute(delete(BrowserSession).where(BrowserSession.token_hash == row.token_hash))
