"""Made-up sales in bulk, for measuring: written by the database itself, facts first and then every rollup from them.

Two years up to `NOW` of a chain with 300 stores in 12 regions and 4 countries, 4 channels, 30 categories, 5,000 products and 60,000
customers, all of uneven size; weekends and afternoons are busier, three lines an order, one line in 33 is a return. More lines
mean busier days, not more of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Integer, func, insert, literal_column, select, text
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.ingest.installation import CURRENCY, settled
from nebuloviz.metrics.rollups import measure_columns
from nebuloviz.models import MEASURES, ROLLUPS, Rollup, SaleRow, microseconds

NOW = datetime(2026, 11, 22, 14, 37, tzinfo=UTC)
WEEKS = 104
START = datetime(2026, 11, 23, tzinfo=UTC) - timedelta(weeks=WEEKS)
LINES_PER_ORDER = 3

_HOUR, _DAY = 3_600_000_000, 86_400_000_000  # microseconds
_DAYS_OF_WEEK = "0011223344445555566666"  # one digit a slot: later days of the week have more
_HOURS = "0809091010101111111212121313131414141515151616161717171717181818181919192020210203"
_LINES = {
    "postgresql": "SELECT n FROM generate_series(CAST({first} AS bigint), {last} - 1) AS series(n)",
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last} - 1) "
    "SELECT n FROM series",
}
_MOMENT = {
    "postgresql": "timestamptz '1970-01-01 00:00:00+00' + interval '1 microsecond' * ({})",
    "sqlite": "({})",
}
_KEY = {"postgresql": "decode(md5(n::text), 'hex')", "sqlite": "randomblob(16)"}
_BUCKET = {
    ("postgresql", "hour"): "date_trunc('hour', sold_at, 'UTC')",
    ("postgresql", "day"): "date_trunc('day', sold_at, 'UTC')",
    ("postgresql", "week"): "date_trunc('week', sold_at, 'UTC')",
    ("sqlite", "hour"): f"sold_at - sold_at % {_HOUR}",
    ("sqlite", "day"): f"sold_at - sold_at % {_DAY}",
    ("sqlite", "week"): f"sold_at - (sold_at - 4 * {_DAY}) % (7 * {_DAY})",  # the fifth day of 1970 was a Monday
}
_AT_ONCE = 250_000


def fill(database: Database, lines: int) -> None:
    """Write some `lines` sale lines (fewer by what lies after `NOW`) and all that belongs to them into an empty database in UTC."""
    dialect = database.engine.dialect.name
    with database.transaction() as session:
        if dialect == "postgresql":
            _prepare_postgresql(session)
        for first in range(0, lines, _AT_ONCE):
            session.execute(text(_facts(dialect, first, min(first + _AT_ONCE, lines), lines)))
        session.execute(text(_PRODUCTS))
        for rollup in ROLLUPS:
            _fill_rollup(session, rollup)
        day = "bucket::date" if dialect == "postgresql" else "date(bucket / 1000000, 'unixepoch')"
        session.execute(text(_orders(dialect)))
        versions = f"INSERT INTO day_version (day, version) SELECT {day}, 1 FROM rollup_day"  # noqa: S608 - of our constants
        session.execute(text(versions))
        settled(session, CURRENCY, "EUR")  # that of simulated sales
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if dialect == "postgresql":
            connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE" if dialect == "postgresql" else "ANALYZE"))


def _prepare_postgresql(session: Session) -> None:
    session.execute(text("SET LOCAL synchronous_commit = off"))
    session.execute(text("SET LOCAL work_mem = '256MB'"))
    session.execute(text("SET LOCAL statement_timeout = 0"))
    month = START.replace(day=1, hour=0, minute=0)
    while month <= NOW:
        following = (month + timedelta(days=32)).replace(day=1)
        bounds = f"FROM ('{month:%Y-%m-%d} 00:00+00') TO ('{following:%Y-%m-%d} 00:00+00')"
        session.execute(text(f"CREATE TABLE sale_p{month:%Y%m} PARTITION OF sale FOR VALUES {bounds}"))
        month = following


def _random(n: str, salt: int, below: int) -> str:
    """SQL for a repeatable pseudo-random integer from 0 on, below `below`, made of the integer expression `n`."""
    mixed = f"((({n}) * 48271 + {salt * 7919}) % 2147483647)"
    return f"(({mixed} * ({mixed} / 7 + {salt})) % 2147483647 % {below})"


def _uneven(n: str, salt: int, below: int) -> str:
    """The same, small ones being more frequent."""
    drawn = _random(n, salt, 10_000)
    return f"({drawn} * {drawn} / 10000 * {below} / 10000)"


def _facts(dialect: str, first: int, last: int, lines: int) -> str:
    """An INSERT of the lines from `first` up to `last`, as they would arrive; time goes on with the order's number, week by week."""
    week = f"(o * {LINES_PER_ORDER * WEEKS} / {lines})"
    day = f"CAST(substr('{_DAYS_OF_WEEK}', CAST(1 + {_random('o', 1, len(_DAYS_OF_WEEK))} AS INTEGER), 1) AS INTEGER)"
    hour = f"CAST(substr('{_HOURS}', CAST(1 + 2 * {_random('o', 2, len(_HOURS) // 2)} AS INTEGER), 2) AS INTEGER)"
    micros = (
        f"{microseconds(START)} + ({week} * 7 + {day}) * {_DAY} + {hour} * {_HOUR} + {_random('o', 3, 3600)} * 1000000"
    )
    moment = _MOMENT[dialect].format(micros)
    return f"""
        INSERT INTO sale (sold_at, key, sale_id, order_id, customer_id, product_id, category, region, country, channel, store,
                          quantity, unit_price, discount, revenue, cost, received_at)
        SELECT sold_at, {_KEY[dialect]}, 's' || n, 'o' || o, CASE WHEN {_random("o", 4, 7)} = 0 THEN '' ELSE 'c' || customer END,
               'p' || product, 'Category ' || (product % 30), 'Region ' || (store % 12), 'Country ' || (store % 4),
               CASE WHEN {_random("o", 5, 10)} < 7 THEN 'Shop' ELSE 'Channel ' || {_random("o", 5, 3)} END, 'Store ' || store,
               quantity * 1000, price * 100, price * quantity * rebate, price * quantity * (100 - rebate),
               CASE WHEN product % 5 > 0 THEN price * quantity * 60 END, sold_at
        FROM (SELECT n, o, {moment} AS sold_at, {_uneven("o", 6, 60_000)} AS customer, {_uneven("n", 7, 5_000)} AS product,
                     {_uneven("o", 8, 300)} AS store,
                     CASE WHEN {_random("n", 9, 33)} = 0 THEN -1 ELSE 1 + {_random("n", 10, 3)} END AS quantity,
                     99 + {_uneven("n", 7, 5_000)} * 37 % 4900 AS price,
                     CASE WHEN {_random("n", 11, 5)} = 0 THEN 20 ELSE 0 END AS rebate
              FROM (SELECT n, n / {LINES_PER_ORDER} AS o FROM ({_LINES[dialect].format(first=first, last=last)}) AS numbers)
                   AS lines) AS drawn
        WHERE sold_at < {_MOMENT[dialect].format(microseconds(NOW))}
        ORDER BY sold_at"""  # noqa: S608 - of our own constants and integers


_PRODUCTS = """
    INSERT INTO product (product_id, name, category)
    SELECT product_id, 'Product ' || product_id, category FROM sale GROUP BY product_id, category"""


_DAY_NUMBER = {"postgresql": "extract(epoch FROM {}) / 86400", "sqlite": "{} / 86400000000.0"}


def _orders(dialect: str) -> str:
    first, last = (
        f"CAST(floor({_DAY_NUMBER[dialect].format(f'{which}(sold_at)')}) AS integer)" for which in ("min", "max")
    )
    return (
        f"INSERT INTO order_days (order_id, first_day, last_day) SELECT order_id, {first}, {last} FROM sale GROUP BY 1"  # noqa: S608 - of our constants
    )


def _fill_rollup(session: Session, rollup: Rollup) -> None:
    bucket: ColumnElement[datetime] = literal_column(_BUCKET[session.get_bind().dialect.name, rollup.grain])
    columns = [SaleRow.__table__.c[name] for name in rollup.dimensions]
    figures: list[ColumnElement[int]] = measure_columns()
    if not {"category", "product_id"} & set(rollup.dimensions):
        # All lines of an order are in one cell, and counting them is quicker than telling orders apart
        figures[MEASURES.index("orders")] = func.count() // literal_column(str(LINES_PER_ORDER), Integer)
    # In order of time, as arrivals would have written them
    counted = select(bucket, *columns, *figures).group_by(bucket, *columns).order_by(bucket)
    session.execute(insert(rollup.table).from_select(["bucket", *rollup.dimensions, *MEASURES], counted))
