"""What the first sale settles for good: the zone whose days the daily rollups hold, and the currency of all amounts.

Settings that say otherwise later would make figures wrong without a word, so the program does not go on with them.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.orm import Session

from nebuloviz.db import Database, insert
from nebuloviz.models import Installation, SaleKey

TIME_ZONE = "time_zone"
CURRENCY = "currency"


def settle(database: Database, time_zone: str, currency: str) -> str:
    """Settle what is not settled yet; then as `contradiction`.

    While there is no sale, whatever the settings say is what is settled.
    """
    with database.transaction() as session:
        # In one statement: a first sale that another process stores meanwhile keeps what it has settled
        without_sales = Installation.key.in_((TIME_ZONE, CURRENCY)) & ~exists(select(SaleKey.key))
        session.execute(delete(Installation).where(without_sales))
        settled(session, TIME_ZONE, time_zone)
        settled(session, CURRENCY, currency)
    return contradiction(database, time_zone, currency)


def contradiction(database: Database, time_zone: str, currency: str) -> str:
    """'', or which setting contradicts what is settled, and what to do.

    `time_zone` and `currency` are those of the settings, the latter '' for that of the first sale that names one.
    """
    with database.session() as session:
        kept = {row.key: row.value for row in session.execute(select(Installation.key, Installation.value))}
    kept_zone, kept_currency = kept.get(TIME_ZONE, time_zone), kept.get(CURRENCY, currency)
    if kept_zone != time_zone:
        return (
            f"The daily rollups hold the days of {kept_zone}, and NEBULOVIZ_TIME_ZONE is {time_zone}. Set it back; or stop every "
            "process and have the rollups made anew: python -m nebuloviz doctor --rebuild"
        )
    if currency and kept_currency != currency:
        return (
            f"The sales in the database are in {kept_currency}, and NEBULOVIZ_CURRENCY is {currency}. Set it back, or begin with an "
            "empty database."
        )
    return ""


def settled(where: Session | Connection, key: str, offered: str) -> str:
    """What is settled under `key`: what was before, else `offered`; '' where both are empty."""
    if offered:
        row = {"key": key, "value": offered}
        where.execute(insert(where, Installation).values(row).on_conflict_do_nothing())
    return where.execute(select(Installation.value).where(Installation.key == key)).scalar_one_or_none() or ""
