"""What browser sessions and API tokens have in common: how secrets are stored, and what is recorded of a sign-in."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from nebuloviz.models import User
from nebuloviz.services.interfaces import AuditAction, AuditService, UserView, Visitor
from nebuloviz.services.user_rows import actor_of

_MAX_AGENT_LENGTH = 300
_ID_LENGTH = 16


def hashed_token(token: str) -> str:
    """The SHA-256 by which a secret is stored: enough for random secrets, which nobody can guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def session_id_of(secret: str) -> str:
    """The id of a session in lists: the beginning of its hash or family, which tells it apart but does not open it."""
    return secret[:_ID_LENGTH]


def visitor_columns(visitor: Visitor) -> dict[str, str]:
    """`address` and `user_agent` as the tables keep them: printable, and no longer than their columns."""
    agent = "".join(letter for letter in visitor.user_agent if letter.isprintable())
    return {"address": visitor.address, "user_agent": agent[:_MAX_AGENT_LENGTH]}


def note_sign_in(session: Session, audit: AuditService, user: UserView, by: str, now: datetime) -> None:
    """Record a sign-in with the user and in the audit log; `by` is "browser" or "api"."""
    session.execute(update(User).where(User.id == user.id).values(last_sign_in_at=now))
    audit.record(session, actor_of(user), AuditAction.SIGN_IN, after={"by": by})
