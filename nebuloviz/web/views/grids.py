"""Long tables as AG Grid: the rows behind a chart, and sale lines that load as one scrolls."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import pandas as pd
from dash import html
from dash.development.base_component import Component

from nebuloviz.i18n import (
    LazyText,
    _,
    ag_grid_locale,
    bucket_label,
    current,
    format_datetime,
    is_rtl,
    lazy,
    money,
    number,
    quantity,
)
from nebuloviz.metrics.registry import Metric, dimension, metric
from nebuloviz.services.interfaces import Frame, SaleLine, SalePage
from nebuloviz.services.shown import value_labels
from nebuloviz.web.figures import range_text, value_text
from nebuloviz.web.question import comparison_words

BLOCK = 100
#: The order of sale lines that nobody has sorted.
NEWEST_FIRST = "-sold_at"
_NUMERIC = "rightAligned"

#: Fields of a sale line in the order in which they are shown: heading, whether numeric, width.
LINE_COLUMNS: tuple[tuple[str, LazyText, bool, int], ...] = (
    ("sold_at", lazy("Time"), False, 200),
    ("product", lazy("Product"), False, 220),
    ("category", lazy("Category"), False, 130),
    ("quantity", lazy("Quantity"), True, 100),
    ("unit_price", lazy("Unit price"), True, 110),
    ("discount", lazy("Discount"), True, 110),
    ("revenue", lazy("Revenue"), True, 110),
    ("store", lazy("Store"), False, 100),
    ("channel", lazy("Channel"), False, 100),
    ("region", lazy("Region"), False, 100),
    ("country", lazy("Country"), False, 120),
    ("customer_id", lazy("Customer"), False, 110),
    ("order_id", lazy("Order"), False, 140),
    ("product_id", lazy("Product number"), False, 140),
    ("sale_id", lazy("Sale"), False, 200),
)
#: Fields whose words are often cut: at their own end, which in an Arabic page is not always that of the page.
_CUT = ("product", "category")
#: Prices below it, such as that of a thousandth of a gallon, are shown as exactly as they are stored.
_SMALL_PRICE = 0.1
_STORED_DIGITS = 4


def unit_price(price: float) -> str:
    """The price of one unit; a small one is never rounded to nothing."""
    rounded_away = abs(price) < _SMALL_PRICE and price != round(price, 2)
    return money(price, digits=_STORED_DIGITS) if rounded_away else money(price)


_LINE_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "sold_at": lambda moment: format_datetime(moment, "medium"),
    "quantity": quantity,
    "unit_price": unit_price,
    "discount": money,
    "revenue": money,
}


def line_row(line: SaleLine) -> dict[str, str]:
    """A sale line in the reader's own form, as the grid shows it."""
    raw = {field: getattr(line, field) for field, *_rest in LINE_COLUMNS}
    row = {field: _LINE_TEXTS.get(field, str)(value) for field, value in raw.items()}
    row["product"] = line.product or line.product_id
    return row | {f"{field}_ltr": "1" if _runs_to_the_right(row[field]) else "" for field in _CUT}


def _runs_to_the_right(text: str) -> bool:
    """Whether no letter of `text` belongs to a script that is written to the left."""
    return not any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text)


def lines_grid(id: Any, present: Sequence[str]) -> Component:
    """An empty grid of sale lines that asks for `BLOCK` of them at a time. Dimensions that are not `present` have no column."""
    options = {"cacheBlockSize": BLOCK, "maxBlocksInCache": 20, "infiniteInitialRowCount": 1, "rowBuffer": 0}
    return _grid(
        id=id, columnDefs=_line_columns(present), rowModelType="infinite", dashGridOptions=_options() | options
    )


def lines_table(page: SalePage, present: Sequence[str]) -> Component:
    """The lines of one page, all at once; says where there are more."""
    rows = [line_row(line) for line in page.lines]
    height = min(420, 44 + 34 * max(len(rows), 2))
    grid = _grid(columnDefs=_line_columns(present), rowData=rows, dashGridOptions=_options(), height=height)
    if page.total <= len(rows):
        return grid
    words = _(
        "The {shown} largest of {total} lines. Explore has them all.", shown=number(len(rows)), total=number(page.total)
    )
    return html.Div([html.P(words, className="nv-table-note"), grid])


def _line_columns(present: Sequence[str]) -> list[dict[str, Any]]:
    absent = {"category", "region", "country", "channel", "store"} - set(present)
    return [
        {
            "field": field,
            "headerName": str(label),
            "width": width,
            "type": _NUMERIC if numeric else None,
            "sortingOrder": ["desc", "asc", None],
            **({"cellClassRules": {"nv-ltr": f"params.data && params.data.{field}_ltr"}} if field in _CUT else {}),
        }
        for field, label, numeric, width in LINE_COLUMNS
        if field not in absent
    ]


def letters_table(rows: Sequence[Mapping[str, Any]], *, selectable: bool) -> Component:
    """Dead letters, as `views.dead_letters.letter_row` makes their rows; chosen by checkbox or the space bar."""
    heads = (
        ("received", _("Received"), 210),
        ("reason", _("Reason"), 170),
        ("detail", _("Detail"), 260),
        ("bytes", _("Bytes"), 380),
        ("size", _("Size"), 90),
        ("where", _("Where"), 200),
    )
    definitions = [
        {
            "field": field,
            "headerName": words,
            "width": width,
            "tooltipField": field if field in {"detail", "bytes"} else None,
            # what machines wrote runs from left to right on every page
            **({"cellStyle": {"direction": "ltr"}} if field in {"detail", "bytes", "where"} else {}),
        }
        for field, words, width in heads
    ]
    selection = {"rowSelection": {"mode": "multiRow", "headerCheckbox": True}} if selectable else {}
    return _grid(
        id="data-letters-grid",
        columnDefs=definitions,
        rowData=[dict(row) for row in rows],
        dashGridOptions=_options() | selection,
        height=min(420, 44 + 34 * max(len(rows), 3)),
    )


def order_of(sort_model: object) -> str:
    """The grid's sorting as the services know it."""
    first = sort_model[0] if isinstance(sort_model, list) and sort_model else {}
    field = first.get("colId") if isinstance(first, dict) else None
    if field not in [name for name, *_rest in LINE_COLUMNS]:  # a list, as what a browser sends may have no hash
        return NEWEST_FIRST
    return str(field) if first.get("sort") == "asc" else f"-{field}"


def frame_grid(frame: Frame, data: pd.DataFrame, height: int = 420) -> Component:
    """The rows behind a chart; every figure in the reader's own form, sorted by its value."""
    return _text_grid(_frame_columns(frame, data), data, height)


def course_grid(data: pd.DataFrame, shown: Metric, grain: str) -> Component:
    """The same of one series and the range that is expected of it."""
    figures = [
        (shown.slug, str(shown.label), True, _number_cells(shown, shown.slug)),
        (f"{shown.slug}:low", _("Expected range"), True, _range_cells(shown)),
    ]
    return _text_grid([("bucket", _("Time"), False, _time_cells(grain)), *figures], data, 320)


def _text_grid(columns: Sequence[_GridColumn], data: pd.DataFrame, height: int) -> Component:
    rows = [
        {name: part for index, (*_head, cells) in enumerate(columns) for name, part in _cell(index, cells(row))}
        for row in data.to_dict(orient="records")
    ]
    definitions = [
        {
            "colId": name,  # by which a file of the rows is sorted
            "field": f"v{index}",
            "headerName": heading,
            "type": _NUMERIC if numeric else None,
            "valueFormatter": {"function": f"params.data.t{index}"},
        }
        for index, (name, heading, numeric, _cells) in enumerate(columns)
    ]
    return _grid(
        columnDefs=definitions,
        rowData=rows,
        columnSize="responsiveSizeToFit",
        dashGridOptions=_options(),
        height=height,
    )


def _cell(index: int, cell: tuple[Any, str]) -> list[tuple[str, Any]]:
    return [(f"v{index}", cell[0]), (f"t{index}", cell[1])]


_Cells = Callable[[Mapping[Any, Any]], tuple[Any, str]]
_GridColumn = tuple[str, str, bool, _Cells]


def _frame_columns(frame: Frame, data: pd.DataFrame) -> list[_GridColumn]:
    """(name, heading, whether numeric, row -> value to sort by and text to show) of each column."""
    query = frame.query
    columns: list[_GridColumn] = []
    if query.grain is not None:
        columns.append(("bucket", _("Time"), False, _time_cells(query.grain)))
    columns += [
        (slug, str(dimension(slug).label), False, _name_cells(slug, value_labels(data, slug)))
        for slug in query.dimensions
    ]
    for slug in query.metrics:
        shown = metric(slug)
        columns.append((slug, str(shown.label), True, _number_cells(shown, slug)))
        if f"{slug}:comparison" in data:
            words = _("{metric}, {comparison}", metric=shown.label, comparison=comparison_words(query.comparison))
            columns.append((f"{slug}:comparison", words, True, _number_cells(shown, f"{slug}:comparison")))
        if f"{slug}:low" in data:
            columns.append((f"{slug}:low", _("Expected range"), True, _range_cells(shown)))
    if "planned" in data:
        columns.append(("planned", _("Calendar"), False, lambda row: (row["planned"], row["planned"])))
    return columns


def _time_cells(grain: str) -> _Cells:
    def cells(row: Mapping[Any, Any]) -> tuple[Any, str]:
        start = row["bucket"].to_pydatetime()
        label = bucket_label(start, grain)
        return start.isoformat(), _("{time} · so far", time=label) if row.get("unfinished") else label

    return cells


def _name_cells(slug: str, labels: Mapping[str, str]) -> _Cells:
    def cells(row: Mapping[Any, Any]) -> tuple[Any, str]:
        label = labels[row[slug]]
        return label, label

    return cells


def _number_cells(shown: Metric, column: str) -> _Cells:
    def cells(row: Mapping[Any, Any]) -> tuple[Any, str]:
        value = float(row[column])
        return (value if math.isfinite(value) else None), value_text(shown, value)

    return cells


def _range_cells(shown: Metric) -> _Cells:
    def cells(row: Mapping[Any, Any]) -> tuple[Any, str]:
        least = float(row[f"{shown.slug}:low"])
        return (least if math.isfinite(least) else None), range_text(shown, row)

    return cells


def _options() -> dict[str, Any]:
    language = current().language
    return {
        "localeText": ag_grid_locale(language, current().number_locale or ""),
        "enableRtl": is_rtl(language),
        "headerHeight": 36,
        "rowHeight": 34,
        "suppressCellFocus": False,
        # One stop of Tab, which leads on from whatever cell has the focus; arrows lead from cell to cell
        "tabToNextCell": {"function": "false"},
        "tabToNextHeader": {"function": "false"},
        "tooltipShowDelay": 400,
        "enableCellTextSelection": True,
        "alwaysShowHorizontalScroll": True,
        # A file has the order of its grid, which is read from the head of the one column that it is sorted by (shell.js)
        "suppressMultiSort": True,
        "suppressColumnVirtualisation": True,
    }


def _grid(height: int = 420, **props: Any) -> Component:
    grid: Component = dag.AgGrid(
        className="ag-theme-quartz nv-aggrid",
        defaultColDef={"sortable": True, "resizable": True, "suppressMovable": True, "minWidth": 80},
        style={"height": f"{height}px", "width": "100%"},
        dangerously_allow_code=False,
        **props,
    )
    return grid
