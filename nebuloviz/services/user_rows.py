"""Users as they are stored, for the services that look after them: those there are, those an actor may look after, and a new one."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.models import MAX_ID, User
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import user_subject
from nebuloviz.services.role_rows import granted


def stored_user(session: Session, user_id: int) -> User:
    """The user as stored now. Raises NotFound."""
    inside = 0 < user_id <= MAX_ID
    user = session.get(User, user_id, populate_existing=True) if inside else None
    if user is None:
        raise NotFound(_("There is no such user any more."))
    return user


def user_within(session: Session, actor: Actor, user_id: int) -> User:
    """The user, who may nothing that the actor may not: else a new password would be a way to more.

    Raises:
        NotFound, PermissionDenied: there is none; or one who may more.
    """
    user = stored_user(session, user_id)
    actor.demand_no_less(granted(user))
    return user


def subject_of(user: User) -> str:
    return user_subject(user.username)


def add_user(session: Session, user: User) -> None:
    """Store a new user. Raises Conflict where the name, or a twin by case or Unicode form, exists."""
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise twin(user.username) from None


def twin(username: str) -> Conflict:
    """What stands in the way of a name that somebody has."""
    return Conflict(_("There is a user called {name} already.", name=username), field="username")
