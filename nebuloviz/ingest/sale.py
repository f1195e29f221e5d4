"""A record's bytes become a `Sale` or a `Rejected`: one parser for Kafka, files, the sample and the API.

Bad data is a value here, never an exception: a record that cannot be a sale says why, and its neighbours are not affected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from enum import StrEnum
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE

MAX_RECORD_BYTES: Final = 1 << 20
MAX_ID_LENGTH: Final = 200
MAX_DIMENSION_LENGTH: Final = 128  # five of them, at four bytes a character, still fit one entry of a PostgreSQL index
MAX_NAME_LENGTH: Final = 500
MAX_MONEY: Final = 10**10 * MONEY_SCALE
MAX_QUANTITY: Final = 10**9 * QUANTITY_SCALE
MAX_FUTURE: Final = timedelta(minutes=5)
FIRST_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reason(StrEnum):
    """Why a record is not a sale. The list is closed: the values are stored, and are labels of a metric."""

    CONFLICT = "conflict"  # the sale id is known, with another payload
    CURRENCY = "currency"  # another currency than the installation's
    DATABASE = "database"  # the database cannot hold it
    EMPTY = "empty"  # a tombstone
    FUTURE = "future"
    INVALID_NUMBER = "invalid_number"
    INVALID_TEXT = "invalid_text"
    INVALID_TIME = "invalid_time"
    MALFORMED = "malformed"  # not a JSON object in UTF-8
    MISSING_FIELD = "missing_field"
    NUMBER_RANGE = "number_range"
    TOO_LARGE = "too_large"
    TOO_LATE = "too_late"
    TOO_LONG = "too_long"


class Record(NamedTuple):
    """What a source delivers: where it stood, and its bytes (None: a tombstone).

    A file's record also has the `original` bytes of its row, for the dead letter, and a `problem` where no sale could be made of it.
    """

    topic: str
    partition: int
    offset: int
    value: bytes | None
    original: bytes | None = None
    problem: str = ""


class Sale(NamedTuple):
    """One order line: money in ten-thousandths, quantities in thousandths, `sold_at` in UTC; a missing dimension is ''.

    `key` stands for the sale id in the database; `fingerprint` (63 bits) is equal for payloads that mean the same.
    """

    sold_at: datetime
    key: bytes
    sale_id: str
    order_id: str
    customer_id: str
    product_id: str
    category: str
    region: str
    country: str
    channel: str
    store: str
    quantity: int
    unit_price: int
    discount: int
    revenue: int
    cost: int | None
    product: str
    currency: str
    fingerprint: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is not a sale; `detail` names the field and what is wrong with it."""

    reason: Reason
    detail: str = ""


class _BadRecord(Exception):
    """Leaves the parser's depths with the reason; never leaves `parse`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(reason, detail)


def parse(value: bytes | None, now: datetime, horizon: timedelta | None = None) -> Sale | Rejected:
    """Read one sale, given as a JSON object.

    `now` is aware; a sale later than five minutes after it is rejected, and one older than `horizon` before it, where there is
    a horizon. Unknown fields are ignored. Revenue is `amount` where given, else `quantity * unit_price - discount`, exactly,
    rounded half to even to a ten-thousandth.

    >>> from datetime import datetime, UTC
    >>> line = (
    ...     b'{"sale_id": "a-1", "order_id": "a", "sold_at": "2026-01-05T10:00:00+01:00", "product_id": "p",'
    ...     b' "quantity": 3, "unit_price": 0.1}'
    ... )
    >>> parse(line, datetime(2026, 1, 6, tzinfo=UTC)).revenue
    3000
    """
    if not value:
        return Rejected(Reason.EMPTY, "the record has no value")
    if len(value) > MAX_RECORD_BYTES:
        return Rejected(Reason.TOO_LARGE, f"{len(value):,} bytes; at most {MAX_RECORD_BYTES:,} are read")
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return Rejected(Reason.MALFORMED, str(error)[:200])
    if type(fields) is not dict:
        return Rejected(Reason.MALFORMED, "not a JSON object")
    try:
        return _sale(fields, _texts(fields, plain=_is_plain(value)), now, horizon)
    except _BadRecord as bad:
        return bad.rejected


def _is_plain(value: bytes) -> bool:
    """Whether no text in this JSON can hold a control character, which needs an escape, or what is no character at all."""
    return b"\\" not in value and (value.isascii() or _NO_CHARACTER_BEGINS not in value)


def parse_record(record: Record, now: datetime, horizon: timedelta | None = None) -> Sale | Rejected:
    """`parse` for a record: what its source could not read is rejected with what the source says."""
    if record.problem:
        return Rejected(Reason.MALFORMED, record.problem)
    return parse(record.value, now, horizon)


_Get = Callable[[str], Any]

#: The text fields and the most characters that each may have, in the order of `_sale`'s unpacking.
_TEXT_LIMITS = {
    "sale_id": MAX_ID_LENGTH,
    "order_id": MAX_ID_LENGTH,
    "customer_id": MAX_ID_LENGTH,
    "product_id": MAX_ID_LENGTH,
    "category": MAX_DIMENSION_LENGTH,
    "region": MAX_DIMENSION_LENGTH,
    "country": MAX_DIMENSION_LENGTH,
    "channel": MAX_DIMENSION_LENGTH,
    "store": MAX_DIMENSION_LENGTH,
    "product": MAX_NAME_LENGTH,
    "currency": MAX_ID_LENGTH,
}
_BLANK: dict[str, Any] = dict.fromkeys(_TEXT_LIMITS, "")
_texts_of = itemgetter(*_TEXT_LIMITS)
_SURELY_SHORT = min(_TEXT_LIMITS.values())


def _texts(fields: dict[str, Any], *, plain: bool) -> tuple[str, ...]:
    """The text fields, trimmed; '' where there is none. `plain` text surely holds nothing that must not be kept."""
    if plain:
        try:
            texts = tuple(map(str.strip, _texts_of(_BLANK | fields)))
        except TypeError:  # a null, a number, or something worse
            pass
        else:
            if len("".join(texts)) <= _SURELY_SHORT:
                return texts
    return tuple(_text(fields.get(name), name, limit) for name, limit in _TEXT_LIMITS.items())


def _sale(fields: dict[str, Any], texts: tuple[str, ...], now: datetime, horizon: timedelta | None) -> Sale:
    sale_id, order_id, customer_id, product_id, category, region, country, channel, store, product, currency = texts
    if not (order_id and product_id and sale_id):
        _missing("order_id" if not order_id else "product_id" if not product_id else "sale_id")
    if currency:
        currency = _currency(currency)
    get = fields.get
    sold_at = _moment(get("sold_at"), now, horizon)
    quantity, unit_price, discount, revenue = _figures(get)
    given_cost = get("cost")
    cost = None if given_cost is None else _scaled(given_cost, "cost", MONEY_SCALE, MAX_MONEY)
    meaning = (
        f"{order_id}\x1f{sold_at.timestamp()}\x1f{customer_id}\x1f{product_id}\x1f{product}\x1f{category}\x1f{region}\x1f{country}\x1f"
        f"{channel}\x1f{store}\x1f{quantity}\x1f{unit_price}\x1f{discount}\x1f{revenue}\x1f{cost}\x1f{currency}"
    )
    # tuple.__new__ spares the named arguments' handling, which is a tenth of the parser's time
    return tuple.__new__(
        Sale,
        (
            sold_at,
            blake2b(sale_id.encode(), digest_size=16).digest(),
            sale_id,
            order_id,
            customer_id,
            product_id,
            category,
            region,
            country,
            channel,
            store,
            quantity,
            unit_price,
            discount,
            revenue,
            cost,
            product,
            currency,
            int.from_bytes(blake2b(meaning.encode(), digest_size=8).digest(), "big") >> 1,
        ),
    )


def _missing(name: str) -> str:
    raise _BadRecord(Reason.MISSING_FIELD, f"{name} is missing")


# The last two are no characters: XML cannot hold them, and `metrics.query.REST` is told from every real value by one
_CONTROL_TO_SPACE = dict.fromkeys((*range(1, 32), 127, 0xFFFE, 0xFFFF), " ")
_NO_CHARACTER_BEGINS = b"\xef\xbf"  # in UTF-8


def _text(value: object, name: str, limit: int) -> str:
    if value is None:
        return ""
    text = value if type(value) is str else _text_of_number(value, name)
    if "\x00" in text:
        raise _BadRecord(Reason.INVALID_TEXT, f"{name} contains a NUL character")
    text = text.translate(_CONTROL_TO_SPACE).strip()
    if len(text) > limit:
        raise _BadRecord(Reason.TOO_LONG, f"{name} has {len(text):,} characters; at most {limit} are kept")
    return text


def _text_of_number(value: object, name: str) -> str:
    if type(value) is int:  # ids are often sent as numbers; a float would not keep its digits
        return str(value)
    raise _BadRecord(Reason.INVALID_TEXT, f"{name} must be text, not {_json_type(value)}")


def _currency(code: str) -> str:
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise _BadRecord(Reason.INVALID_TEXT, "currency must be an ISO 4217 code of three letters")
    return code.upper()


def _moment(value: object, now: datetime, horizon: timedelta | None) -> datetime:
    if value is None:
        _missing("sold_at")
    if type(value) is not str or len(value) > 40:
        raise _BadRecord(Reason.INVALID_TIME, "sold_at must be text in ISO 8601")
    try:
        local = datetime.fromisoformat(value)
        if local.tzinfo is None:
            raise _BadRecord(Reason.INVALID_TIME, "sold_at has no offset from UTC, such as Z or +01:00")
        moment = local if local.tzinfo is UTC else local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadRecord(
            Reason.INVALID_TIME, f"sold_at is no date and time: {value!r}; it is written like 2026-11-22T15:00:00+01:00"
        ) from None
    if moment > now + MAX_FUTURE:
        raise _BadRecord(Reason.FUTURE, f"sold_at {moment.isoformat()} is in the future")
    if moment < FIRST_MOMENT or (horizon is not None and moment < now - horizon):
        raise _BadRecord(Reason.TOO_LATE, f"sold_at {moment.isoformat()} is older than the horizon")
    return moment


def _figures(get: _Get) -> tuple[int, int, int, int]:
    """Quantity, unit price, discount and revenue, scaled."""
    given_quantity, given_price, given_discount, given_amount = (
        get("quantity"),
        get("unit_price"),
        get("discount"),
        get("amount"),
    )
    if given_quantity is None:
        _missing("quantity")
    quantity = _scaled(given_quantity, "quantity", QUANTITY_SCALE, MAX_QUANTITY)
    discount = 0 if given_discount is None else _scaled(given_discount, "discount", MONEY_SCALE, MAX_MONEY)
    price = 0 if given_price is None else _scaled(given_price, "unit_price", MONEY_SCALE, MAX_MONEY)
    if given_amount is not None:
        revenue = _scaled(given_amount, "amount", MONEY_SCALE, MAX_MONEY)
        if given_price is None and quantity:
            price = _rounded_ratio((revenue + discount) * QUANTITY_SCALE, quantity)
        return quantity, _in_range(price, "unit_price"), discount, revenue
    if given_price is None:
        _missing("one of unit_price and amount")
    if quantity % QUANTITY_SCALE == 0 and price / MONEY_SCALE == given_price:
        revenue = quantity // QUANTITY_SCALE * price - discount
    else:  # more digits than we store may matter in the product
        exact = _decimal(given_quantity, "quantity") * _decimal(given_price, "unit_price") * MONEY_SCALE
        revenue = _half_even(exact) - discount
    return quantity, price, discount, _in_range(revenue, "quantity * unit_price - discount")


def _in_range(amount: int, name: str) -> int:
    if -MAX_MONEY <= amount <= MAX_MONEY:
        return amount
    raise _BadRecord(Reason.NUMBER_RANGE, f"{name} is larger than an amount can be")


def _rounded_ratio(numerator: int, denominator: int) -> int:
    """Half to even, exactly."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


def _scaled(value: object, name: str, scale: int, limit: int) -> int:
    """The number, times `scale`, as an exact integer; digits beyond are rounded half to even."""
    kind = type(value)
    if kind is int:
        scaled: int = value * scale  # type: ignore[operator]  # kind says that it is an int
    elif kind is float:
        product: float = value * scale  # type: ignore[operator]  # kind says that it is a float
        if not -limit <= product <= limit:
            raise _BadRecord(Reason.NUMBER_RANGE, f"{name} is out of range: {value!r}"[:200])
        scaled = round(product)
        # Where dividing gives the same float back, its shortest decimal form is that quotient, and nothing was rounded
        if scaled / scale != value:
            scaled = _half_even(_decimal(value, name) * scale)
    else:
        scaled = _half_even(_bounded(_decimal(value, name), name) * scale)
    if not -limit <= scaled <= limit:
        raise _BadRecord(Reason.NUMBER_RANGE, f"{name} is out of range: {str(value)[:40]}")
    return scaled


def _bounded(number: Decimal, name: str) -> Decimal:
    """Keeps a text such as 1e999999999 from becoming an integer with as many digits."""
    if number.adjusted() > 20:
        raise _BadRecord(Reason.NUMBER_RANGE, f"{name} is out of range")
    return number


def _half_even(number: Decimal) -> int:
    return int(number.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) if number.adjusted() >= -2 else 0


def _decimal(value: object, name: str) -> Decimal:
    """The decimal number that was written, be it as a JSON number or as text."""
    if type(value) in (int, float):
        return Decimal(repr(value))
    if type(value) is str and len(value) <= 40 and value.isascii() and "_" not in value:
        try:
            number = Decimal(value.strip())
        except DecimalException:
            pass
        else:
            if number.is_finite():
                return number
    raise _BadRecord(Reason.INVALID_NUMBER, f"{name} must be a number, not {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value[:40]) if type(value) is str else _json_type(value)


def _json_type(value: object) -> str:
    names = {
        bool: "true or false",
        float: "a fraction or of more than 64 bits",
        dict: "an object",
        list: "a list",
        type(None): "null",
    }
    return names.get(type(value), "a number")
