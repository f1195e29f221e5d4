import csv
import gzip
import io
import json
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.files import MAX_COLUMNS, TableFile, open_table

HEADER = "order,product,quantity"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cells(table: TableFile) -> list[list[object]]:
    return [list(row.cells) for row in table.rows()]


class TestText:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_every_delimiter_and_line_end(self, tmp_path: Path, delimiter: str, ending: str) -> None:
        lines = [delimiter.join(row) for row in (["a", "b"], ["1", "x y"], ["2", "z"])]
        table = open_table(written(tmp_path / "t.csv", ending.join(lines)))
        assert table.columns == ("a", "b")
        assert cells(table) == [["1", "x y"], ["2", "z"]]
        assert table.n_rows == 2

    @pytest.mark.parametrize(
        "content",
        [
            "a,b\nCafé,£1\n".encode(),
            "\ufeffa,b\nCafé,£1\n".encode(),
            "a,b\nCafé,£1\n".encode("cp1252"),
            "a,b\nCafé,£1\n".encode("utf-16"),
        ],
        ids=["utf-8", "byte order mark", "Windows-1252", "UTF-16"],
    )
    def test_every_encoding(self, tmp_path: Path, content: bytes) -> None:
        table = open_table(written(tmp_path / "t.csv", content))
        assert table.columns == ("a", "b")
        assert cells(table) == [["Café", "£1"]]

    def test_gzipped(self, tmp_path: Path) -> None:
        assert cells(open_table(written(tmp_path / "t", gzip.compress(b"a,b\n1,2\n")))) == [["1", "2"]]

    def test_quoted_cells_may_hold_anything_and_originals_are_the_very_bytes(self, tmp_path: Path) -> None:
        content = 'a,b\n"x, ""y""\n z",2\r\n3,4\n'
        table = open_table(written(tmp_path / "t.csv", content))
        assert cells(table) == [['x, "y"\n z', "2"], ["3", "4"]]
        assert [row.original for row in table.rows()] == [b'"x, ""y""\n z",2\r\n', b"3,4\n"]

    def test_blank_lines_are_no_rows(self, tmp_path: Path) -> None:
        assert cells(open_table(written(tmp_path / "t.csv", "\n\na,b\n\n1,2\n,\n\n"))) == [["1", "2"]]

    def test_too_many_cells_are_a_problem_of_that_row_only(self, tmp_path: Path) -> None:
        rows = list(open_table(written(tmp_path / "t.csv", "a,b\n1,2,3\n4,5,\n6\n")).rows())
        assert [row.problem for row in rows] == ["3 cells under 2 columns", "", ""]

    def test_a_huge_cell_or_line_does_not_harm_its_neighbours(self, tmp_path: Path) -> None:
        content = f'a,b\n1,2\n"{"x" * (1 << 21)}",3\n{"y" * (5 << 20)}\n4,5\n'
        rows = list(open_table(written(tmp_path / "t.csv", content)).rows())
        assert [(list(row.cells), bool(row.problem)) for row in rows if not row.problem] == [
            (["1", "2"], False),
            (["4", "5"], False),
        ]
        assert any("field larger" in row.problem for row in rows)
        assert all(len(row.original) <= 1 << 16 for row in rows)

    def test_json_lines_need_no_columns(self, tmp_path: Path) -> None:
        table = open_table(written(tmp_path / "t.ndjson", '{"sale_id": 1}\n\n{"sale_id": 2}\n'))
        assert table.is_json
        assert [row.original for row in table.rows()] == [b'{"sale_id": 1}', b'{"sale_id": 2}']


class TestHeaders:
    @pytest.mark.parametrize(
        ("header", "columns"),
        [
            (" a , b b ", ("a", "b b")),
            ("a,a,a", ("a", "a (2)", "a (3)")),
            ("a,,b,,", ("a", "column 2", "b")),
            ('"a\tb",ü', ("a b", "ü")),
            ("=1+1,<b>", ("=1+1", "<b>")),
        ],
    )
    def test_odd_ones_become_usable(self, tmp_path: Path, header: str, columns: tuple[str, ...]) -> None:
        assert open_table(written(tmp_path / "t.csv", header + "\n1,2\n")).columns == columns

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"\n\n", "no header"),
            (b",,,\n", "no header"),
            (b"a," * (MAX_COLUMNS + 5) + b"\n1\n", "columns"),
            (b"a," * 1_000_000 + b"\n1\n", "columns"),
            (b"x" * (5 << 20), "longer than"),
            (b"\x00\x01\x02\x03" * 100, "not text"),
            (b"PK\x03\x04 no archive", "cannot be read"),
            (b"PAR1 no parquet", "cannot be read"),
            (b"\x1f\x8b no gzip", "cannot be read"),
            (gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-20], "cannot be read"),
        ],
    )
    def test_what_is_no_table_is_refused_and_says_why(self, tmp_path: Path, content: bytes, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            open_table(written(tmp_path / "file.csv", content))

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="No such file"):
            open_table(tmp_path / "nothing.csv")


class TestBombs:
    def test_gzip(self, tmp_path: Path) -> None:
        bomb = gzip.compress(b"a,b\n" + b"\n" * (64 << 20))
        with pytest.raises(InvalidInput, match="expands to more than"):
            open_table(written(tmp_path / "t.csv.gz", bomb))

    def test_workbook(self, tmp_path: Path) -> None:
        path = tmp_path / "t.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")
            archive.writestr("xl/worksheets/sheet1.xml", " " * (64 << 20))
        with pytest.raises(InvalidInput, match="expands to"):
            open_table(path)

    def test_another_archive(self, tmp_path: Path) -> None:
        path = tmp_path / "t.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(InvalidInput, match="no Excel workbook"):
            open_table(path)


class TestBinaryTables:
    def test_a_workbook_has_values_of_its_first_sheet(self, tmp_path: Path) -> None:
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        for row in (
            ["order", "when", "price", None],
            ["A1", datetime(2026, 1, 2, 3, 4), 2.5, None],
            [17850.0, None, "x", None],
        ):
            sheet.append(row)
        path = tmp_path / "t.xlsx"
        book.save(path)
        table = open_table(path)
        assert table.columns == ("order", "when", "price")
        assert cells(table) == [["A1", datetime(2026, 1, 2, 3, 4), 2.5], [17850, None, "x"]]
        assert json.loads(next(table.rows()).original) == ["A1", "2026-01-02T03:04:00", 2.5]

    def test_parquet(self, tmp_path: Path) -> None:
        moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
        table = pa.table(
            {
                "order": pa.array([1, 2]),
                "at": pa.array([moment, None], pa.timestamp("ns", "UTC")),
                "day": pa.array([date(2026, 1, 2), None]),
                "price": pa.array([Decimal("2.50"), None]),
            }
        )
        pq.write_table(table, tmp_path / "t.parquet")
        read = open_table(tmp_path / "t.parquet")
        assert (read.columns, read.n_rows) == (("order", "at", "day", "price"), 2)
        assert cells(read) == [[1, moment, date(2026, 1, 2), Decimal("2.50")], [2, None, None, None]]


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([HEADER.split(","), *([str(n), f"p{n}", "1"] for n in range(500))])
    table = open_table(written(tmp_path / "t.csv", out.getvalue()))
    assert list(table.rows()) == list(table.rows())
