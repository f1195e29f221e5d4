"""Sales, posted and read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from nebuloviz.api.schemas.base import Outgoing


class SaleItem(Outgoing):
    """A stored sale line. Amounts are in the installation's currency; `sold_at` is UTC."""

    sale_id: str
    order_id: str
    sold_at: datetime
    customer_id: str
    product_id: str
    product: str
    category: str
    region: str
    country: str
    channel: str
    store: str
    quantity: float
    unit_price: float
    discount: float
    revenue: float


class SaleList(Outgoing):
    """`total` counts all lines of the range and filters."""

    items: list[SaleItem]
    next: str | None
    total: int


class SaleResult(Outgoing):
    """What became of one item. `reason` is there of rejected ones alone."""

    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str = ""


class SalesAnswer(Outgoing):
    accepted: int
    duplicates: int
    rejected: int
    results: list[SaleResult]
