"""Facts: one row per order line, and what is needed to keep and count each exactly once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import UtcDateTime


class SaleKey(Base):
    """Every sale id ever accepted. Apart from the facts, since a partitioned table cannot have a key without its month."""

    __tablename__ = "sale_key"

    key: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)  # BLAKE2b-128 of the sale id
    fingerprint: Mapped[int] = mapped_column(
        BigInteger
    )  # 63 bits of a hash of the payload: tells a repeat from a conflict


class SaleRow(Base):
    """One order line. Amounts in ten-thousandths, quantities in thousandths; a missing dimension is ''."""

    __tablename__ = "sale"
    __table_args__ = (
        Index("ix_sale_order_id", "order_id"),
        Index("ix_sale_product_id_sold_at", "product_id", "sold_at"),
        {"postgresql_partition_by": "RANGE (sold_at)", "sqlite_with_rowid": True},
    )

    sold_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    sale_id: Mapped[str] = mapped_column(Text)
    order_id: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[str] = mapped_column(Text, default="")
    product_id: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text, default="")
    region: Mapped[str] = mapped_column(Text, default="")
    country: Mapped[str] = mapped_column(Text, default="")
    channel: Mapped[str] = mapped_column(Text, default="")
    store: Mapped[str] = mapped_column(Text, default="")
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit_price: Mapped[int] = mapped_column(BigInteger)
    discount: Mapped[int] = mapped_column(BigInteger)
    revenue: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[int | None] = mapped_column(BigInteger)  # of the whole line; NULL where the source gives none
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Product(Base):
    """The latest known name of each product."""

    __tablename__ = "product"

    product_id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text, default="")


class SpreadOrder(Base):
    """Orders whose lines fall into several hours, regions, countries, channels or stores.

    Counts of orders add up over cells for all other orders; for these few the query layer counts again from facts.
    """

    __tablename__ = "spread_order"

    order_id: Mapped[str] = mapped_column(Text, primary_key=True)


class OrderDays(Base):
    """Between which days the lines of each order lie: an order is looked for only in the months that can hold it.

    They may lie further apart than the lines, never closer, and outlive the facts. Counted from 1970, in UTC.
    """

    __tablename__ = "order_days"

    order_id: Mapped[str] = mapped_column(Text, primary_key=True)
    first_day: Mapped[int] = mapped_column(Integer)
    last_day: Mapped[int] = mapped_column(Integer)


class Installation(Base):
    """What is settled once for this installation: its currency, the zone of its daily rollups, the sample's plan."""

    __tablename__ = "installation"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
