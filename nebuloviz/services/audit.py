"""The audit log in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.errors import ViewOnly
from nebuloviz.i18n import gettext as _
from nebuloviz.models import EPOCH, MAX_ID, AuditEntry, microseconds
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.interfaces import AuditAction, AuditEntryView, AuditFilter, AuditPage, AuditService
from nebuloviz.services.paging import bad_cursor, page_size

_MAX_ADDRESS_LENGTH = 64
_MAX_SUBJECT_LENGTH = 1_000
_MAX_CHARACTERS = 20_000  # of what was before, and of what is after
_MAX_CURSOR_LENGTH = 40

_address: ContextVar[str] = ContextVar("nebuloviz_address", default="")


def set_address(address: str) -> None:
    """Say from where the rest of this request comes. For the edges; what has no request comes from nowhere."""
    _address.set("".join(letter for letter in address if letter.isprintable())[:_MAX_ADDRESS_LENGTH])


def view_only() -> ViewOnly:
    """What somebody is told who looks through another's eyes and would change something."""
    return ViewOnly(_("You are viewing as another user: nothing can be changed or downloaded."))


class DatabaseAudit(AuditService):
    """The `AuditService` over `audit_entry`, whose triggers hold the promise that nothing changes."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now

    def record(
        self,
        session: Session,
        actor: Actor,
        action: AuditAction,
        subject: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        if actor.looking:  # whatever forgot to ask: what is worth an entry is a change
            raise view_only()
        session.add(
            AuditEntry(
                at=self._now(),
                user_id=actor.user_id,
                username=actor.username,
                address=_address.get(),
                action=str(action),
                subject=subject[:_MAX_SUBJECT_LENGTH],
                before=_text(before),
                after=_text(after),
            )
        )
        session.flush()

    @require(Permission.AUDIT_READ)
    def entries(
        self,
        session: Session,
        actor: Actor,  # noqa: ARG002 - `require` looks at it
        which: AuditFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AuditPage:
        limit = page_size(limit)
        conditions = _conditions(which or AuditFilter())
        if cursor is not None:
            at, number = _position(cursor)
            conditions.append(or_(AuditEntry.at < at, and_(AuditEntry.at == at, AuditEntry.id < number)))
        newest_first = (AuditEntry.at.desc(), AuditEntry.id.desc())
        rows = session.scalars(select(AuditEntry).where(*conditions).order_by(*newest_first).limit(limit + 1)).all()
        more = len(rows) > limit
        return AuditPage(tuple(_view(row) for row in rows[:limit]), _cursor(rows[limit - 1]) if more else None)


def _conditions(which: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if which.search and "\x00" not in which.search:
        fields = (AuditEntry.username, AuditEntry.subject, AuditEntry.address)
        conditions.append(or_(*(field.icontains(which.search, autoescape=True) for field in fields)))
    if which.action:
        conditions.append(AuditEntry.action == which.action)
    if which.start:
        conditions.append(AuditEntry.at >= which.start)
    if which.end:
        conditions.append(AuditEntry.at < which.end)
    return conditions


def _cursor(row: AuditEntry) -> str:
    return f"{microseconds(row.at)}-{row.id}"


def _position(cursor: str) -> tuple[datetime, int]:
    at, _dash, number = cursor.partition("-")
    if len(cursor) > _MAX_CURSOR_LENGTH or not (cursor.isascii() and at.isdigit() and number.isdigit()):
        raise bad_cursor()
    try:
        return EPOCH + timedelta(microseconds=int(at)), min(int(number), MAX_ID)
    except OverflowError:
        raise bad_cursor() from None


def _text(values: Mapping[str, Any] | None) -> str:
    """As JSON. Of what is too long, texts and lists lose their ends until it fits, and `cut` says so: it can be a stranger's."""
    text, most = _json(values) if values else "", _MAX_CHARACTERS
    while len(text) > _MAX_CHARACTERS:
        most //= 2
        text = _json({**_cut(values, most), "cut": True})
    return text


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, default=str)


def _cut(value: Any, most: int) -> Any:
    """`value` with texts of at most `most` characters, and lists and objects of so many parts."""
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, Mapping):
        return {str(name)[:most]: _cut(part, most) for name, part in list(value.items())[:most]}
    if isinstance(value, list | tuple):
        return [_cut(part, most) for part in value[:most]]
    return value


def _view(row: AuditEntry) -> AuditEntryView:
    return AuditEntryView(
        id=row.id,
        at=row.at,
        username=row.username,
        address=row.address,
        action=row.action,
        subject=row.subject,
        before=json.loads(row.before or "{}"),
        after=json.loads(row.after or "{}"),
    )
