from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.files import Row, open_table
from nebuloviz.ingest.mapping import (
    DateOrder,
    RowEncoder,
    corrected,
    date_order_of,
    guess,
    missing,
    moment_reader,
    table_mapping,
)

RETAIL = ["ts", "invoice", "product", "description", "customer", "country", "quantity", "price"]
UCI = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
JOURNEY = [
    "household_id",
    "store_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
    "transaction_timestamp",
]


class TestGuess:
    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            (RETAIL, {"order_id": "invoice", "product_id": "product", "product": "description", "unit_price": "price"}),
            (
                UCI,
                {
                    "order_id": "InvoiceNo",
                    "product_id": "StockCode",
                    "product": "Description",
                    "sold_at": "InvoiceDate",
                },
            ),
            (
                JOURNEY,
                {"order_id": "basket_id", "amount": "sales_value", "customer_id": "household_id", "store": "store_id"},
            ),
            (
                ["Order ID", "Order Date", "SKU", "Product Name", "Sales", "Qty"],
                {"amount": "Sales", "product": "Product Name"},
            ),
            (
                ["sale_id", "order_id", "product_id", "product", "department"],
                {"sale_id": "sale_id", "category": "department"},
            ),
        ],
    )
    def test_names_of_the_field_are_understood(self, columns: list[str], expected: dict[str, str]) -> None:
        assert expected.items() <= guess(columns).items()

    @pytest.mark.parametrize("columns", [RETAIL, UCI, JOURNEY])
    def test_well_known_files_lack_nothing(self, columns: list[str]) -> None:
        assert missing(guess(columns)) == ()

    def test_a_column_serves_one_field(self) -> None:
        mapped = list(guess(["product", "date", "total", "order"]).values())
        assert len(mapped) == len(set(mapped))

    def test_what_is_missing_is_named(self) -> None:
        assert missing(guess(["a", "b"])) == ("order_id", "sold_at", "product_id", "quantity", "unit_price")


class TestCorrections:
    def test_they_win_and_take_the_column_from_where_it_was_guessed(self) -> None:
        mapping = corrected(guess(RETAIL), {"product": "product", "product_id": "description"}, RETAIL)
        assert (mapping["product"], mapping["product_id"]) == ("product", "description")

    def test_a_column_may_be_named_in_any_case(self) -> None:
        assert corrected({}, {"order_id": "invoiceno"}, UCI) == {"order_id": "InvoiceNo"}

    def test_nothing_takes_a_field_out(self) -> None:
        assert "country" not in corrected(guess(RETAIL), {"country": ""}, RETAIL)

    @pytest.mark.parametrize(("field", "column"), [("nonsense", "invoice"), ("order_id", "nonsense")])
    def test_what_is_not_there_is_refused(self, field: str, column: str) -> None:
        with pytest.raises(InvalidInput, match="nonsense"):
            corrected({}, {field: column}, RETAIL)


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
