"""Sale lines in pages. A page begins after the last line of the one before (keyset), so it costs the same however far one scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal, select, tuple_
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics import sql
from nebuloviz.metrics.planner import Slice
from nebuloviz.models import EPOCH, MONEY_SCALE, QUANTITY_SCALE, Product, SaleRow, UtcDateTime, microseconds
from nebuloviz.services.frames import product_names
from nebuloviz.services.interfaces import SaleLine, SalePage
from nebuloviz.services.paging import bad_cursor, cursor_of, parts_of

MAX_LINES = 1_000

_SCALES = {"quantity": QUANTITY_SCALE, "unit_price": MONEY_SCALE, "discount": MONEY_SCALE, "revenue": MONEY_SCALE}
#: What lines can be ordered by: every field of `SaleLine`.
SORTABLE: dict[str, ColumnElement[Any]] = {
    name: func.coalesce(Product.name, "") if name == "product" else SaleRow.__table__.c[name]
    for name in SaleLine.__dataclass_fields__
}


def sale_page(session: Session, asked: Slice, cursor: str | None, limit: int, order: str, total: int) -> SalePage:
    """The lines in the span and filters of `asked`, `limit` of them after `cursor`, by a field of `SaleLine` ('-' descends).

    Raises:
        InvalidInput: the limit, the order or the cursor is none of ours.
    """
    if not 0 < limit <= MAX_LINES:
        raise InvalidInput(_("A page has 1 to {limit} lines.", limit=MAX_LINES))
    if order.removeprefix("-") not in SORTABLE:
        raise InvalidInput(_("Order by one of {known}, with '-' in front for descending.", known=", ".join(SORTABLE)))
    rows = session.execute(_statement(asked, order, _position(cursor, order) if cursor else None, limit + 1)).all()
    names = product_names(session, [row.product_id for row in rows])
    lines = tuple(_line(row, names.get(row.product_id, "")) for row in rows[:limit])
    return SalePage(lines, _cursor(rows[limit - 1], order) if len(rows) > limit else None, total)


def _statement(asked: Slice, order: str, after: Sequence[Any] | None, limit: int) -> Select[Any]:
    sale, (span,) = sql.SALE.c, asked.spans
    by, descending = SORTABLE[order.removeprefix("-")], order.startswith("-")
    keys = [by, sale.sold_at, sale.key]
    statement = select(*sale, by.label("sorted_by")).where(
        sale.sold_at >= span.start, sale.sold_at < span.end, *sql.conditions(sql.SALE, asked)
    )
    if order.endswith("product"):
        statement = statement.outerjoin(Product, Product.product_id == sale.product_id)
    if after is not None:
        last = tuple_(*(literal(value, key.type) for value, key in zip(after, keys, strict=True)))
        statement = statement.where(tuple_(*keys) < last if descending else tuple_(*keys) > last)
    return statement.order_by(*(key.desc() if descending else key for key in keys)).limit(limit)


def _line(row: Row[Any], name: str) -> SaleLine:
    fields = {field: getattr(row, field) for field in SaleLine.__dataclass_fields__ if field != "product"}
    for field, scale in _SCALES.items():
        fields[field] /= scale
    return SaleLine(product=name, **fields)


def _cursor(row: Row[Any], order: str) -> str:
    value = microseconds(row.sorted_by) if order.endswith("sold_at") else row.sorted_by
    return cursor_of(order, value, microseconds(row.sold_at), row.key.hex())


def _position(cursor: str, order: str) -> tuple[Any, ...]:
    """Where the page before ended: the value ordered by, the time of the sale and its key."""
    try:
        made_for, value, sold_at, key = parts_of(cursor)
        if made_for != order or not isinstance(value, _python_type(order)):
            raise ValueError
        moment = EPOCH + timedelta(microseconds=sold_at)
        return (moment if order.endswith("sold_at") else value), moment, bytes.fromhex(key)
    except (ValueError, TypeError, OverflowError):
        raise bad_cursor() from None


def _python_type(order: str) -> type:
    kind = SORTABLE[order.removeprefix("-")].type
    return int if isinstance(kind, UtcDateTime) else kind.python_type
