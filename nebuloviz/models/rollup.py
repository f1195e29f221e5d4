"""Rollups: sums kept beside the facts, exactly, so that no page has to scan them.

`ROLLUPS` is the lattice as data. A rollup's cell is one bucket of time (an hour in UTC, a day of the installation's zone, or a
week of these from Monday on) and one value of each of its dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BigInteger, Column, Date, Index, LargeBinary, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import UtcDateTime

#: What a cell holds, each a BIGINT. Amounts in ten-thousandths, quantities in thousandths. All but `orders` add up over cells.
MEASURES = (
    "lines",
    "orders",  # distinct order ids within the cell
    "quantity",
    "revenue",
    "discount",
    "cost",  # of the lines whose cost is known
    "costed_revenue",  # revenue of just those lines
    "returned_lines",
    "returned_quantity",  # positive
    "returned_amount",  # positive
)

#: The dimensions that a sale carries itself, each of which has rollups of its own.
ROLLED_DIMENSIONS = ("category", "region", "country", "channel", "store")


#: The buckets of time that there are rollups by.
GRAINS = ("hour", "day", "week")


@dataclass(frozen=True)
class Rollup:
    """One table of the lattice; `grain` is one of `GRAINS`."""

    name: str
    grain: str
    dimensions: tuple[str, ...]

    @property
    def table(self) -> Table:
        return Base.metadata.tables[self.name]


def _define(name: str, grain: str, dimensions: tuple[str, ...]) -> Rollup:
    Table(
        name,
        Base.metadata,
        Column("bucket", UtcDateTime, primary_key=True),
        *(Column(dimension, Text, primary_key=True) for dimension in dimensions),
        *(Column(measure, BigInteger, nullable=False, default=0) for measure in MEASURES),
        *(Index(f"ix_{name}_{d}_bucket", d, "bucket") for d in dimensions if len(dimensions) == 1),
    )
    return Rollup(name, grain, dimensions)


ROLLUPS: tuple[Rollup, ...] = (
    _define("rollup_hour", "hour", ()),
    *(_define(f"rollup_hour_{d}", "hour", (d,)) for d in ROLLED_DIMENSIONS),
    _define("rollup_day", "day", ()),
    *(_define(f"rollup_day_{d}", "day", (d,)) for d in ROLLED_DIMENSIONS),
    _define("rollup_day_all", "day", ROLLED_DIMENSIONS),
    # Products are many: most are sold every day, so a week has a fifth of the cells that its days have
    _define("rollup_week_product", "week", ("product_id",)),
    _define("rollup_day_product", "day", ("product_id",)),
)


class DayVersion(Base):
    """Counts up with every batch that touched a day; what was computed from an older version is stale."""

    __tablename__ = "day_version"

    day: Mapped[date] = mapped_column(Date, primary_key=True)  # a day of the installation's zone
    version: Mapped[int] = mapped_column(BigInteger)


class DayArrival(Base):
    """From which moment on the sales are that made a day's `version` of the one before: what is known as of that one lacks these.

    There is none for batches of many days, nor for days that are long over.
    """

    __tablename__ = "day_arrival"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class DayMembers(Base):
    """Who bought on a day: the distinct customers of one value of one dimension, as a serialised roaring bitmap.

    Built on demand from facts, as of the day's `version` then: `DayArrival` tells what it lacks.
    """

    __tablename__ = "day_members"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    dimension: Mapped[str] = mapped_column(Text, primary_key=True)  # '' for the total
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    members: Mapped[bytes] = mapped_column(LargeBinary)


class CustomerNumber(Base):
    """A small number for each customer id, so that bitmaps stay small."""

    __tablename__ = "customer_number"

    customer_id: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
