"""The stored lines of orders that get more of them.

Facts are partitioned by month, and no index spans partitions: an order would have to be looked for in each. So it is noted of each
order between which days its lines lie. Most orders of a batch are new, which one look-up tells of all of them; those that are not
are looked for only where they can be.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import Text

from nebuloviz.db import insert
from nebuloviz.ingest.loading import load
from nebuloviz.ingest.tally import OlderLine
from nebuloviz.models import EPOCH, OrderDays, SaleRow

_Days = tuple[int, int]  # the first and the last
_COLUMNS = ("order_id", "first_day", "last_day")
_EPOCH_ORDINAL = EPOCH.toordinal()


def older_lines(connection: Connection, sales: Mapping[str, Sequence[Any]]) -> list[OlderLine]:
    """The stored lines of the orders of `sales`, given as columns, and note where these will be. Writers take turns."""
    days = _days(sales["order_id"], sales["sold_at"])
    found = select(OrderDays.order_id, OrderDays.first_day, OrderDays.last_day)
    here = connection.execute(found.where(_among(connection, OrderDays.order_id, sorted(days))))
    known = {order: (first, last) for order, first, last in here}
    _note(connection, days, known)
    return _lines(connection, known) if known else []


def _days(orders: Iterable[str], moments: Iterable[datetime]) -> dict[str, _Days]:
    """By order, in UTC and counted from 1970."""
    days: dict[str, _Days] = {}
    for order, moment in zip(orders, moments, strict=True):
        day = moment.toordinal() - _EPOCH_ORDINAL
        first, last = days.setdefault(order, (day, day))
        if not first <= day <= last:
            days[order] = min(first, day), max(last, day)
    return days


def _note(connection: Connection, days: Mapping[str, _Days], known: Mapping[str, _Days]) -> None:
    new = sorted((order, *span) for order, span in days.items() if order not in known)
    if new:
        load(connection, cast("Table", OrderDays.__table__), dict(zip(_COLUMNS, zip(*new, strict=True), strict=True)))
    wider = {order: _widened(span, days[order]) for order, span in known.items()}
    grown = sorted((order, *span) for order, span in wider.items() if span != known[order])
    if grown:
        noted = insert(connection, OrderDays)
        told = {name: noted.excluded[name] for name in _COLUMNS[1:]}
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in grown]
        connection.execute(noted.on_conflict_do_update(index_elements=["order_id"], set_=told), rows)


def _widened(one: _Days, other: _Days) -> _Days:
    return min(one[0], other[0]), max(one[1], other[1])


def _lines(connection: Connection, known: Mapping[str, _Days]) -> list[OlderLine]:
    first, last = functools.reduce(_widened, known.values())
    possible = (SaleRow.sold_at >= EPOCH + timedelta(days=first)) & (SaleRow.sold_at < EPOCH + timedelta(days=last + 1))
    columns = [getattr(SaleRow, name) for name in OlderLine._fields]
    found = select(*columns).where(_among(connection, SaleRow.order_id, sorted(known)), possible)
    return [OlderLine(*row) for row in connection.execute(found)]


def _among(connection: Connection, column: InstrumentedAttribute[str], orders: list[str]) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return column.in_(select(text("value")).select_from(func.json_each(json.dumps(orders))))
    return column == any_(literal(orders, ARRAY(Text)))
