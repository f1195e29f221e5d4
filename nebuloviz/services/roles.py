"""Roles of one's own, in the database beside the ready-made ones of the program."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, InvalidInput, NotFound, StaleVersion
from nebuloviz.i18n import gettext as _
from nebuloviz.models import CustomRole, User
from nebuloviz.permissions import ROLES, Actor, Permission, complete, require
from nebuloviz.services.interfaces import AuditAction, AuditService, RoleDraft, RoleService, RoleView
from nebuloviz.services.passwords import name_key
from nebuloviz.services.role_rows import lock_roles, nobody_would_manage, permissions_from_text
from nebuloviz.services.shown import role_words

MAX_ROLES = 50
MAX_NAME_LENGTH, MAX_DESCRIPTION_LENGTH = 60, 300
_MAX_SLUG_LENGTH = 40


class DatabaseRoles(RoleService):
    """The `RoleService` over our own table."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit

    @require(Permission.USERS_MANAGE)
    def list(self, session: Session, actor: Actor) -> Sequence[RoleView]:  # noqa: ARG002 - `require` looks at the actor
        holders = _holders(session)
        ready = [_ready_made(slug, holders) for slug in ROLES]
        own = session.scalars(select(CustomRole).order_by(CustomRole.name_key))
        return [*ready, *(_view(row, holders) for row in own)]

    @require(Permission.USERS_MANAGE)
    def get(self, session: Session, actor: Actor, slug: str) -> RoleView:  # noqa: ARG002 - as above
        holders = _holders(session)
        return _ready_made(slug, holders) if slug in ROLES else _view(_row(session, slug), holders)

    @require(Permission.USERS_MANAGE)
    def create(self, session: Session, actor: Actor, draft: RoleDraft) -> RoleView:
        name, permissions = _checked(actor, draft)
        roles = lock_roles(session)
        if len(roles) - len(ROLES) >= MAX_ROLES:
            raise Conflict(_("There are {limit} roles already; delete one first.", limit=MAX_ROLES))
        row = CustomRole(
            slug=_slug(name, roles),
            name=name,
            name_key=name_key(name),
            description=draft.description.strip(),
            permissions=permissions,
        )
        _store(session, row)
        self._audit.record(session, actor, AuditAction.ROLE_CREATED, _subject(row), after=_told(row))
        return _view(row, {})

    @require(Permission.USERS_MANAGE)
    def change(self, session: Session, actor: Actor, slug: str, version: int, draft: RoleDraft) -> RoleView:
        name, permissions = _checked(actor, draft)
        roles = lock_roles(session)
        row = _for_change(session, actor, slug, version)
        if nobody_would_manage(session, roles, {**roles, slug: permissions_from_text(permissions)}):
            raise Conflict(_("Nobody would be left to manage users. Make somebody else an administrator first."))
        before, kept = _told(row), (row.name, row.permissions, row.description)
        if kept == (name, permissions, draft.description.strip()):
            return _view(row, _holders(session))
        row.name, row.name_key, row.permissions = name, name_key(name), permissions
        row.description = draft.description.strip()
        row.version += 1
        _store(session, row)
        self._audit.record(session, actor, AuditAction.ROLE_CHANGED, _subject(row), before=before, after=_told(row))
        return _view(row, _holders(session))

    @require(Permission.USERS_MANAGE)
    def delete(self, session: Session, actor: Actor, slug: str, version: int) -> None:
        lock_roles(session)
        row = _for_change(session, actor, slug, version)
        holders = _holders(session).get(slug, 0)
        if holders:
            raise Conflict(_("Some users have this role. Give them another one first."))
        self._audit.record(session, actor, AuditAction.ROLE_DELETED, _subject(row), before=_told(row))
        session.execute(delete(CustomRole).where(CustomRole.slug == slug))


def _holders(session: Session) -> Mapping[str, int]:
    """Slug -> how many users have the role."""
    counted = session.execute(select(User.role, func.count()).group_by(User.role))
    return {str(role): int(number) for role, number in counted}


def _row(session: Session, slug: str) -> CustomRole:
    """The role as stored now. Raises NotFound, and Conflict for a ready-made one."""
    if slug in ROLES:
        raise Conflict(_("A ready-made role cannot be changed. Copy it, and change the copy."))
    row = session.get(CustomRole, slug, populate_existing=True) if slug.isprintable() else None
    if row is None:
        raise NotFound(_("There is no such role any more."))
    return row


def _for_change(session: Session, actor: Actor, slug: str, version: int) -> CustomRole:
    row = _row(session, slug)
    actor.demand_no_less(permissions_from_text(row.permissions))
    if row.version != version:
        raise StaleVersion(
            _(
                "{name} was changed by somebody else in the meantime. Look at it as it is now, then decide.",
                name=row.name,
            )
        )
    return row


def _checked(actor: Actor, draft: RoleDraft) -> tuple[str, str]:
    """The name, and the permissions as they are stored. Raises InvalidInput, PermissionDenied."""
    name = draft.name.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(_("A role needs a name of at most {limit} characters.", limit=MAX_NAME_LENGTH), field="name")
    if name_key(name) in {name_key(words) for slug in ROLES for words in (slug, role_words(slug))}:
        raise Conflict(_("There is a role called {name} already.", name=name), field="name")
    description = draft.description.strip()
    if len(description) > MAX_DESCRIPTION_LENGTH or not all(each.isprintable() for each in description):
        raise InvalidInput(
            _("A description is a line of at most {limit} characters.", limit=MAX_DESCRIPTION_LENGTH),
            field="description",
        )
    permissions = complete(draft.permissions)
    actor.demand_no_less(permissions)
    return name, " ".join(sorted(permissions))


def _slug(name: str, taken: Collection[str]) -> str:
    """The name in the letters of programs, unlike all that are taken.

    >>> _slug("Régional lead (EU)", ["regional_lead_eu"]), _slug("مدير", [])
    ('regional_lead_eu_2', 'role')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    stem = (words if words[:1].isalpha() else f"role_{words}".rstrip("_"))[:_MAX_SLUG_LENGTH].rstrip("_")
    candidates = (stem if number == 1 else f"{stem}_{number}" for number in count(1))
    return next(slug for slug in candidates if slug not in {*taken, "new", "system"})


def _store(session: Session, row: CustomRole) -> None:
    """Raises Conflict where the name, or a twin by case or Unicode form, exists."""
    name = row.name
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        raise Conflict(_("There is a role called {name} already.", name=name), field="name") from None


def _ready_made(slug: str, holders: Mapping[str, int]) -> RoleView:
    return RoleView(
        slug=slug,
        name="",
        description="",
        permissions=tuple(sorted(ROLES[slug])),
        ready_made=True,
        holders=holders.get(slug, 0),
        version=0,
    )


def _view(row: CustomRole, holders: Mapping[str, int]) -> RoleView:
    return RoleView(
        slug=row.slug,
        name=row.name,
        description=row.description,
        permissions=tuple(sorted(permissions_from_text(row.permissions))),
        ready_made=False,
        holders=holders.get(row.slug, 0),
        version=row.version,
    )


def _subject(row: CustomRole) -> str:
    return f"role {row.name}"


def _told(row: CustomRole) -> dict[str, Any]:
    """What the audit log tells of a role."""
    return {"name": row.name, "description": row.description, "permissions": row.permissions.split()}
