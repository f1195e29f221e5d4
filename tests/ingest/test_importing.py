"""Files through the whole pipeline, killed half-way and imported again; and the UCI's half a million lines against pandas."""

import csv
import gzip
import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import func, select

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.importing import FileImport, ImportProgress, ImportResult, run_import
from nebuloviz.ingest.preview import preview
from nebuloviz.ingest.recount import differences
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.metrics.query import Query
from nebuloviz.models import DeadLetter, ImportJob, SaleRow
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.data import SalesDataService
from tests.ingest.support import figures_by_month
from tests.servers.base import MissingServerError
from tests.servers.required import needs_servers

HEADER = ["invoice", "product", "description", "ts", "quantity", "price"]
#: `NEBULOVIZ_TEST_DATA` names another folder with the real data.
DATA = Path(os.environ.get("NEBULOVIZ_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture
def online_retail() -> Path:
    """The UCI's Online Retail, which is too large to be kept beside the tests."""
    path = DATA / "online_retail_uci.csv.gz"
    with needs_servers():
        if not path.is_file():
            raise MissingServerError(f"{path} is not there; NEBULOVIZ_TEST_DATA names the folder that has it")
    return path


def csv_of(path: Path, n_rows: int, bad: frozenset[int] = frozenset()) -> Path:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for number in range(n_rows):
        price = "a lot" if number in bad else "2.50"
        writer.writerow([f"i{number // 3}", f"p{number % 2}", "Tea", "2026-01-05T10:00:00", 1, price])
    path.write_text(out.getvalue())
    return path


def sink_of(database: Database) -> DatabaseSink:
    return DatabaseSink(database, ZoneInfo("UTC"))


def imported(path: Path, database: Database, **options: object) -> ImportResult:
    return run_import(FileImport(path, {}, "UTC"), database, sink_of(database), **options)  # type: ignore[arg-type]  # named ones


class TestImport:
    def test_rows_become_sales_and_bad_ones_dead_letters_with_their_bytes(
        self, tmp_path: Path, database: Database
    ) -> None:
        result = imported(csv_of(tmp_path / "shop.csv", 50, bad=frozenset({7, 30})), database)
        assert (result.rows, result.accepted, result.duplicates, result.rejected, result.complete) == (
            50,
            48,
            0,
            2,
            True,
        )
        with database.session() as session:
            letters = list(session.scalars(select(DeadLetter).order_by(DeadLetter.offset)))
        assert [letter.offset for letter in letters] == [7, 30]
        assert letters[0].payload == b"i2,p1,Tea,2026-01-05T10:00:00,1,a lot\r\n"
        assert letters[0].reason == "invalid_number"
        assert {letter.topic for letter in letters} == {result.topic}
        assert differences(database, "UTC") == []

    def test_again_it_finds_that_all_is_there(self, tmp_path: Path, database: Database) -> None:
        path = csv_of(tmp_path / "shop.csv", 20)
        first = imported(path, database)
        assert not first.known
        assert imported(path, database) == replace(first, known=True)
        with database.session() as session:
            assert session.scalar(select(func.count()).select_from(SaleRow)) == 20
            assert session.scalar(select(func.count()).select_from(ImportJob)) == 1

    def test_the_same_lines_in_another_file_are_duplicates(self, tmp_path: Path, database: Database) -> None:
        imported(csv_of(tmp_path / "a.csv", 20), database)
        result = imported(csv_of(tmp_path / "b.csv", 26), database)
        assert (result.accepted, result.duplicates) == (6, 20)

    def test_interrupted_it_goes_on_where_it_stopped(self, tmp_path: Path, database: Database) -> None:
        path = csv_of(tmp_path / "shop.csv", 45_000)
        first = _interrupted(path, database)
        assert not first.complete
        assert 0 < first.rows < 45_000
        second = imported(path, database)
        assert (second.rows, second.accepted, second.duplicates, second.complete) == (45_000, 45_000, 0, True)

    def test_progress_is_told_to_the_end(self, tmp_path: Path, database: Database) -> None:
        told: list[ImportProgress] = []
        imported(csv_of(tmp_path / "shop.csv", 30), database, on_progress=told.append)
        assert (told[-1].rows, told[-1].rows_total) == (30, 30)
        assert told[-1].rate > 0

    def test_a_bomb_half_way_fails_the_import_and_says_so(self, tmp_path: Path, database: Database) -> None:
        path = csv_of(tmp_path / "shop.csv", 30)
        job = FileImport(path, {}, "UTC")
        path.write_bytes(gzip.compress(b"a,b\n" + (b"," * 1023 + b"\n") * (64 << 10)))
        with pytest.raises(InvalidInput, match="expands"):
            run_import(job, database, sink_of(database))
        with database.session() as session:
            entry = session.scalars(select(ImportJob)).one()
        assert (entry.state, "expands" in entry.message) == ("failed", True)

    def test_a_file_without_the_required_columns_names_them(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(InvalidInput, match="order_id, sold_at"):
            FileImport(path, {}, "UTC")
        assert preview(path).missing[0] == "order_id"

    def test_a_preview_shows_columns_rows_and_the_guess(self, tmp_path: Path) -> None:
        seen = preview(csv_of(tmp_path / "shop.csv", 30))
        assert seen.columns == tuple(HEADER)
        assert len(seen.rows) == 10
        assert seen.mapping["order_id"] == "invoice"
        assert seen.missing == ()


def _interrupted(path: Path, database: Database) -> ImportResult:
    """An import whose consumer is stopped after the first batch."""
    stop: list[Callable[[], None]] = []

    def first_batch(_progress: ImportProgress) -> None:
        stop[0]()

    job = FileImport(path, {}, "UTC")
    return run_import(
        job,
        database,
        sink_of(database),
        on_consumer=lambda consumer: stop.append(consumer.stop),
        on_progress=first_batch,
    )


class TestOnlineRetail:
    @pytest.mark.timeout(600)
    def test_totals_equal_a_recount_by_pandas(self, online_retail: Path, migrated_sqlite_url: str) -> None:
        database = Database(migrated_sqlite_url)
        assert FileImport(online_retail, {}, "UTC").rows_total == 541_909
        result = imported(online_retail, database)
        assert (result.accepted, result.duplicates, result.rejected) == (541_909, 0, 0)
        lines = pd.read_csv(online_retail, dtype={"invoice": str, "product": str}, keep_default_na=False)
        lines["month"] = lines["ts"].str[:7]
        lines["revenue"] = lines["quantity"] * (lines["price"].astype(float) * 10_000).round().astype("int64")
        keys = ["month", "country"]
        expected = lines.groupby(keys).agg(
            revenue=("revenue", "sum"), lines=("ts", "size"), orders=("invoice", "nunique")
        )
        question = Query(
            ("revenue", "lines", "orders"),
            datetime(2010, 12, 1, tzinfo=UTC),
            datetime(2012, 1, 1, tzinfo=UTC),
            dimensions=("country",),
            grain="month",
        )
        with database.session() as session:
            data = SalesDataService(Cache(secret="s" * 40), ZoneInfo("UTC")).frame(session, SYSTEM, question).data
        database.dispose()
        found = figures_by_month(data, "country", scale=10_000)
        recount = {key: tuple(figures) for key, figures in zip(expected.index, expected.to_numpy(), strict=True)}
        assert sum(lines for _revenue, lines, _orders in recount.values()) == 541_909
        assert found == recount
