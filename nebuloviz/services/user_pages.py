"""Users in pages. A page begins behind the last user of the one before (keyset), so that nobody is told twice or left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.orm import Session

from nebuloviz.models import EPOCH, User, UtcDateTime, microseconds
from nebuloviz.services.interfaces import UserFilter
from nebuloviz.services.paging import bad_cursor, cursor_of, parts_of
from nebuloviz.services.passwords import name_key

_READ_AT_ONCE = 200


@dataclass(frozen=True)
class _Order:
    """What users are ordered by, before their names: times the newest first."""

    key: ColumnElement[Any]
    of_times: bool = False

    def begun_behind(self, value: str | datetime, name: str) -> ColumnElement[bool]:
        """Those that come after the user of that `value` and that name."""
        at = literal(value, self.key.type)
        beyond = self.key < at if self.of_times else self.key > at
        return or_(beyond, and_(self.key == at, User.name_key > name))


_BY_NAME = _Order(User.name_key.expression)
_ORDERS: Mapping[str, _Order] = {
    "name": _BY_NAME,
    "role": _Order(User.role.expression),
    "created": _Order(User.created_at.expression, of_times=True),
    "signed_in": _Order(
        func.coalesce(User.last_sign_in_at, literal(EPOCH, UtcDateTime()), type_=UtcDateTime()), of_times=True
    ),
}


def users_behind(session: Session, which: UserFilter, cursor: str | None) -> Iterator[User]:
    """All users of search and role behind `cursor`, in their order, read as far as they are asked for.

    Raises:
        InvalidInput: no page of this order gave the cursor.
    """
    order = _ORDERS.get(which.order, _BY_NAME)
    statement = _searched(which).order_by(order.key.desc() if order.of_times else order.key, User.name_key)
    while True:
        rest = statement if cursor is None else statement.where(order.begun_behind(*_position(cursor, which.order)))
        users: Sequence[User] = session.scalars(rest.limit(_READ_AT_ONCE)).all()
        yield from users
        if len(users) < _READ_AT_ONCE:
            return
        cursor = cursor_behind(users[-1], which.order)


def cursor_behind(user: User, order: str) -> str:
    """Where a page of that order goes on which ended with `user`."""
    values: dict[str, str | int] = {
        "role": user.role,
        "created": microseconds(user.created_at),
        "signed_in": microseconds(user.last_sign_in_at or EPOCH),
    }
    return cursor_of(order, values.get(order, user.name_key), user.name_key)


def _searched(which: UserFilter) -> Select[User]:
    users = select(User)
    if which.role:
        users = users.where(User.role == which.role)
    wanted = which.search.replace("\x00", "")
    if not wanted:
        return users
    return users.where(
        or_(
            User.name_key.contains(name_key(wanted), autoescape=True),
            User.email.icontains(wanted, autoescape=True),
            User.display_name.icontains(wanted, autoescape=True),
        )
    )


def _position(cursor: str, order: str) -> tuple[str | datetime, str]:
    """The value ordered by, and the name, of the user that the page before ended with."""
    try:
        made_for, value, name = parts_of(cursor)
        timed = _ORDERS.get(order, _BY_NAME).of_times
        if made_for != order or not isinstance(value, int if timed else str) or not isinstance(name, str):
            raise ValueError
        return (EPOCH + timedelta(microseconds=value) if isinstance(value, int) else value), name
    except (ValueError, OverflowError):
        raise bad_cursor() from None
