"""Column types that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer
from sqlalchemy.types import TypeDecorator, TypeEngine

MONEY_SCALE = 10_000  # amounts are stored in ten-thousandths of the currency's unit
QUANTITY_SCALE = 1_000  # quantities are stored in thousandths
#: What a database can number: of a larger one it cannot be asked.
MAX_ID = 2**63 - 1

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: An integer key that SQLite numbers by itself as well.
BigKey = BigInteger().with_variant(Integer(), "sqlite")


def microseconds(moment: datetime) -> int:
    """Since 1970 in UTC, exactly. `moment` is aware."""
    return (moment - EPOCH) // _MICROSECOND


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, read back in UTC: `timestamptz` on PostgreSQL, microseconds since 1970 on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a moment without a time zone cannot be stored: {value!r}"
            raise ValueError(message)
        return microseconds(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return EPOCH + timedelta(microseconds=value) if dialect.name == "sqlite" else value.astimezone(UTC)


def money(stored: int | Decimal | None) -> Decimal | None:
    """Stored ten-thousandths -> the amount.

    >>> money(123400)
    Decimal('12.34')
    """
    return None if stored is None else (Decimal(stored) / MONEY_SCALE).normalize() + Decimal(0)
