from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.ingest.fields import guess
from nebuloviz.ingest.files import Row, open_table
from nebuloviz.ingest.mapping import (
    DateOrder,
    RowEncoder,
    date_order_of,
    moment_reader,
    table_mapping,
)

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
            ("soon", "mdy", "soon"),
            ("31/31/2010", "mdy", "31/31/2010"),
            (None, "mdy", None),
        ],
    )
    def test_forms(self, cell: object, order: DateOrder, expected: object) -> None:
        assert moment_reader(ZoneInfo("Europe/London"), order)(cell) == expected

    @pytest.mark.parametrize(
        ("values", "order"),
        [
            (["1/2/2010", "13/2/2010"], "dmy"),
            (["1/2/2010", "2/13/2010"], "mdy"),
            (["1/2/2010"], "mdy"),
            (["1.2.2010"], "dmy"),
            (["2010-01-02", None, 3], "mdy"),
        ],
    )
    def test_the_order_of_day_and_month_is_seen_from_the_values(self, values: list[object], order: DateOrder) -> None:
        assert date_order_of(values) == order


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

    def test_no_number_is_missing(self, encoder: RowEncoder) -> None:
        assert "unit_price" not in sale_of(encoder, price=float("nan"))

    def test_ids_that_a_spreadsheet_made_fractions_of_are_whole_again(self, encoder: RowEncoder) -> None:
        assert sale_of(encoder, customer=17850.0)["customer_id"] == "17850"
