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
import xlsxwriter

from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.files import open_table
from nebuloviz.ingest.tables import MAX_COLUMNS, TableFile

HEADER = "order,product,quantity"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cells(table: TableFile) -> list[list[object]]:
    return [list(row.cells) for row in table.rows()]


class TestText:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
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
        assert table.n_rows == 1

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("line", ["sep=;", '"sep=;"'])
    def test_a_delimiter_may_be_announced(self, tmp_path: Path, line: str, encoding: str) -> None:
        table = open_table(written(tmp_path / "t.csv", f"{line}\r\na,b;c,d,e\r\n1,5;2\r\n".encode(encoding)))
        assert table.columns == ("a,b", "c,d,e")
        assert cells(table) == [["1,5", "2"]]

    def test_lines_that_end_with_cr_are_kept_to_the_byte_and_cut_like_others(self, tmp_path: Path) -> None:
        content = b"a,b\r" + "é".encode("cp1252") + b",2\r" + b"y" * (5 << 20) + b"\r4,5"
        rows = list(open_table(written(tmp_path / "t.csv", content)).rows())
        assert [row.original for row in rows if not row.problem] == [b"\xe9,2\r", b"4,5"]
        assert ["a line of more than" in row.problem for row in rows] == [False, True, False]

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

    def test_texts_of_a_workbook_beyond_what_memory_should_hold(self, tmp_path: Path) -> None:
        """Well below the size that a whole workbook may have: it is these that are read at once."""
        path, texts = tmp_path / "t.xlsx", [f"{number:x}" * 3_000 for number in range(10)]
        with xlsxwriter.Workbook(path) as book:
            book.add_worksheet().write_row(0, 0, ["sale_id", *texts])
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        item = b"<si><t>" + b"".join(f"{number:x}".encode() for number in range(20_000)) + b"</t></si>"
        parts["xl/sharedStrings.xml"] = parts["xl/sharedStrings.xml"].replace(b"</sst>", item * 900 + b"</sst>")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        with pytest.raises(InvalidInput, match="save it as CSV"):
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


SHEET, BOOK = "xl/worksheets/sheet1.xml", "xl/workbook.xml"


class TestDamage:
    """Workbooks and Parquet files that no program writes, and that trip the libraries which read them."""

    @staticmethod
    def workbook(path: Path, part: str, old: bytes, new: bytes) -> Path:
        """A workbook with two rows below its heading, in which `old` has been replaced."""
        book = openpyxl.Workbook()
        for row in (HEADER.split(","), ["o1", "p", 12345], ["o2", "p", 2]):
            book.worksheets[0].append(row)
        book.save(path)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        assert old in parts[part]
        parts[part] = parts[part].replace(old, new, 1)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return path

    @pytest.mark.parametrize(
        ("part", "old", "new"),
        [
            (SHEET, b"</sheetData>", b"</sheetDat"),
            (SHEET, b"<v>12345</v>", b"<v>NaN</v>"),
            (SHEET, b"<v>12345</v>", b"<v>" + b"9" * 5_000 + b"</v>"),
            (SHEET, b't="n"><v>12345</v>', b't="s"><v>77</v>'),
            (SHEET, b'ref="A1:C3"', b'ref="nowhere"'),
            (SHEET, b'r="C3"', b'r="AAAAAA3"'),
            (SHEET, b'<row r="3"', b'<row r="x"'),
            (SHEET, b'<row r="3"', b'<row r="99999999999"'),
            (SHEET, b'<row r="1"', b'<row r="99999999999"'),
            (BOOK, b"</workbook>", b"</"),
        ],
    )
    def test_of_a_workbook_is_told_with_a_reason(self, tmp_path: Path, part: str, old: bytes, new: bytes) -> None:
        path = self.workbook(tmp_path / "t.xlsx", part, old, new)
        with pytest.raises(
            InvalidInput, match=r"^t\.xlsx (cannot be read: \S.*|has a row beyond number 1,048,576)\.$"
        ) as told:
            list(open_table(path).rows())
        assert str(tmp_path) not in str(told.value)

    @pytest.mark.parametrize("flag", [(6, 1), (8, 99)], ids=["encrypted", "packed otherwise"])
    def test_of_its_archive_too(self, tmp_path: Path, flag: tuple[int, int]) -> None:
        path = self.workbook(tmp_path / "t.xlsx", SHEET, b"p", b"p")
        content, (place, value) = bytearray(path.read_bytes()), flag
        for head, further in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            at = -1
            while (at := content.find(head, at + 1)) >= 0:
                content[at + place + further] = value
        with pytest.raises(InvalidInput, match="cannot be read"):
            open_table(written(path, bytes(content)))

    def test_of_a_parquet_file_half_way_is_told_too(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"order": ["a", "b"]}), tmp_path / "t.parquet")
        content = bytearray((tmp_path / "t.parquet").read_bytes())
        content[10:30] = b"\xff" * 20
        table = open_table(written(tmp_path / "t.parquet", bytes(content)))
        with pytest.raises(InvalidInput, match=r"t\.parquet cannot be read: \S"):
            list(table.rows())

    def test_a_number_of_any_length_does_not_harm_its_neighbours(self, tmp_path: Path) -> None:
        path = self.workbook(tmp_path / "t.xlsx", SHEET, b"<v>12345</v>", b"<v>" + b"9" * 30 + b"</v>")
        first, second = open_table(path).rows()
        assert json.loads(first.original) == ["o1", "p", int("9" * 30)]
        assert list(second.cells) == ["o2", "p", 2]

    @pytest.mark.parametrize(
        "values",
        [
            pa.array([20_000, 2**31 - 1], pa.date32()),
            pa.array([10**15, 2**62], pa.timestamp("us")),
            pa.array([0, 253_402_300_799_000_000], pa.timestamp("us", "Asia/Tokyo")),
            pa.Array.from_buffers(
                pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
            ),
        ],
        ids=["day", "time", "time with a zone", "text"],
    )
    def test_nor_does_a_value_that_python_cannot_hold(self, tmp_path: Path, values: pa.Array) -> None:
        pq.write_table(pa.table({"order": ["a", "b"], "value": values}), tmp_path / "t.parquet")
        first, second = open_table(tmp_path / "t.parquet").rows()
        assert not isinstance(first.cells[1], str) or first.cells[1] == "a"
        assert isinstance(second.cells[1], str)
        assert not second.cells[1].isdecimal(), "it must not pass for the seconds of a time"


def test_rows_beyond_the_size_that_a_sheet_gives_itself_are_read(tmp_path: Path) -> None:
    path = TestDamage.workbook(tmp_path / "t.xlsx", SHEET, b'ref="A1:C3"', b'ref="A1"')
    table = open_table(path)
    assert (table.columns, len(list(table.rows()))) == (tuple(HEADER.split(",")), 2)


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([HEADER.split(","), *([str(n), f"p{n}", "1"] for n in range(500))])
    table = open_table(written(tmp_path / "t.csv", out.getvalue()))
    assert list(table.rows()) == list(table.rows())
