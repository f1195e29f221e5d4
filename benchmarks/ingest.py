"""How fast sales are taken in: parsed, from a real Kafka broker into PostgreSQL, and from a file into SQLite.

Beside the pipeline stands a bare loop, in the same run and into the same tables: it decodes, COPYs and upserts, and neither
checks a field, nor counts an order once, nor keeps an offset.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import orjson
import psutil
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.program import ingesting, stored
from benchmarks.sales import NOW
from benchmarks.servers import DeployedPostgres
from benchmarks.table import Figure, show
from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.produce import encoded, send, simulated_sales
from nebuloviz.ingest.sale import Sale, parse
from nebuloviz.ingest.sample_data import SampleFile
from nebuloviz.ingest.sample_plan import HISTORY, plan_at
from nebuloviz.ingest.sample_stream import SampleStream
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import IteratorSource
from nebuloviz.models import ROLLUPS, Rollup
from tests.servers import KafkaServer

SALES = 200_000
SAMPLE_LINES = 200_000
BATCH = 10_000
_PARSED = 100_000
_ROUNDS = 3
_PATIENCE_SECONDS = 300
_LOOK_SECONDS = 0.1
_UTC = ZoneInfo("UTC")


def figures() -> Iterator[Figure]:
    """Measure one after the other."""
    pairs = list(islice(encoded(simulated_sales(seed=1)), SALES))
    yield _parsing([value for _, value in pairs[:_PARSED]])
    yield from _from_kafka(pairs)
    yield _sample()


def _parsing(values: Sequence[bytes]) -> Figure:
    """The best of a few rounds, as other work of the machine only ever slows one down."""
    now = _moment_of(values)
    parsed = max(_rate(lambda value: parse(value, now), values) for _ in range(_ROUNDS))
    decoded = max(_rate(orjson.loads, values) for _ in range(_ROUNDS))
    return Figure("parse", parsed, "sales/s", "orjson.loads alone", parsed / decoded, ">= 100,000")


def _moment_of(values: Sequence[bytes]) -> datetime:
    """A 'now' at which none of `values` lies in the future."""
    last = parse(values[-1], NOW.replace(year=NOW.year + 50))
    assert isinstance(last, Sale), "simulated sales are sales"  # noqa: S101 - made by the program itself
    return last.sold_at


def _rate(work: Callable[[bytes], object], values: Sequence[bytes]) -> float:
    start = time.perf_counter()
    for value in values:
        work(value)
    return len(values) / (time.perf_counter() - start)


def _from_kafka(pairs: list[tuple[bytes, bytes]]) -> Iterator[Figure]:
    postgres, kafka = DeployedPostgres.started(), KafkaServer.started()
    try:
        topic = kafka.create_topic(partitions=3)
        start = time.perf_counter()
        send(kafka.url, topic, pairs, 0, None)
        produced = len(pairs) / (time.perf_counter() - start)
        bare = _bare_loop(_database(postgres), [value for _, value in pairs])
        piped, cpu = _pipeline(_database(postgres), kafka, topic, len(pairs))
        yield Figure("produce to Kafka", produced, "sales/s")
        yield Figure("the bare loop", bare, "sales/s")
        yield Figure(
            "Kafka to PostgreSQL, one process", piped, "sales/s", "the bare loop", piped / bare, ">= 20,000; >= 0.5"
        )
        yield Figure("  its own CPU", cpu, "µs a sale", f"{1e6 / cpu:,.0f} sales/s of a free core", None, "<= 50")
    finally:
        kafka.close()
        postgres.close()


def _database(postgres: DeployedPostgres) -> Database:
    database = Database(postgres.database_url(postgres.create_database()))
    migrate.upgrade(database)
    return database


def _pipeline(database: Database, kafka: KafkaServer, topic: str, count: int) -> tuple[float, float]:
    """Sales a second, and the process's own microseconds of CPU a sale, from the first stored batch to the last.

    So without the time that a start and the forming of a group take.
    """
    with ingesting(database.url.render_as_string(hide_password=False), kafka.url, topic) as process:
        watched = psutil.Process(process.pid)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (before := stored(database, topic)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        start, cpu_before = time.perf_counter(), sum(watched.cpu_times()[:2])
        while (done := stored(database, topic)) < count and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        seconds, cpu = time.perf_counter() - start, sum(watched.cpu_times()[:2]) - cpu_before
    if done < count:
        raise TimeoutError(f"{done:,} of {count:,} sales were stored")
    return (done - before) / seconds, cpu / (done - before) * 1e6


# ---------------------------------------------------------------- the bare loop

_FIELDS = ("sale_id", "order_id", "customer_id", "product_id", "category", "region", "country", "channel", "store")
_STAGE = (
    "CREATE TEMPORARY TABLE bare (sold_at timestamptz, "
    + ", ".join(f"{name} text" for name in _FIELDS)
    + ", quantity bigint, unit_price bigint, discount bigint, revenue bigint) ON COMMIT DELETE ROWS"
)
_KEYS = "INSERT INTO sale_key SELECT decode(md5(sale_id), 'hex'), 1 FROM bare ON CONFLICT DO NOTHING"
_FACTS = (
    "INSERT INTO sale (sold_at, key, sale_id, order_id, customer_id, product_id, category, region, country, channel, store,"
    " quantity, unit_price, discount, revenue, received_at) SELECT sold_at, decode(md5(sale_id), 'hex'), sale_id, order_id,"
    " customer_id, product_id, category, region, country, channel, store, quantity, unit_price, discount, revenue, now()"
    " FROM bare ON CONFLICT DO NOTHING"
)


def _bare_loop(database: Database, values: Sequence[bytes]) -> float:
    with database.transaction() as session:
        first = orjson.loads(values[0])["sold_at"][:7]
        session.execute(
            text(f"CREATE TABLE bare_month PARTITION OF sale FOR VALUES FROM ('{first}-01') TO ('9999-01-01')")
        )
    start = time.perf_counter()
    for at in range(0, len(values), BATCH):
        with database.transaction() as session:
            session.execute(text("DROP TABLE IF EXISTS pg_temp.bare"))
            session.execute(text(_STAGE))
            _copy(session, [orjson.loads(value) for value in values[at : at + BATCH]])
            session.execute(text(_KEYS))
            session.execute(text(_FACTS))
            for rollup in ROLLUPS:
                session.execute(text(_upsert(rollup)))
    return len(values) / (time.perf_counter() - start)


def _copy(session: Session, sales: list[dict[str, object]]) -> None:
    lines = "\n".join(_line(sale) for sale in sales)
    session.connection().connection.cursor().copy_expert("COPY bare FROM STDIN", io.StringIO(lines + "\n"))


def _line(sale: dict[str, object]) -> str:
    quantity, price, discount = (
        float(str(sale["quantity"])),
        float(str(sale["unit_price"])),
        float(str(sale["discount"])),
    )
    revenue = quantity * price - discount
    scaled = (round(quantity * 1000), round(price * 10_000), round(discount * 10_000), round(revenue * 10_000))
    return "\t".join((str(sale["sold_at"]), *(str(sale[name]) for name in _FIELDS), *map(str, scaled)))


def _upsert(rollup: Rollup) -> str:
    keys = ", ".join(("bucket", *rollup.dimensions))
    sums = ("lines", "orders", "quantity", "revenue", "discount")
    added = ", ".join(f"{name} = {rollup.name}.{name} + excluded.{name}" for name in sums)
    rest = ", 0, 0, 0, 0, 0"
    return (
        f"INSERT INTO {rollup.name} SELECT date_trunc('{rollup.grain}', sold_at, 'UTC') AS bucket"  # noqa: S608 - of our names
        f"{''.join(f', {name}' for name in rollup.dimensions)}, count(*), count(DISTINCT order_id), sum(quantity), sum(revenue),"
        f" sum(discount){rest} FROM bare GROUP BY {', '.join(str(n + 1) for n in range(1 + len(rollup.dimensions)))}"
        f" ORDER BY {keys} ON CONFLICT ({keys}) DO UPDATE SET {added}"
    )


# ---------------------------------------------------------------- the sample, into SQLite


def _sample() -> Figure:
    """The sample's history as an embedded start loads it; all of it is some 1.24 million lines."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/sample.sqlite3")
        migrate.upgrade(database)
        stream = SampleStream(SampleFile(), plan_at(NOW))
        source = IteratorSource(HISTORY, lambda offset: islice(stream.history(offset), SAMPLE_LINES - offset))
        start = time.perf_counter()
        Consumer(source, DatabaseSink(database, _UTC)).run()
        seconds = time.perf_counter() - start
        database.dispose()
    rate = SAMPLE_LINES / seconds
    return Figure(
        "sample history to SQLite", rate, "sales/s", f"{1.24e6 / rate:,.0f} s for all of it", None, ">= 13,800"
    )


if __name__ == "__main__":
    show("Ingest", figures())
