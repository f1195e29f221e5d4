"""From a table's rows to sales in the JSON that every source speaks, by the field that each column means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import zone
from nebuloviz.ingest.fields import corrected, guess, missing
from nebuloviz.ingest.tables import Row, TableFile

_NUMBERS = frozenset({"quantity", "unit_price", "discount", "amount", "cost"})
#: Within so many rows a column shows whether its dates are of the kind whose order has to be found out,
_FIRST_ROWS = 1_000
#: and until so many it is looked for the first one that leaves no doubt.
_MAX_ROWS = 200_000

DateOrder = Literal["ymd", "dmy", "mdy"]
#: What somebody may choose.
DATE_ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy")
_WITHOUT_WORD: DateOrder = "mdy"


@dataclass(frozen=True)
class TableMapping:
    """How a table's rows become sales: columns by field, the zone of times without offset, the order of day and month.

    `decimal_comma`: a comma parts the fraction from the rest of its numbers, as in 1.234,50, so that 1.234 is no fraction.
    """

    columns: Mapping[str, str]
    time_zone: str
    date_order: DateOrder
    decimal_comma: bool = False

    def text(self) -> str:
        """Canonical, for the identity of an import."""
        values = {"columns": dict(self.columns), "time_zone": self.time_zone, "date_order": self.date_order}
        comma = {"decimal_comma": True} if self.decimal_comma else {}
        return orjson.dumps(values | comma, option=orjson.OPT_SORT_KEYS).decode()


def mapped_columns(table: TableFile, corrections: Mapping[str, str]) -> dict[str, str]:
    """Field -> column, as `guess` and `corrected` say; but no id is guessed that lines of several orders share.

    Such is the number of a line within its order, which well-known files call order_item_id.

    Raises:
        InvalidInput: a correction names what is not there.
    """
    guessed = guess(table.columns)
    line, order = guessed.get("sale_id"), guessed.get("order_id")
    if line and order and line != "sale_id" and _shared_by_orders(table, line, order):
        del guessed["sale_id"]
    return corrected(guessed, corrections, table.columns)


def _shared_by_orders(table: TableFile, line_column: str, order_column: str) -> bool:
    line_at, order_at = table.columns.index(line_column), table.columns.index(order_column)
    orders: dict[str, str] = {}
    with suppress(InvalidInput):  # as in `date_orders`
        for row in islice(table.rows(), _FIRST_ROWS):
            if len(row.cells) <= max(line_at, order_at):
                continue
            line, order = _text(row.cells[line_at]), _text(row.cells[order_at])
            if line and orders.setdefault(line, order) != order:
                return True
    return False


_SLASHED = re.compile(r"^\s*(\d{1,2})[/.\-](\d{1,2})[/.\-]\d{2,4}\b")


def date_orders(table: TableFile, columns: Iterable[str]) -> dict[str, DateOrder | None]:
    """Column -> whether day or month comes first in its dates such as 3/4/2026; None where either may.

    The first date that leaves no doubt decides; with dots the day comes first. Columns without such dates are left out.
    """
    found: dict[str, DateOrder | None] = {}
    unsettled = {column: table.columns.index(column) for column in columns}
    with suppress(InvalidInput):  # where a file is damaged is for those to say who need its rows
        for number, row in enumerate(islice(table.rows(), _MAX_ROWS)):
            if number == _FIRST_ROWS:
                unsettled = {column: at for column, at in unsettled.items() if column in found}
            if not unsettled:
                break
            orders = _orders_in(row, unsettled)
            found.update(orders)
            unsettled = {column: at for column, at in unsettled.items() if orders.get(column) is None}
    return found


def _orders_in(row: Row, places: Mapping[str, int]) -> dict[str, DateOrder | None]:
    cells = {column: row.cells[at] for column, at in places.items() if at < len(row.cells)}
    matches = {column: _SLASHED.match(cell) for column, cell in cells.items() if isinstance(cell, str)}
    return {column: _order_of(match) for column, match in matches.items() if match}


def _order_of(match: re.Match[str]) -> DateOrder | None:
    if int(match[1]) > 12 or "." in match[0]:
        return "dmy"
    return "mdy" if int(match[2]) > 12 else None


def decimal_comma(table: TableFile, columns: Iterable[str]) -> bool:
    """Whether a comma parts the fraction in the numbers of these columns: the first that leaves no doubt, unlike 1.234, decides."""
    places = [table.columns.index(column) for column in columns]
    doubtful = False
    with suppress(InvalidInput):  # as in `date_orders`
        for number, row in enumerate(islice(table.rows(), _MAX_ROWS if places else 0)):
            if number == _FIRST_ROWS and not doubtful:
                break
            for at in places:
                cell = row.cells[at] if at < len(row.cells) else None
                text = _undecorated(cell) if isinstance(cell, str) else ""
                if _SURELY_COMMA.match(text) or _SURELY_POINT.match(text):
                    return _SURELY_COMMA.match(text) is not None
                doubtful = doubtful or _DOUBTFUL.match(text) is not None
    return False


def table_mapping(table: TableFile, columns: Mapping[str, str], time_zone: str, date_order: str = "") -> TableMapping:
    """The mapping with the order of day and month that is given, or else the one that the rows speak for.

    Raises:
        InvalidInput: a required field has no column, or there is no such zone or order.
    """
    zone(time_zone)
    lacking = missing(columns)
    if lacking and not table.is_json:
        raise InvalidInput(
            _(
                "No column was recognised for {fields}. Say which it is, as in {field}=COLUMN; the file has {columns}.",
                fields=", ".join(lacking),
                field=lacking[0],
                columns=", ".join(table.columns[:50]),
            )
        )
    order = chosen_order(date_order)
    if order is None and "sold_at" in columns:
        order = date_orders(table, [columns["sold_at"]]).get(columns["sold_at"])
    numbers = [column for field, column in columns.items() if field in _NUMBERS]
    return TableMapping(columns, time_zone, order or _WITHOUT_WORD, decimal_comma(table, numbers))


def chosen_order(name: str) -> DateOrder | None:
    """'dmy' or 'mdy'; None for '', which leaves it to the file.

    Raises:
        InvalidInput: it is something else.
    """
    for order in DATE_ORDERS:
        if order == name:
            return order
    if name:
        raise InvalidInput(_("Day and month come as dmy or as mdy, not as {name}.", name=name[:100]))
    return None


def as_read(cell: object, time_zone: str, order: DateOrder | None) -> datetime | None:
    """The moment that an import would read from a cell; None where that is none. `order` None: as without a word."""
    try:
        return datetime.fromisoformat(str(moment_reader(zone(time_zone), order or _WITHOUT_WORD)(cell)))
    except ValueError:
        return None


class RowEncoder:
    """Turns rows, in order from the first, into sales as JSON.

    Where no column gives the sale id, it is order:product:occurrence, so the same file always gives the same ids.
    """

    def __init__(self, table: TableFile, mapping: TableMapping) -> None:
        places = {field: table.columns.index(column) for field, column in mapping.columns.items()}
        self._texts = [(field, at) for field, at in places.items() if field not in _NUMBERS and field != "sold_at"]
        self._numbers = [(field, at) for field, at in places.items() if field in _NUMBERS]
        self._number = _number_with_comma if mapping.decimal_comma else _number
        self._sold_at = places.get("sold_at")
        self._moment = moment_reader(ZoneInfo(mapping.time_zone), mapping.date_order)
        self._own_ids = "sale_id" not in places
        self._occurrences: Counter[bytes] = Counter()

    def encode(self, row: Row) -> bytes:
        """The row as a JSON object; cells that are blank are left out."""
        cells = row.cells
        n_cells = len(cells)
        sale: dict[str, Any] = {}
        for field, at in self._texts:
            value = _text(cells[at]) if at < n_cells else ""
            if value:
                sale[field] = value
        for field, at in self._numbers:
            number = self._number(cells[at]) if at < n_cells else ""
            if number != "":
                sale[field] = number
        if self._sold_at is not None and self._sold_at < n_cells:
            sale["sold_at"] = self._moment(cells[self._sold_at])
        if self._own_ids:
            self._add_id(sale)
        return orjson.dumps(sale, default=str)

    def _add_id(self, sale: dict[str, Any]) -> None:
        order, product = sale.get("order_id"), sale.get("product_id")
        if order and product:
            # Eight bytes a line, not the ids themselves: a file may have millions
            key = blake2b(f"{order}\x1f{product}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
            self._occurrences[key] += 1
            sale["sale_id"] = f"{order}:{product}:{self._occurrences[key]}"


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # spreadsheets keep ids as floats
    return str(cell)


_MAX_CHARACTERS = 40  # of a number or a moment, as `parse` reads them
_MAX_BITS = 63  # of a number that JSON is written with here
_PLAIN = re.compile(r"^-?[0-9]{1,11}(\.[0-9]{1,4})?$")
_GROUPED = re.compile(r"^[+-]?(\d{1,3}(,\d{3})+|\d{1,2}(,\d{2})+,\d{3})(\.\d*)?$")  # as in India, too
_GROUPED_BY_DOTS = re.compile(r"^[+-]?\d{1,3}(\.\d{3})+,\d+$")
_GROUPED_BY_DOTS_FOR_SURE = re.compile(r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?$")
_DECIMAL_COMMA = re.compile(r"^[+-]?\d*,\d+$")
#: 1.234 and 1,234 may mean either; a group has three digits, and the first of several is not 0.
_DOUBTFUL = re.compile(r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$")
_SURELY_COMMA = re.compile(
    r"^[+-]?(\d*,(\d{1,2}|\d{4,})|(0|\d{4,})?,\d{3}|[1-9]\d{0,2}(\.\d{3})+,\d+|[1-9]\d{0,2}(\.\d{3}){2,})$"
)
_SURELY_POINT = re.compile(
    r"^[+-]?(\d*\.(\d{1,2}|\d{4,})|(0|\d{4,})?\.\d{3}|[1-9]\d{0,2}(,\d{3})+\.\d+|[1-9]\d{0,2}(,\d{3}){2,})$"
)
_DECORATION = re.compile(r"^([+-]?)\s*[$€£¥₹]\s*|\s*[$€£¥₹%]$|[\s\u00a0\u202f']")


def _number(cell: object) -> object:
    """A number as it is; a text as a number or plain digits where it can only mean them, else unchanged, for `parse` to refuse."""
    if not isinstance(cell, str):
        if cell is None or cell != cell:  # noqa: PLR0124 - NaN is how tables say 'no value'
            return ""
        fits = isinstance(cell, float) or (isinstance(cell, int) and cell.bit_length() <= _MAX_BITS)
        return cell if fits else str(cell)
    text = cell.strip()
    if _PLAIN.match(text):  # few enough digits that the fraction means exactly what was written
        return float(text) if "." in text else int(text)
    text = _undecorated(text)
    if _GROUPED.match(text):
        return text.replace(",", "")
    if _GROUPED_BY_DOTS.match(text):
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", ".") if _DECIMAL_COMMA.match(text) else text


def _number_with_comma(cell: object) -> object:
    """As `_number`, of a file whose numbers have a decimal comma."""
    text = _undecorated(cell) if isinstance(cell, str) else ""
    if _DECIMAL_COMMA.match(text):
        return text.replace(",", ".")
    return text.replace(".", "").replace(",", ".") if _GROUPED_BY_DOTS_FOR_SURE.match(text) else _number(cell)


def _undecorated(text: str) -> str:
    """Without spaces and signs of currencies; in brackets it is negative. What is too long for a number stays as it is."""
    text = text.strip()
    if len(text) > _MAX_CHARACTERS:  # and to look for signs in it could take hours
        return text
    text = _DECORATION.sub(r"\1", text)
    return f"-{text[1:-1]}" if text.startswith("(") and text.endswith(")") else text


_FORMS: dict[DateOrder, tuple[str, ...]] = {
    "dmy": ("%d/%m/%Y", "%d/%m/%y"),
    "mdy": ("%m/%d/%Y", "%m/%d/%y"),
    "ymd": (),
}
_ANY_ORDER = (
    *("%Y/%m/%d", "%Y-%m-%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


def moment_reader(zone: ZoneInfo, order: DateOrder) -> Callable[[object], object]:
    """A function from a cell to ISO 8601 with offset; what it cannot read comes back as it is, for `parse` to refuse.

    >>> moment_reader(ZoneInfo("Europe/London"), "dmy")("01/07/2011 08:26")
    '2011-07-01T08:26:00+01:00'
    """
    forms = tuple(day + time for day in (*_FORMS[order], *_ANY_ORDER) for time in _TIMES)

    @lru_cache(maxsize=20_000)
    def from_text(text: str) -> str:
        moment = _parsed(text, forms)
        return text if moment is None else _aware(moment, zone)

    def read(cell: object) -> object:
        if isinstance(cell, str):
            text = cell.strip()
            return from_text(text) if len(text) <= _MAX_CHARACTERS else cell  # which is not to be remembered either
        if isinstance(cell, datetime):
            return _aware(cell, zone)
        if isinstance(cell, int | float):
            return read(str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell))
        if isinstance(cell, date):
            return _aware(datetime(cell.year, cell.month, cell.day), zone)  # noqa: DTZ001 - `_aware` adds the zone
        return cell

    return read


def _aware(moment: datetime, zone: ZoneInfo) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


#: Days since the end of 1899, as spreadsheets count them; five digits lead from 1927 to 2173.
_SPREADSHEET_DAYS = re.compile(r"^[1-9][0-9]{4}(\.[0-9]{1,15})?$")
_FIRST_SPREADSHEET_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - `_aware` adds the zone
_NAMES_OF_UTC = ("UTC", "GMT", "Z")


def _parsed(text: str, forms: Iterable[str]) -> datetime | None:
    name = next((name for name in _NAMES_OF_UTC if text.upper().endswith(name)), "")
    moment = _parsed_without_name(text[: len(text) - len(name)].rstrip(), forms)
    return moment.replace(tzinfo=UTC) if moment and name and not moment.tzinfo else moment


def _parsed_without_name(text: str, forms: Iterable[str]) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    if _SPREADSHEET_DAYS.match(text):
        return _FIRST_SPREADSHEET_DAY + timedelta(milliseconds=round(float(text) * 86_400_000))
    if text.isascii() and text.isdigit() and len(text) in {10, 13}:
        return datetime.fromtimestamp(int(text) / (1 if len(text) == 10 else 1000), UTC)
    uniform = text.replace(".", "/", 2).replace("-", "/", 2) if _SLASHED.match(text) else text
    for form in forms:
        try:
            return datetime.strptime(uniform, form)  # noqa: DTZ007 - `_aware` adds the zone
        except ValueError:
            continue
    return None
