"""Users as they are stored, for the services of users and of sign-ins: looked up, added, and seen as `UserView` and `Actor`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, NotFound
from nebuloviz.i18n import gettext as _
from nebuloviz.models import MAX_ID, User
from nebuloviz.permissions import SCOPABLE, Actor, Permission
from nebuloviz.services.interfaces import UserView, user_subject
from nebuloviz.services.role_rows import granted
from nebuloviz.services.scope import scope_from_json


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


def actor_of(user: UserView) -> Actor:
    """See `AuthService.actor`."""
    permissions = user.granted & SCOPABLE if user.scope else user.granted
    if user.confined_to is not None:
        permissions &= user.confined_to
    return Actor(user.id, user.username, user.role, permissions, user.scope, looking=user.seen_by is not None)


def seen_through(
    session: Session, user_id: int, viewer: UserView, created_before: datetime | None = None
) -> UserView | None:
    """The user as `viewer` sees the program through this user's eyes, in the viewer's own language and colours.

    None where `viewer` may not, or no longer. `created_before`: SQLite gives the id of a deleted user to the next one created,
    who is somebody else; a user created later is not the one who was meant.
    """
    user, actor = session.get(User, user_id), actor_of(viewer)
    if user is None or user.disabled or (created_before is not None and user.created_at >= created_before):
        return None
    if not (actor.may(Permission.USERS_MANAGE) and granted(user) <= actor.permissions):
        return None
    seen = replace(view_of(user), seen_by=viewer, must_change_password=False)
    return replace(seen, language=viewer.language, theme=viewer.theme)
