import csv
import io
import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import openpyxl
import pandas as pd
import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.query import Query
from nebuloviz.services.export import (
    FORMATS,
    csv_bytes,
    file_name,
    sheet_of_frame,
    sheet_of_lines,
    sheet_of_matrix,
    xlsx_bytes,
)
from nebuloviz.services.interfaces import OTHER, Frame, FrameColumn, SaleLine
from nebuloviz.services.shown import matrix_of

ZONE = ZoneInfo("Europe/Berlin")
START, END = datetime(2026, 11, 20, 23, tzinfo=UTC), datetime(2026, 11, 22, 23, tzinfo=UTC)


def frame(stores: list[str], revenue: list[float], grain: str | None = "day") -> Frame:
    query = Query(("revenue",), START, END, ("store",), grain=grain, time_zone=ZONE.key)  # type: ignore[arg-type]  # a grain
    moments = pd.date_range("2026-11-21", periods=len(stores), tz=ZONE.key)
    data = pd.DataFrame({"bucket": moments, "store": stores, "revenue": revenue, "unfinished": [False] * len(stores)})
    columns = (
        FrameColumn("bucket", "time"),
        FrameColumn("store", "text"),
        FrameColumn("revenue", "number", "money"),
        FrameColumn("unfinished", "boolean"),
    )
    return Frame(query, columns, data, END, "rollup_day_store")


def csv_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def xlsx_rows(content: bytes) -> list[list[object]]:
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows()]


class TestCsv:
    def test_says_what_is_shown_with_numbers_and_dates_as_such(self) -> None:
        rows = csv_rows(csv_bytes(sheet_of_frame(frame(["7", OTHER], [1234.5, -20.0]))))
        assert rows == [
            ["Time (Europe/Berlin)", "Store", "Revenue", "Unfinished"],
            ["2026-11-21", "7", "1234.5", "false"],
            ["2026-11-22", "Other", "-20", "false"],
        ]

    def test_begins_with_the_mark_that_excel_needs(self) -> None:
        assert csv_bytes(sheet_of_frame(frame(["Zürich"], [1.0]))).startswith(b"\xef\xbb\xbf")

    @pytest.mark.parametrize(
        "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "\u200b=", "\ufeff@"]
    )
    def test_lets_no_text_pass_for_a_formula(self, start: str) -> None:
        (_, row) = csv_rows(csv_bytes(sheet_of_frame(frame([f"{start}cmd|' /C calc'!A0"], [1.0]))))
        assert row[1] == f"'{start}cmd|' /C calc'!A0"

    @pytest.mark.parametrize(
        ("text", "harmless"),
        [
            ("a;=1+1", "a;'=1+1"),
            ("a;@x;-1\n=2", "a;'@x;'-1\n'=2"),
            ("a\t+1", "a\t'+1"),
            ("a-b=c; d", "a-b=c; d"),
        ],
    )
    def test_nor_the_end_of_one_where_semicolons_part_cells(self, text: str, harmless: str) -> None:
        (_, row) = csv_rows(csv_bytes(sheet_of_frame(frame([text], [1.0]))))
        assert row[1] == harmless

    def test_says_nothing_of_what_has_not_begun(self) -> None:
        (_, *rows) = csv_rows(csv_bytes(sheet_of_frame(frame(["7"] * 4, [5.0, 0.0, 0.0, 0.0]))))
        assert [row[2] for row in rows] == ["5", "0", "0", ""]

    def test_leaves_out_what_is_missing(self) -> None:
        (_, row) = csv_rows(csv_bytes(sheet_of_frame(frame([""], [math.nan]))))
        assert row[1:3] == ["Not given", ""]

    def test_tells_clocks_where_buckets_are_shorter_than_days(self) -> None:
        (_, row) = csv_rows(csv_bytes(sheet_of_frame(frame(["7"], [1.0], grain="hour"))))
        assert row[0] == "2026-11-21 00:00:00"


class TestXlsx:
    def test_has_typed_cells(self) -> None:
        heading, row = xlsx_rows(xlsx_bytes(sheet_of_frame(frame(["7"], [1234.5]))))
        assert heading == ["Time (Europe/Berlin)", "Store", "Revenue", "Unfinished"]
        assert row == [datetime(2026, 11, 21), "7", 1234.5, False]

    def test_has_no_formulas_and_no_links(self) -> None:
        content = xlsx_bytes(sheet_of_frame(frame(["=1+1", "https://example.com"], [1.0, 2.0])))
        sheet = openpyxl.load_workbook(io.BytesIO(content)).active
        assert [(cell.data_type, cell.value) for cell in sheet["B"][1:]] == [
            ("s", "=1+1"),
            ("s", "https://example.com"),
        ]
        assert all(cell.hyperlink is None for cell in sheet["B"])


class TestAHeatMap:
    def test_of_the_week_has_a_row_a_weekday_and_a_column_an_hour(self) -> None:
        query = Query(("revenue",), START, START + timedelta(days=14), grain="hour", time_zone=ZONE.key)
        hours = pd.date_range("2026-11-16", periods=14 * 24, freq="h", tz=ZONE.key)
        data = pd.DataFrame({"bucket": hours, "revenue": [1.0] * 168 + [3.0] * 168, "unfinished": False})
        week = Frame(query, (), data, data["bucket"].iloc[-1].to_pydatetime(), "rollup_hour")
        with use(Preferences(number_locale="en-GB", week_start=6)):
            heading, *rows = csv_rows(csv_bytes(sheet_of_matrix(matrix_of(week, "week", 10), "money")))
        assert heading == ["Revenue per hour and weekday", *(f"{hour:02}" for hour in range(24))]
        assert [row[0] for row in rows] == ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        assert {cell for row in rows for cell in row[1:]} == {"2"}

    def pairs(self) -> Frame:
        query = Query(("revenue",), START, END, ("store", "channel"))
        found = [("7", "web", 5.0), ("7", "shop", 2.0), ("8", "web", 1.0), ("9", "", 0.5)]
        data = pd.DataFrame(found, columns=["store", "channel", "revenue"])
        return Frame(query, (), data, END, "rollup_day_all")

    def test_of_two_dimensions_has_a_row_and_a_column_a_value_the_largest_first(self) -> None:
        heading, *rows = xlsx_rows(xlsx_bytes(sheet_of_matrix(matrix_of(self.pairs(), "pairs", 10), "money")))
        assert heading == ["Revenue: Store × Channel", "web", "shop", "Not given"]
        assert rows == [["7", 5, 2, None], ["8", 1, None, None], ["9", None, None, 0.5]]

    def test_holds_as_many_values_as_are_shown(self) -> None:
        shown = matrix_of(self.pairs(), "pairs", 2)
        assert (list(shown.rows), list(shown.columns)) == (["7", "8"], ["web", "shop"])


class TestSaleLines:
    def test_are_in_the_readers_time(self) -> None:
        line = SaleLine("s", "o", START, "", "p", "=Milk", "Dairy", "", "DE", "web", "7", 1.5, 2.0, 0.0, 3.0)
        heading, row = csv_rows(csv_bytes(sheet_of_lines([line], ZONE)))
        assert dict(zip(heading, row, strict=True))["Sold at (Europe/Berlin)"] == "2026-11-21 00:00:00"
        assert row[-4:] == ["1.5", "2", "0", "3"]
        assert "'=Milk" in row


class TestTheFile:
    def test_is_named_for_what_is_inside(self) -> None:
        assert file_name(frame(["7"], [1.0]).query, "csv") == "revenue-by-store-2026-11-21-2026-11-22.csv"

    @pytest.mark.parametrize(("ending", "start"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK")])
    def test_comes_in_each_format(self, ending: str, start: bytes) -> None:
        content_type, write = FORMATS[ending]
        write(sheet_of_frame(frame(["7"], [1.0])), out := io.BytesIO())
        assert out.getvalue().startswith(start)
        assert "/" in content_type
