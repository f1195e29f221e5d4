"""The stored lines of orders that get more of them.

Facts are partitioned by month, and no index spans partitions: an order would have to be looked for in each. So it is noted of each
order between which days its lines lie. Most orders of a batch are new, which one look-up tells of all of them; those that are not
are looked for only where they can be.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from nebuloviz.db import insert
from nebuloviz.ingest.loading import among, load, table_of
from nebuloviz.ingest.tally import OlderLine
from nebuloviz.models import EPOCH, OrderDays, SaleRow

_Days = tuple[int, int]  # the first and the last
_COLUMNS = ("order_id", "first_day", "last_day")
_ORDER_DAYS = table_of(OrderDays)
_SALE = table_of(SaleRow)
_EPOCH_ORDINAL = EPOCH.toordinal()


def older_lines(connection: Connection, sales: Mapping[str, Sequence[Any]]) -> list[OlderLine]:
    """The stored lines of the orders of `sales`, given as columns, and note where these will be. Writers take turns."""
    days = _days(sales["order_id"], sales["sold_at"])
    noted = _ORDER_DAYS.c
    found = select(noted.order_id, noted.first_day, noted.last_day).where(
        among(connection, noted.order_id, sorted(days))
    )
    known = {order: (first, last) for order, first, last in connection.execute(found)}
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
        load(connection, _ORDER_DAYS, dict(zip(_COLUMNS, zip(*new, strict=True), strict=True)))
    wider = {order: _widened(span, days[order]) for order, span in known.items()}
    grown = sorted((order, *span) for order, span in wider.items() if span != known[order])
    if grown:
        noted = insert(connection, _ORDER_DAYS)
        told = {name: noted.excluded[name] for name in _COLUMNS[1:]}
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in grown]
        connection.execute(noted.on_conflict_do_update(index_elements=["order_id"], set_=told), rows)


def _widened(one: _Days, other: _Days) -> _Days:
    return min(one[0], other[0]), max(one[1], other[1])


def _lines(connection: Connection, known: Mapping[str, _Days]) -> list[OlderLine]:
    first, last = functools.reduce(_widened, known.values())
    line = _SALE.c
    possible = (line.sold_at >= EPOCH + timedelta(days=first)) & (line.sold_at < EPOCH + timedelta(days=last + 1))
    columns = [line[name] for name in OlderLine._fields]
    found = select(*columns).where(among(connection, line.order_id, sorted(known)), possible)
    return [OlderLine(*row) for row in connection.execute(found)]
