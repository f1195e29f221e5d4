"""Roles as they are stored, for the services of users and of roles: what each includes, and the lock that keeps it so."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.models import CustomRole, User
from nebuloviz.permissions import ROLES, Permission

#: Slug -> what the role includes, of all roles.
Roles = Mapping[str, frozenset[Permission]]


def permissions_from_text(text: str) -> frozenset[Permission]:
    """Those that there still are in this version."""
    known = set(Permission)
    return frozenset(Permission(name) for name in text.split() if name in known)


def granted(user: User) -> frozenset[Permission]:
    """What the user's role includes; nothing of a role that there is not."""
    if user.custom_role is not None:
        return permissions_from_text(user.custom_role.permissions)
    return ROLES.get(user.role, frozenset())


def all_roles(session: Session, *, locked: bool = False) -> Roles:
    """All roles as they are now; `locked`: and until the transaction ends."""
    stored = select(CustomRole.slug, CustomRole.permissions).order_by(CustomRole.slug)
    rows = session.execute(stored.with_for_update() if locked else stored)
    return {**ROLES, **{slug: permissions_from_text(text) for slug, text in rows}}


def lock_roles(session: Session) -> Roles:
    """All roles as they are now, and until the transaction ends.

    Whoever gives a role to a user, or changes a role or somebody who manages users, comes through here first: of two at once
    the second waits, and sees what the first has left.
    """
    return all_roles(session, locked=True)


def granted_by(roles: Roles, slug: str) -> frozenset[Permission]:
    """What one of them includes. Raises InvalidInput for a role that there is not."""
    if slug not in roles:
        raise InvalidInput(_("There is no role {role}; known are {known}.", role=slug[:64], known=", ".join(roles)))
    return roles[slug]


def nobody_would_manage(session: Session, before: Roles, after: Roles, without: int | None = None) -> bool:
    """Whether of all who manage users with the roles `before` none would with those `after`, and without that user.

    Those count who have a password, are not disabled and see all rows; they are locked until the transaction ends. Where there
    are none, none are lost.
    """
    able = User.role.in_(_managing(before)) & ~User.disabled & (User.password_hash != "") & User.scope.in_(("", "{}"))
    found = session.execute(select(User.id, User.role).where(able).order_by(User.id).with_for_update()).all()
    kept = _managing(after)
    return bool(found) and not any(role in kept and user_id != without for user_id, role in found)


def _managing(roles: Roles) -> list[str]:
    return [slug for slug, permissions in roles.items() if Permission.USERS_MANAGE in permissions]
