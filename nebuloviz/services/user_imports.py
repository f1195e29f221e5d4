"""Many users at once, created one by one as an administrator would."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, InvalidInput, NebuloVizError
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.registry import dimension as dimension_of
from nebuloviz.permissions import SYSTEM, Actor, Permission, require
from nebuloviz.services.interfaces import (
    AuditAction,
    AuditService,
    DataService,
    ImportedUser,
    RoleService,
    RoleView,
    UserDraft,
    UserImportService,
    UserService,
)
from nebuloviz.services.passwords import name_key
from nebuloviz.services.shown import role_words
from nebuloviz.services.user_files import UserRow, read_users

_SHOWN = 256  # characters of a cell that was refused
_Take = Callable[[str, UserDraft], ImportedUser]


class DatabaseUserImports(UserImportService):
    """The `UserImportService` on top of users and roles."""

    def __init__(self, users: UserService, roles: RoleService, audit: AuditService, data: DataService) -> None:
        self._users = users
        self._data = data
        self._roles = roles
        self._audit = audit

    @require(Permission.USERS_MANAGE)
    def preview(self, session: Session, actor: Actor, data: bytes) -> Sequence[ImportedUser]:
        seen: set[str] = set()

        def check(username: str, draft: UserDraft) -> ImportedUser:
            scope = self._users.check(session, actor, username, draft)
            key = name_key(username)
            if key in seen:
                raise Conflict(_("{name} appears twice in the file.", name=username))
            seen.add(key)
            return ImportedUser(0, username, draft.email, draft.role, scope=scope)

        return self._each(session, actor, data, check)

    @require(Permission.USERS_MANAGE)
    def run(self, session: Session, actor: Actor, data: bytes) -> Sequence[ImportedUser]:
        def create(username: str, draft: UserDraft) -> ImportedUser:
            with session.begin_nested():
                offer = self._users.create(session, actor, username, draft)
            user = offer.user
            return ImportedUser(
                0,
                user.username,
                user.email,
                user.role,
                scope=user.scope,
                token=offer.token,
                expires_at=offer.expires_at,
            )

        answers = self._each(session, actor, data, create)
        refused = sum(bool(answer.problem) for answer in answers)
        told = {"created": len(answers) - refused, "refused": refused}
        self._audit.record(session, actor, AuditAction.USERS_IMPORTED, after=told)
        return answers

    def _each(self, session: Session, actor: Actor, data: bytes, take: _Take) -> Sequence[ImportedUser]:
        rows = read_users(data)
        roles = self._roles.list(session, actor)
        called = {name_key(words): role for role in roles for words in _called(role)}

        @functools.cache
        def values(dimension: str) -> set[str]:
            """All that sales have; whoever manages users has no scope, and a token for that alone need not read figures."""
            return {value for value, _label in self._data.values(session, SYSTEM, dimension, "", sys.maxsize)}

        return [_answer(row, called, values, take) for row in rows]


def _called(role: RoleView) -> tuple[str, str]:
    """What a file may call a role: the slug, or the name that the reader sees."""
    return role_words(role.slug, role.name), role.slug


def _demand_known(scope: Mapping[str, Sequence[str]], known: Callable[[str], set[str]]) -> None:
    """Raise InvalidInput for a value that no sale has: misspelt, it would leave the user with nothing, and nobody would notice."""
    for dimension, values in scope.items():
        for value in values:
            if value not in known(dimension):
                label = dimension_of(dimension).label
                raise InvalidInput(
                    _("{dimension}: there is no {value} among the sales.", dimension=label, value=value[:_SHOWN])
                )


def _answer(
    row: UserRow, roles: Mapping[str, RoleView], values: Callable[[str], set[str]], take: _Take
) -> ImportedUser:
    role = roles.get(name_key(row.role))
    refused = ImportedUser(
        row.line,
        row.username[:_SHOWN],
        row.email[:_SHOWN],
        role.slug if role else row.role[:_SHOWN],
        role.name if role else "",
    )
    try:
        if row.problem:
            raise InvalidInput(row.problem)
        if role is None:
            raise InvalidInput(_("There is no role called {name}.", name=row.role[:_SHOWN] or "''"))
        _demand_known(row.scope, values)
        answer = take(row.username, UserDraft(role.slug, row.email, row.scope))
    except NebuloVizError as error:
        return replace(refused, problem=error.message)
    return replace(answer, line=row.line, role_name=role.name)
