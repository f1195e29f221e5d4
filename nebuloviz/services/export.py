"""Frames and sale lines as files that people open in a spreadsheet: CSV and XLSX of exactly what is shown, in the reader's words.

Numbers stay numbers and times stay times, on the clock of the frame's zone, which the heading names. Text stays text: whatever it
begins with, no spreadsheet takes it for a formula.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd
import xlsxwriter

from nebuloviz.i18n import _, lazy, percent
from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import dimension, metric
from nebuloviz.services.interfaces import Frame, FrameColumn, SaleLine
from nebuloviz.services.shown import Matrix, happened, value_label

_BOM = "\ufeff"  # without it Excel reads UTF-8 as something else
#: Where a spreadsheet could find the beginning of a formula, full-width forms and what is not seen in front of it included: at the
#: start, or behind what another language's spreadsheet takes for the end of a cell.
_FORMULA_START = re.compile(
    "(?:^|(?<=[;\t\r\n]))(?=[\u200b-\u200f\u2060\ufeff]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
)
_DATE_ONLY = {"day", "week", "month", "quarter", "year"}
_FIRST_YEAR = 1900  # Excel knows no earlier dates
_NUMBER_FORMATS = {"money": "#,##0.00", "count": "#,##0", "quantity": "#,##0.###", "ratio": "0.0%", "": "General"}
_LINE_WORDS = {
    "sale_id": lazy("Sale"),
    "order_id": lazy("Order"),
    "sold_at": lazy("Sold at"),
    "customer_id": lazy("Customer"),
    "product_id": lazy("Product number"),
    "product": lazy("Product"),
    "category": lazy("Category"),
    "region": lazy("Region"),
    "country": lazy("Country"),
    "channel": lazy("Channel"),
    "store": lazy("Store"),
    "quantity": lazy("Quantity"),
    "unit_price": lazy("Unit price"),
    "discount": lazy("Discount"),
    "revenue": lazy("Revenue"),
}
_LINE_UNITS = {"quantity": "quantity", "unit_price": "money", "discount": "money", "revenue": "money"}


@dataclass(frozen=True)
class Column:
    """A heading, what its cells hold (`date` is a time shown without its clock), and for numbers the unit."""

    heading: str
    kind: Literal["date", "time", "text", "number", "boolean"]
    unit: str = ""


@dataclass(frozen=True)
class Sheet:
    """Cells are str, float (NaN is empty), bool, or datetime without a zone. Rows may come one by one, and then once only."""

    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]


def sheet_of_frame(frame: Frame) -> Sheet:
    """A frame as shown: ids beside names, 'Other' and 'Not given' in words, nothing yet of buckets that have not begun."""
    columns = tuple(_frame_column(column, frame) for column in frame.columns)
    data = happened(frame)
    return Sheet(columns, list(zip(*(_frame_cells(data, column) for column in frame.columns), strict=True)))


def sheet_of_matrix(matrix: Matrix, unit: str) -> Sheet:
    """A heat map as shown: a row each of its rows, a column each of its columns; `unit` is that of its cells."""
    across = (Column(words, "number", unit) for words in matrix.column_words)
    cells = zip(matrix.row_words, matrix.cells.tolist(), strict=True)
    return Sheet((Column(matrix.title, "text"), *across), [[words, *values] for words, values in cells])


def sheet_of_lines(lines: Iterable[SaleLine], zone: ZoneInfo) -> Sheet:
    """Sale lines with their times on the clock of `zone`."""
    columns = tuple(_line_column(name, zone) for name in _LINE_WORDS)
    return Sheet(columns, ([_line_cell(getattr(line, name), zone) for name in _LINE_WORDS] for line in lines))


def write_csv(sheet: Sheet, out: IO[bytes]) -> None:
    """UTF-8 with a byte order mark, commas, a heading row. What could pass for a formula in a text gets an apostrophe in front."""
    text = io.TextIOWrapper(out, "utf-8", newline="")
    text.write(_BOM)
    writer = csv.writer(text)
    writer.writerow(_harmless(column.heading) for column in sheet.columns)
    for row in sheet.rows:
        writer.writerow(_csv_cell(value, column) for value, column in zip(row, sheet.columns, strict=True))
    text.detach()  # flushes; `out` stays the caller's


def csv_bytes(sheet: Sheet) -> bytes:
    """What `write_csv` writes."""
    out = io.BytesIO()
    write_csv(sheet, out)
    return out.getvalue()


def plain_csv(frame: Frame) -> bytes:
    """A frame for programs: UTF-8, columns by their names, times in ISO 8601 with their offset, nothing for what is missing.

    Text that could pass for a formula gets an apostrophe in front here too: such files are opened with spreadsheets after all.
    """
    texts = {column.name: frame.data[column.name].map(_harmless) for column in frame.columns if column.type == "text"}
    times = {
        column.name: [moment.isoformat() for moment in frame.data[column.name]]
        for column in frame.columns
        if column.type == "time"
    }
    return frame.data.assign(**texts, **times).to_csv(index=False, lineterminator="\r\n").encode()


def write_xlsx(sheet: Sheet, out: IO[bytes]) -> None:
    """A workbook of one sheet, with typed cells, a fixed heading row and a filter. Text cells are strings, never formulas."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        page = book.add_worksheet()
        heading = book.add_format({"bold": True})
        for place, column in enumerate(sheet.columns):
            page.write_string(0, place, column.heading, heading)
            page.set_column(
                place, place, max(12, len(column.heading) + 2), book.add_format({"num_format": _format_of(column)})
            )
        last = 0
        for last, row in enumerate(sheet.rows, 1):
            for place, value in enumerate(row):
                _write(page, last, place, value)
        page.freeze_panes(1, 0)
        page.autofilter(0, 0, last, len(sheet.columns) - 1)


def xlsx_bytes(sheet: Sheet) -> bytes:
    """What `write_xlsx` writes."""
    out = io.BytesIO()
    write_xlsx(sheet, out)
    return out.getvalue()


#: What a sheet can be had as: ending of the file -> its content type, and what writes it, row by row.
FORMATS: dict[str, tuple[str, Callable[[Sheet, IO[bytes]], None]]] = {
    "csv": ("text/csv; charset=utf-8", write_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx),
}


def file_name(query: Query, ending: str, what: str = "") -> str:
    """A name that says what is inside, of letters, digits and hyphens: `revenue-by-store-2026-11-01-2026-11-22.csv`.

    `what` says it instead of the query's metrics and dimensions.
    """
    last = query.end - timedelta(microseconds=1)
    days = [moment.astimezone(query.zone).date().isoformat() for moment in (query.start, last)]
    by = ["by", *query.dimensions] if query.dimensions else []
    words = "-".join([*([what] if what else [*query.metrics, *by]), *days]).replace("_", "-")
    return f"{words}.{ending}"


def _frame_column(column: FrameColumn, frame: Frame) -> Column:
    name, _colon, suffix = column.name.partition(":")
    if column.type == "time":
        kind: Literal["date", "time"] = "date" if frame.query.grain in _DATE_ONLY else "time"
        return Column(_("Time ({zone})", zone=frame.query.time_zone), kind)
    if column.type == "boolean":
        return Column(_("Unfinished"), "boolean")
    if name == "planned":
        return Column(_("Calendar"), "text")
    if column.type == "text":
        label = dimension(name).label
        return Column(_("{dimension} (name)", dimension=label) if suffix else str(label), "text")
    return Column(_figure_heading(str(metric(name).label), suffix), "number", column.unit)


def _figure_heading(label: str, suffix: str) -> str:
    """What stands above a metric's figures, or above what `suffix` says of them."""
    headings = {
        "": label,
        "comparison": _("{metric} (comparison)", metric=label),
        "low": _("{metric} (expected, from)", metric=label),
        "high": _("{metric} (expected, to)", metric=label),
        "ahead_value": _("{metric} (forecast)", metric=label),
    }
    if suffix in headings:
        return headings[suffix]
    _ahead, end, level = suffix.split("_")
    often = percent(int(level) / 100, 0)
    if end == "low":
        return _("{metric} (forecast, {percent} of the time from)", metric=label, percent=often)
    return _("{metric} (forecast, {percent} of the time to)", metric=label, percent=often)


def _frame_cells(data: pd.DataFrame, column: FrameColumn) -> list[Any]:
    values = data[column.name]
    if column.type == "time":
        return [moment.to_pydatetime().replace(tzinfo=None) for moment in values]
    if column.type == "text" and column.name != "planned":
        return [value_label(value) for value in values]
    return list(values.tolist())


def _line_column(name: str, zone: ZoneInfo) -> Column:
    words = str(_LINE_WORDS[name])
    if name == "sold_at":
        return Column(f"{words} ({zone.key})", "time")
    return Column(words, "number" if name in _LINE_UNITS else "text", _LINE_UNITS.get(name, ""))


def _line_cell(value: Any, zone: ZoneInfo) -> Any:
    return value.astimezone(zone).replace(tzinfo=None) if isinstance(value, datetime) else value


def _csv_cell(value: Any, column: Column) -> str:
    if isinstance(value, str):
        return _harmless(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if column.kind == "date" else value.isoformat(" ", "seconds")
    if isinstance(value, bool):
        return str(value).lower()
    return _plain(value)


def _plain(value: float) -> str:
    """A number without grouping or exponent, and without decimals where it is whole; '' for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def _harmless(text: str) -> str:
    return _FORMULA_START.sub("'", text)


def _format_of(column: Column) -> str:
    times = {"date": "yyyy-mm-dd", "time": "yyyy-mm-dd hh:mm"}
    return times.get(column.kind) or ("@" if column.kind == "text" else _NUMBER_FORMATS[column.unit])


def _write(page: Any, row: int, place: int, value: Any) -> None:
    if isinstance(value, bool):
        page.write_boolean(row, place, value)
    elif isinstance(value, datetime) and value.year >= _FIRST_YEAR:
        page.write_datetime(row, place, value)
    elif isinstance(value, (str, datetime)):
        page.write_string(row, place, str(value))
    elif not math.isnan(value):
        page.write_number(row, place, value)
