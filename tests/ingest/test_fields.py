import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.fields import corrected, guess, missing

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
INVOICES = ["Beleg-Nr.", "Belegdatum", "Art.-Nr.", "Menge", "Nettobetrag"]


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

    @pytest.mark.parametrize("columns", [RETAIL, UCI, JOURNEY, INVOICES])
    def test_well_known_files_lack_nothing(self, columns: list[str]) -> None:
        assert missing(guess(columns)) == ()

    @pytest.mark.parametrize(
        "columns",
        [
            ["Bestell-Nr.", "Datum", "Artikel", "Stück", "Einzelpreis", "Filiale", "Warengruppe"],
            ["Nº de pedido", "Fecha y hora", "Artículo", "Cantidad", "Precio unitario", "Tienda", "Categoría"],
            ["رقم الطلب", "التاريخ", "المنتج", "الكمية", "السعر", "المتجر", "الفئة"],
        ],
        ids=["de", "es", "ar"],
    )
    def test_columns_may_be_named_in_every_language_of_the_program(self, columns: list[str]) -> None:
        fields = ("order_id", "sold_at", "product_id", "quantity", "unit_price", "store", "category")
        assert guess(columns) == dict(zip(fields, columns, strict=True))

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
