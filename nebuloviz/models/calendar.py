"""When the shop is open, closed, or sells more than usual, as people have entered it."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, Date, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey


class CalendarEntry(Base):
    """Days unlike others, in the time zone of the business; of one segment, or (without a dimension) of all sales."""

    __tablename__ = "calendar_entry"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(Text)  # closure | promotion | holidays | open
    name: Mapped[str] = mapped_column(Text, default="")
    first: Mapped[date | None] = mapped_column(Date)  # none of `holidays`, which are those of each year
    last: Mapped[date | None] = mapped_column(Date)
    country: Mapped[str] = mapped_column(Text, default="")  # whose public holidays
    dimension: Mapped[str] = mapped_column(Text, default="")
    value: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(BigInteger, default=1)


class OpeningDay(Base):
    """When the shop is open on a weekday (0: Monday), in minutes of the day. Without rows nobody has said."""

    __tablename__ = "opening_day"

    weekday: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    begin: Mapped[int] = mapped_column(Integer)
    end: Mapped[int] = mapped_column(Integer)  # the same as `begin`: closed; before it: of the next day
