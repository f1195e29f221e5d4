import gzip
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.fields import guess
from nebuloviz.ingest.files import open_table
from nebuloviz.ingest.mapping import (
    DateOrder,
    RowEncoder,
    as_read,
    date_orders,
    mapped_columns,
    moment_reader,
    table_mapping,
)
from nebuloviz.ingest.tables import Row, TableFile

UTC_TWICE = "2010-12-01 UTC UTC UTC" + " UTC" * 5_000
RETAIL = ["ts", "invoice", "product", "description", "customer", "country", "quantity", "price"]


class TestMoments:
    @pytest.mark.parametrize(
        ("cell", "order", "expected"),
        [
            ("2010-12-01T08:26:00", "mdy", "2010-12-01T08:26:00+00:00"),
            ("2011-07-01 08:26", "mdy", "2011-07-01T08:26:00+01:00"),
            ("12/1/2010 8:26", "mdy", "2010-12-01T08:26:00+00:00"),
            ("12/1/2010 8:26", "dmy", "2010-01-12T08:26:00+00:00"),
            ("12/1/10 8:26", "mdy", "2010-12-01T08:26:00+00:00"),
            ("01.12.2010 08:26:30", "dmy", "2010-12-01T08:26:30+00:00"),
            ("1-12-2010", "dmy", "2010-12-01T00:00:00+00:00"),
            ("12/01/2010 08:26 PM", "mdy", "2010-12-01T20:26:00+00:00"),
            ("1 Dec 2010", "mdy", "2010-12-01T00:00:00+00:00"),
            ("Dec 1, 2010", "mdy", "2010-12-01T00:00:00+00:00"),
            ("2010/12/01", "mdy", "2010-12-01T00:00:00+00:00"),
            ("1291191960", "mdy", "2010-12-01T08:26:00+00:00"),
            ("1291191960000", "mdy", "2010-12-01T08:26:00+00:00"),
            ("2010-12-01T08:26:00+05:30", "mdy", "2010-12-01T08:26:00+05:30"),
            (datetime(2011, 7, 1, 8, 26), "mdy", "2011-07-01T08:26:00+01:00"),
            ("2011-07-01 08:26:00 UTC", "mdy", "2011-07-01T08:26:00+00:00"),
            ("01.07.2011 08:26 GMT", "dmy", "2011-07-01T08:26:00+00:00"),
            ("2010-12-01T08:26:00z", "mdy", "2010-12-01T08:26:00+00:00"),
            ("2010-12-01 08:26 PM", "mdy", "2010-12-01T20:26:00+00:00"),
            ("01-DEC-10", "mdy", "2010-12-01T00:00:00+00:00"),
            ("1-Dec-2010 08:26", "mdy", "2010-12-01T08:26:00+00:00"),
            ("Dec 1 2010 8:26", "mdy", "2010-12-01T08:26:00+00:00"),
            ("40513.3513888889", "mdy", "2010-12-01T08:26:00+00:00"),
            (40513.3513888889, "mdy", "2010-12-01T08:26:00+00:00"),
            (40725, "mdy", "2011-07-01T00:00:00+01:00"),
            (40725.0, "mdy", "2011-07-01T00:00:00+01:00"),
            (20101201, "mdy", "2010-12-01T00:00:00+00:00"),
            (1291191960, "mdy", "2010-12-01T08:26:00+00:00"),
            (5, "mdy", "5"),
            (UTC_TWICE, "mdy", UTC_TWICE),
            (1e300, "mdy", str(int(1e300))),
            (float("inf"), "mdy", "inf"),
            (float("nan"), "mdy", "nan"),
            ("soon", "mdy", "soon"),
            ("31/31/2010", "mdy", "31/31/2010"),
            (None, "mdy", None),
        ],
    )
    def test_forms(self, cell: object, order: DateOrder, expected: object) -> None:
        assert moment_reader(ZoneInfo("Europe/London"), order)(cell) == expected

    def test_what_is_too_long_is_not_kept_in_memory(self) -> None:
        read = moment_reader(ZoneInfo("UTC"), "dmy")
        tracemalloc.start()
        try:
            for number in range(100):
                read(f"{number} {'x' * 100_000}")
            kept, _most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < 1_000_000

    @pytest.mark.parametrize(
        ("values", "seen", "order"),
        [
            (["1/2/2010", "13/2/2010"], {"ts": "dmy"}, "dmy"),
            (["1/2/2010", "2/13/2010"], {"ts": "mdy"}, "mdy"),
            (["1/2/2010"], {"ts": None}, "mdy"),
            (["1.2.2010"], {"ts": "dmy"}, "dmy"),
            (["2010-01-02", "", "3"], {}, "mdy"),
            (["2010-01-02"] * 1_500 + ["13/2/2010"], {}, "mdy"),
        ],
    )
    def test_the_order_of_day_and_month_is_seen_from_the_values(
        self, tmp_path: Path, values: list[str], seen: dict[str, DateOrder | None], order: DateOrder
    ) -> None:
        table = table_of(tmp_path, values)
        assert date_orders(table, table.columns) == seen
        assert table_mapping(table, COLUMNS, "UTC").date_order == order

    def test_it_is_looked_for_beyond_the_first_days_of_a_month(self, tmp_path: Path) -> None:
        days = [f"{1 + number // 500:02}/12/2025 10:00" for number in range(6_000)]
        assert table_mapping(table_of(tmp_path, [*days, "13/12/2025 10:00"]), COLUMNS, "UTC").date_order == "dmy"

    @pytest.mark.parametrize("order", ["dmy", "mdy"])
    def test_where_the_values_leave_it_open_it_is_for_somebody_to_say(self, tmp_path: Path, order: DateOrder) -> None:
        table = table_of(tmp_path, [f"{1 + number // 500:02}/12/2025 10:00" for number in range(6_000)])
        assert date_orders(table, ["ts"]) == {"ts": None}
        assert table_mapping(table, COLUMNS, "UTC", order).date_order == order

    def test_what_comes_after_a_damaged_row_is_not_looked_at(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv.gz"
        path.write_bytes(gzip.compress(b"ts\n" + b"1/2/2010\n" * 20_000 + b"13/2/2010\n"))
        table = open_table(path)
        path.write_bytes(gzip.compress(b"ts\n" + b"1/2/2010\n" * 20_000) + b"no gzip")
        assert date_orders(table, ["ts"]) == {"ts": None}

    @pytest.mark.parametrize(("zone", "order"), [("Europe/Nowhere", ""), ("../etc/passwd", ""), ("UTC", "ymd")])
    def test_what_is_no_zone_or_order_is_refused(self, tmp_path: Path, zone: str, order: str) -> None:
        with pytest.raises(InvalidInput):
            table_mapping(table_of(tmp_path, []), COLUMNS, zone, order)

    @pytest.mark.parametrize(
        ("cell", "zone", "order", "moment"),
        [
            ("1/12/2025 10:00", "UTC", "dmy", datetime(2025, 12, 1, 10, tzinfo=UTC)),
            ("1/12/2025 10:00", "Europe/Berlin", None, datetime(2025, 1, 12, 9, tzinfo=UTC)),
            ("2025-12-01T10:00:00+05:30", "Europe/Berlin", "dmy", datetime(2025, 12, 1, 4, 30, tzinfo=UTC)),
            ("13/12/2025", "UTC", "mdy", None),
            ("", "UTC", None, None),
        ],
    )
    def test_a_cell_is_shown_as_it_will_be_read(
        self, cell: str, zone: str, order: DateOrder | None, moment: datetime | None
    ) -> None:
        assert as_read(cell, zone, order) == moment


COLUMNS = {field: field for field in ("order_id", "product_id", "quantity", "amount")} | {"sold_at": "ts"}


def table_of(tmp_path: Path, moments: list[str]) -> TableFile:
    path = tmp_path / "dates.csv"
    path.write_text("\n".join(["ts,order_id,product_id,quantity,amount", *(f"{ts},1,A,1,2" for ts in moments)]) + "\n")
    return open_table(path)


class TestTheIdOfALine:
    @pytest.mark.parametrize(
        ("column", "lines", "kept"),
        [
            ("order_item_id", ["o1,1", "o1,2", "o2,1"], False),
            ("order_item_id", ["o1,1", "o1,2", "o2,3"], True),
            ("line_id", ["o1,1", "o1,1", "o2,2"], True),
            ("line_id", ["o1,", "o2,", "o3"], True),
            ("sale_id", ["o1,1", "o2,1"], True),
        ],
    )
    def test_is_not_guessed_to_be_what_orders_share(
        self, tmp_path: Path, column: str, lines: list[str], kept: bool
    ) -> None:
        path = tmp_path / "lines.csv"
        path.write_text("\n".join([f"order_id,{column}", *lines]))
        mapped = mapped_columns(open_table(path), {})
        assert mapped == {"order_id": "order_id"} | ({"sale_id": column} if kept else {})
        assert mapped_columns(open_table(path), {"sale_id": column})["sale_id"] == column


@pytest.fixture
def encoder(tmp_path: Path) -> RowEncoder:
    path = tmp_path / "t.csv"
    path.write_text(",".join(RETAIL) + "\n")
    table = open_table(path)
    return RowEncoder(table, table_mapping(table, guess(table.columns), "UTC"))


def sale_of(encoder: RowEncoder, **cells: Any) -> dict[str, Any]:
    given = {"ts": "2026-01-01T00:00:00", "invoice": "1", "product": "A", "quantity": "1", "price": "2"} | cells
    sale: dict[str, Any] = orjson.loads(encoder.encode(Row([given.get(column, "") for column in RETAIL], b"")))
    return sale


class TestRows:
    def test_blank_cells_are_left_out(self, encoder: RowEncoder) -> None:
        assert "customer_id" not in sale_of(encoder, customer="  ")

    def test_repeated_lines_have_ids_of_their_own(self, encoder: RowEncoder) -> None:
        assert [sale_of(encoder)["sale_id"] for _ in range(3)] == ["1:A:1", "1:A:2", "1:A:3"]
        assert sale_of(encoder, product="B")["sale_id"] == "1:B:1"

    def test_a_row_without_an_order_gets_no_id(self, encoder: RowEncoder) -> None:
        assert "sale_id" not in sale_of(encoder, invoice="")

    @pytest.mark.parametrize(
        ("cell", "number"),
        [
            ("2.50", 2.5),
            ("-1", -1),
            ("12345678901.2345", 12345678901.2345),
            ("0.00001", "0.00001"),
            ("1-2", "1-2"),
            ("1,234.50", "1234.50"),
            ("1.234,50", "1234.50"),
            ("2,5", "2.5"),
            ("€ 2,50", "2.50"),
            ("$1,234", "1234"),
            ("(5.00)", "-5.00"),
            ("1 234,5", "1234.5"),
            ("₹1,23,456.50", "123456.50"),
            ("+1.234", "+1.234"),
            (2.5, 2.5),
            (3, 3),
            (10**30, str(10**30)),
            (-(2**63), str(-(2**63))),
            ("1e999", "1e999"),
            ("٣", "٣"),
            ("abc", "abc"),
        ],
    )
    def test_numbers_become_plain_and_nonsense_is_left_to_the_parser(
        self, encoder: RowEncoder, cell: object, number: object
    ) -> None:
        assert sale_of(encoder, price=cell)["unit_price"] == number

    @pytest.mark.parametrize(
        ("amounts", "read"),
        [
            (
                ["1.234,50", "1.234", "1.234.567", "0,5", "€ 12.345", "(1.000)"],
                [1234.5, 1234, 1234567, 0.5, 12345, -1000],
            ),
            (["1.234", "2.000", "7,25"], [1234, 2000, 7.25]),
            (["1,250", "0,125", "7"], [1.25, 0.125, 7]),
            (["1,250", "7.25"], [1250, 7.25]),
            (["0.125", "1.234", "1,234"], [0.125, 1.234, 1234]),
            (["1.234", "1,234", "7"], [1.234, 1234, 7]),
            (["1.234"] * 2_000 + ["7,5"], [1234] * 2_000 + [7.5]),
            (["7"] * 1_500 + ["7,5", "1.234"], [7] * 1_500 + [7.5, 1.234]),
        ],
        ids=lambda values: f"{len(values)} from {values[0]} to {values[-1]}",
    )
    def test_whether_1_234_is_a_fraction_is_seen_from_its_neighbours(
        self, tmp_path: Path, amounts: list[str], read: list[float]
    ) -> None:
        path = tmp_path / "numbers.csv"
        path.write_text(
            "\n".join(["order_id;sold_at;product_id;quantity;amount", *(f"1;2026-01-01;A;1;{it}" for it in amounts)])
        )
        table = open_table(path)
        encode = RowEncoder(table, table_mapping(table, guess(table.columns), "UTC")).encode
        assert [float(orjson.loads(encode(row))["amount"]) for row in table.rows()] == read

    def test_a_number_that_is_too_long_takes_no_time(self, encoder: RowEncoder) -> None:
        long = f"1{' ' * 1_000_000}b"
        assert sale_of(encoder, price=long)["unit_price"] == long

    def test_no_number_is_missing(self, encoder: RowEncoder) -> None:
        assert "unit_price" not in sale_of(encoder, price=float("nan"))

    def test_ids_that_a_spreadsheet_made_fractions_of_are_whole_again(self, encoder: RowEncoder) -> None:
        assert sale_of(encoder, customer=17850.0)["customer_id"] == "17850"
