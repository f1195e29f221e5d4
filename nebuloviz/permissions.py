"""Who may do what: one enum of permissions, the ready-made roles, and the decorator that enforces them.

Both edges refuse what they do not know: a page, callback or route that declares no permission is not served. Services check once more,
by `@require` on each method, whoever calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Concatenate, ParamSpec, TypeVar

from nebuloviz.errors import PermissionDenied
from nebuloviz.i18n import gettext as _


class Permission(StrEnum):
    """`subject:action`, alphabetical."""

    ALERTS_MANAGE = "alerts:manage"
    ALERTS_READ = "alerts:read"
    AUDIT_READ = "audit:read"
    DATA_READ = "data:read"
    SALES_READ = "sales:read"
    SALES_WRITE = "sales:write"
    SETTINGS_MANAGE = "settings:manage"
    STREAM_MANAGE = "stream:manage"
    STREAM_READ = "stream:read"
    USERS_MANAGE = "users:manage"


#: Row scope: dimension slug -> the values that may be seen, both in a fixed order; empty means all rows.
RowScope = tuple[tuple[str, tuple[str, ...]], ...]

#: What can be confined to rows. The stream with its rejected records, files, users and the audit log cannot, so whoever has a
#: row scope does not get to them, whatever the role says.
SCOPABLE = frozenset({Permission.ALERTS_MANAGE, Permission.ALERTS_READ, Permission.DATA_READ, Permission.SALES_READ})

_VIEWER = frozenset({Permission.ALERTS_READ, Permission.DATA_READ})
_ANALYST = _VIEWER | {Permission.ALERTS_MANAGE, Permission.SALES_READ, Permission.STREAM_READ}
_DATA_SCIENTIST = _ANALYST | {Permission.SALES_WRITE}

#: Slug of a ready-made role -> what it may do. Slugs are stored with the users; roles of one's own stand in the database.
ROLES: dict[str, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "analyst": _ANALYST,
    "data_scientist": _DATA_SCIENTIST,
    "admin": frozenset(Permission),
}


#: What is of no use without something else. Whatever a role of one's own is given, it is given with what that needs.
NEEDED: dict[Permission, Permission] = {
    Permission.ALERTS_MANAGE: Permission.ALERTS_READ,
    Permission.STREAM_MANAGE: Permission.STREAM_READ,
}


def complete(permissions: Iterable[Permission]) -> frozenset[Permission]:
    """`permissions` with what they need; reading data, which the frame around every page does, is part of every role.

    >>> sorted(complete([Permission.ALERTS_MANAGE]))
    [<Permission.ALERTS_MANAGE: 'alerts:manage'>, <Permission.ALERTS_READ: 'alerts:read'>, <Permission.DATA_READ: 'data:read'>]
    """
    chosen = frozenset(permissions)
    return chosen | {NEEDED[item] for item in chosen if item in NEEDED} | {Permission.DATA_READ}


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf something is done. `scope` names what rows the actor may see; empty means all of them.

    `looking`: somebody else looks through this actor's eyes, and nothing may be changed.
    """

    user_id: int
    username: str
    role: str
    permissions: frozenset[Permission]
    scope: RowScope = ()
    looking: bool = False

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def demand(self, permission: Permission) -> None:
        """Raise PermissionDenied unless the role includes `permission`."""
        if not self.may(permission):
            raise PermissionDenied(
                _(
                    "Your role does not include the permission {permission}. Ask an administrator for it.",
                    permission=permission,
                )
            )

    def demand_no_less(self, permissions: Iterable[Permission]) -> None:
        """Raise PermissionDenied unless the actor may all of `permissions`: nobody gives, or takes over, more than they have."""
        more = sorted(set(permissions) - self.permissions)
        if more:
            raise PermissionDenied(
                _(
                    "That includes {permissions}, which you do not have yourself. Ask somebody who does.",
                    permissions=", ".join(more),
                )
            )


#: The operator at the command line, who can reach the database anyway: all permissions, no scope. No request is answered as this.
SYSTEM = Actor(user_id=0, username="system", role="system", permissions=frozenset(Permission))


_P = ParamSpec("_P")
_R = TypeVar("_R")
_Self = TypeVar("_Self")
_Session = TypeVar("_Session")


def require(
    permission: Permission,
) -> Callable[
    [Callable[Concatenate[_Self, _Session, Actor, _P], _R]], Callable[Concatenate[_Self, _Session, Actor, _P], _R]
]:
    """Guard a service method `(self, session, actor, ...)`: an actor without `permission` gets `PermissionDenied`."""

    def decorate(
        method: Callable[Concatenate[_Self, _Session, Actor, _P], _R],
    ) -> Callable[Concatenate[_Self, _Session, Actor, _P], _R]:
        @functools.wraps(method)
        def guarded(self: _Self, session: _Session, actor: Actor, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            actor.demand(permission)
            return method(self, session, actor, *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]  # read by `required_permission` below
        return guarded

    return decorate


def required_permission(method: Callable[..., object]) -> Permission | None:
    """The permission that `@require` put on a method, or None where there is none."""
    return getattr(method, "required_permission", None)
