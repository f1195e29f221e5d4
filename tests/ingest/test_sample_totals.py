"""The sample's million and a half lines against pandas. A file of its own: where files are shared out, it takes a process's time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.ingest.sample_data import SampleFile, data_folder
from nebuloviz.ingest.sample_plan import HISTORY, WEEK_SECONDS, Plan
from nebuloviz.ingest.sample_stream import SampleStream
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.sources import IteratorSource
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from tests.ingest.support import figures_by_month

NOW = datetime(2026, 11, 22, 11, 30, tzinfo=UTC)


@pytest.mark.timeout(900)
def test_totals_equal_a_recount_by_pandas(migrated_sqlite_url: str) -> None:
    """The whole file through parser, sink and rollups; asked by month and department as pages ask."""
    transactions = pd.read_parquet(data_folder() / "transactions.parquet")
    database = Database(migrated_sqlite_url)
    end = int(transactions["transaction_timestamp"].max().timestamp()) + WEEK_SECONDS  # nothing is held back for later
    stream = SampleStream(SampleFile(), Plan(0, end))
    Consumer(
        IteratorSource(HISTORY, stream.history, limit=100_000), DatabaseSink(database, ZoneInfo("UTC")), now=lambda: NOW
    ).run()
    question = Query(
        ("revenue", "lines", "orders"),
        datetime(2017, 1, 1, tzinfo=UTC),
        datetime(2018, 2, 1, tzinfo=UTC),
        dimensions=("category",),
        grain="month",
    )
    with database.session() as session:
        frame = SalesDataService(Cache(secret="s" * 40), ZoneInfo("UTC"), lambda: NOW).frame(session, SYSTEM, question)
    found = figures_by_month(frame.data, "category", scale=100)
    database.dispose()
    products = pd.read_parquet(data_folder() / "products.parquet")[["product_id", "department"]]
    sold = transactions.merge(products, how="left", on="product_id").fillna({"department": ""})
    sold["month"] = sold["transaction_timestamp"].dt.strftime("%Y-%m")
    sold["cents"] = (sold["sales_value"] * 100).round().astype("int64")
    recount = sold.groupby(["month", "department"]).agg(
        cents=("cents", "sum"), lines=("cents", "size"), orders=("basket_id", "nunique")
    )
    assert recount["lines"].sum() == 1_469_307
    assert found == {key: tuple(figures) for key, figures in zip(recount.index, recount.to_numpy(), strict=True)}
