"""The sample's million and a half lines against pandas. A file of its own: where files are shared out, it takes a process's time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import select

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sample_data import SampleFile, data_folder
from nebuloviz.ingest.sample_plan import HISTORY, LIVE, plan_at
from nebuloviz.ingest.sample_stream import PASS_OFFSETS, SampleStream
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import IteratorSource, ReplaySource, Timed
from nebuloviz.metrics.query import Query
from nebuloviz.models import IngestOffset
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from tests.ingest.support import figures_by_month

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)
A_YEAR_LATER = NOW + timedelta(days=365)
LINES = 1_469_307


@pytest.mark.timeout(900)
def test_totals_equal_a_recount_by_pandas(migrated_sqlite_url: str) -> None:
    """The whole file through parser, sink and rollups, as history and then live; asked by month and department as pages ask."""
    transactions = pd.read_parquet(data_folder() / "transactions.parquet")
    database = Database(migrated_sqlite_url)
    plan = plan_at(NOW)
    stream = SampleStream(SampleFile(), plan)

    def first_pass(offset: int) -> Iterator[Timed]:
        return takewhile(lambda timed: timed.record.offset < PASS_OFFSETS, stream.live(offset))

    for source in (
        IteratorSource(HISTORY, stream.history, limit=100_000),
        ReplaySource(LIVE, first_pass, beginning=stream.live_beginning, now=lambda: A_YEAR_LATER, limit=100_000),
    ):
        Consumer(source, DatabaseSink(database, ZoneInfo("UTC")), now=lambda: A_YEAR_LATER).run()
    assert _counted(database) == {
        HISTORY.topic: (stream.history_size(), 0, 0),
        LIVE.topic: (LINES - stream.history_size(), 0, 0),
    }
    question = Query(
        ("revenue", "lines", "orders"),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 3, 1, tzinfo=UTC),
        dimensions=("category",),
        grain="month",
    )
    with database.session() as session:
        frame = SalesDataService(Cache(secret="s" * 40), ZoneInfo("UTC"), lambda: A_YEAR_LATER).frame(
            session, SYSTEM, question
        )
    found = figures_by_month(frame.data, "category", scale=100)
    database.dispose()
    products = pd.read_parquet(data_folder() / "products.parquet")[["product_id", "department"]]
    sold = transactions.merge(products, how="left", on="product_id").fillna({"department": ""})
    sold["month"] = (sold["transaction_timestamp"] + timedelta(weeks=plan.weeks)).dt.strftime("%Y-%m")
    sold["cents"] = (sold["sales_value"] * 100).round().astype("int64")
    recount = sold.groupby(["month", "department"]).agg(
        cents=("cents", "sum"), lines=("cents", "size"), orders=("basket_id", "nunique")
    )
    assert recount["lines"].sum() == LINES
    assert found == {key: tuple(figures) for key, figures in zip(recount.index, recount.to_numpy(), strict=True)}


def _counted(database: Database) -> dict[str, tuple[int, int, int]]:
    """By topic: the sales that were new, those whose id was known, and what was no sale."""
    columns = (IngestOffset.topic, IngestOffset.n_ok, IngestOffset.n_duplicate, IngestOffset.n_rejected)
    with database.session() as session:
        return {topic: (new, known, rejected) for topic, new, known, rejected in session.execute(select(*columns))}
