"""Browser sessions in the database: a secret in a cookie, of which only the hash is stored, with an idle and an absolute end."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nebuloviz.models import BrowserSession, User
from nebuloviz.services.interfaces import NOWHERE, AuditAction, AuditService, UserView, Visitor
from nebuloviz.services.interfaces.installation import Live
from nebuloviz.services.sign_ins import hashed_token, note_sign_in, session_id_of, visitor_columns
from nebuloviz.services.user_rows import actor_of, seen_through, subject_of, view_of


class BrowserSessions:
    """What `AuthService` promises of browser sessions.

    A session expires at the earlier of its absolute end and the end of its idle time. It is void at once when its user's
    `sign_in_epoch` has moved on, or the user is disabled. Lifetimes are read from `live` each time, the time from `now`.
    """

    def __init__(self, live: Live, audit: AuditService, now: Callable[[], datetime]) -> None:
        self._live = live
        self._audit = audit
        self._now = now

    @property
    def _life(self) -> timedelta:
        return timedelta(hours=self._live().session_hours)

    @property
    def _idle_life(self) -> timedelta:
        return timedelta(minutes=self._live().session_idle_minutes)

    def start(self, session: Session, user: UserView, visitor: Visitor = NOWHERE) -> str:
        """See `AuthService.start_session`."""
        token, now = secrets.token_urlsafe(32), self._now()
        session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
        row = BrowserSession(
            token_hash=hashed_token(token),
            user_id=user.id,
            epoch=user.epoch,
            created_at=now,
            expires_at=now + min(self._idle_life, self._life),
            last_used_at=now,
            **visitor_columns(visitor),
        )
        session.add(row)
        note_sign_in(session, self._audit, user, "browser", now)
        return token

    def user_of(self, session: Session, token: str) -> UserView | None:
        """See `AuthService.user_of_session`."""
        found = self._valid(session, token)
        if found is None:
            return None
        row, user = found
        own = replace(view_of(user), session_id=session_id_of(row.token_hash))
        return own if row.viewed_user_id is None else seen_through(session, row.viewed_user_id, own)

    def touch(self, session: Session, token: str, visitor: Visitor = NOWHERE) -> None:
        """See `AuthService.touch_session`."""
        row, now = session.get(BrowserSession, hashed_token(token)), self._now()
        if row is not None and row.expires_at > now:
            row.expires_at = min(now + self._idle_life, row.created_at + self._life)
            row.last_used_at = now
            row.address, row.user_agent = visitor_columns(visitor).values()
            session.flush()

    def end(self, session: Session, token: str) -> None:
        """See `AuthService.end_session`."""
        found = self._valid(session, token)
        if found is not None:
            row, user = found
            actor = actor_of(view_of(user))
            viewed = session.get(User, row.viewed_user_id) if row.viewed_user_id is not None else None
            if viewed is not None:
                self._audit.record(session, actor, AuditAction.VIEW_ENDED, subject_of(viewed))
            self._audit.record(session, actor, AuditAction.SIGN_OUT)
        session.execute(delete(BrowserSession).where(BrowserSession.token_hash == hashed_token(token)))

    def _valid(self, session: Session, token: str) -> tuple[BrowserSession, User] | None:
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
