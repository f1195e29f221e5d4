"""The live ticker: sales as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import _, format_datetime, format_time, local, money, quantity
from nebuloviz.services.interfaces import SaleLine
from nebuloviz.web.components.basic import Id, given
from nebuloviz.web.components.states import empty_state


def _when(moment: datetime, now: datetime) -> str:
    is_today = local(moment).date() == local(now).date()
    return format_time(moment, "medium") if is_today else format_datetime(moment, "short")


def ticker_parts(line: SaleLine, now: datetime) -> list[Component]:
    """What the row of one sale line says: when (and on which day, if not today), what, where, how much."""
    where = " · ".join(part for part in (line.category, line.store or line.region or line.channel) if part)
    returned = line.quantity < 0
    amount = html.Span(
        money(line.revenue), className="nv-ticker-amount nv-num" + (" nv-change-bad" if returned else "")
    )
    return [
        html.Time(
            _when(line.sold_at, now),
            dateTime=line.sold_at.isoformat(),
            className="nv-ticker-time nv-num",
        ),
        html.Div(
            [
                html.Bdi(line.product or line.product_id, className="nv-ticker-product"),
                html.Bdi(where, className="nv-ticker-where"),
            ],
            className="nv-ticker-what",
        ),
        html.Span(_quantity(line), className="nv-ticker-quantity nv-num"),
        amount,
    ]


def ticker_row(sale_id: str, parts: Any, *, fresh: bool = False) -> html.Li:
    """The row of one sale line, of its `ticker_parts`. `fresh`: it was not there at the last refresh, and fades in."""
    return html.Li(parts, className="nv-ticker-row" + (" nv-fresh" if fresh else ""), key=sale_id)


def _quantity(line: SaleLine) -> str:
    if line.quantity < 0:
        return _("{quantity} returned", quantity=quantity(-line.quantity))
    return f"× {quantity(line.quantity)}" if line.quantity != 1 else ""


def ticker(rows: Sequence[html.Li], *, id: Id = None) -> Component:
    """The newest sales, newest first. Not announced by screen readers: it would never stop talking."""
    if not rows:
        return empty_state(
            _("No sale has arrived yet"),
            icon_name="broadcast",
            hint=_("New sales appear here the moment they are stored."),
        )
    return html.Ol(list(rows), className="nv-ticker", **given(aria_label=_("Newest sales")), **given(id=id))
