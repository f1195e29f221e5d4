"""What a batch of new sales adds to every rollup, computed in memory: integers throughout, so exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from nebuloviz.metrics.calendar import bucket_of, day_of
from nebuloviz.models import GRAINS, MEASURES, ROLLED_DIMENSIONS, ROLLUPS, Rollup

_Codes = npt.NDArray[np.int64]
_ORDER_LEVEL = ("region", "country", "channel", "store")
_QUARTER_HOUR = 900  # seconds; the days of every zone of our time begin on one
_MAX_SUM = 1 << 62


class OlderLine(NamedTuple):
    """A line that is stored already, of an order that a batch adds lines to."""

    order_id: str
    sold_at: datetime
    product_id: str
    category: str
    region: str
    country: str
    channel: str
    store: str


@dataclass(frozen=True, slots=True)
class Tally:
    """`cells` are columns by name; `spread` are orders in several hours or places; `days` of the zone have their first moment."""

    cells: dict[Rollup, dict[str, list[Any]]]
    spread: list[str]
    days: dict[date, datetime]


class _Coded(NamedTuple):
    """A column as small integers, and what each stands for."""

    codes: _Codes
    values: Sequence[Any]


def tally(sales: Mapping[str, Sequence[Any]], older: Sequence[OlderLine], zone: ZoneInfo) -> Tally:
    """Count sales, given as columns, all of them new; `older` are the stored lines of their orders, which are not new in a cell."""
    old = dict(zip(OlderLine._fields, zip(*older, strict=True), strict=True)) if older else {}
    columns = {
        name: _coded([*sales[name], *old.get(name, ())]) for name in ("order_id", "product_id", *ROLLED_DIMENSIONS)
    }
    moments = [*sales["sold_at"], *old.get("sold_at", ())]
    buckets, days = _buckets(moments, len(sales["sold_at"]), zone)
    columns |= buckets
    measures = _measures(sales)
    cells = {rollup: _cells(rollup, columns, measures) for rollup in ROLLUPS}
    return Tally(cells, _spread(columns), days)


def _coded(values: Sequence[Any]) -> _Coded:
    codes = {value: code for code, value in enumerate(dict.fromkeys(values))}
    return _Coded(np.fromiter(map(codes.__getitem__, values), np.int64, len(values)), list(codes))


def _buckets(moments: list[datetime], n_new: int, zone: ZoneInfo) -> tuple[dict[str, _Coded], dict[date, datetime]]:
    """The buckets of every moment by grain, and the days of the first `n_new`, with the first moment of each."""
    seconds = np.fromiter(map(datetime.timestamp, moments), np.float64, len(moments))
    quarters, place = np.unique(np.floor(seconds / _QUARTER_HOUR).astype(np.int64), return_inverse=True)
    starts = [datetime.fromtimestamp(int(quarter) * _QUARTER_HOUR, UTC) for quarter in quarters]
    by_grain = {grain: _coded([bucket_of(grain, start, zone) for start in starts]) for grain in GRAINS}
    first = np.full(len(starts), np.inf)
    np.minimum.at(first, place[:n_new], seconds[:n_new])
    touched: dict[date, datetime] = {}
    for quarter in np.flatnonzero(np.isfinite(first)).tolist():  # in order of time
        touched.setdefault(day_of(starts[quarter], zone), datetime.fromtimestamp(int(first[quarter] // 1), UTC))
    return {grain: found._replace(codes=found.codes[place]) for grain, found in by_grain.items()}, touched


def _measures(sales: Mapping[str, Sequence[Any]]) -> npt.NDArray[Any]:
    """One row a sale, one column a measure but `orders`, which is left 0."""
    cost = [0 if value is None else value for value in sales["cost"]]
    amounts = [np.array(column, np.int64) for column in (sales["quantity"], sales["revenue"], sales["discount"], cost)]
    if max(int(np.abs(column).max()) for column in amounts) * len(cost) > _MAX_SUM:
        amounts = [column.astype(object) for column in amounts]  # Python's integers do not overflow
    quantity, revenue, discount, costs = amounts
    costed = np.array([value is not None for value in sales["cost"]])
    returned = quantity < 0
    by_name = {
        "lines": np.ones(len(cost), np.int64),
        "orders": np.zeros(len(cost), np.int64),
        "quantity": quantity,
        "revenue": revenue,
        "discount": discount,
        "cost": costs,
        "costed_revenue": revenue * costed,
        "returned_lines": returned.astype(np.int64),
        "returned_quantity": -quantity * returned,
        "returned_amount": -revenue * returned,
    }
    return np.column_stack([by_name[measure] for measure in MEASURES])


def _cells(rollup: Rollup, columns: dict[str, _Coded], measures: npt.NDArray[Any]) -> dict[str, list[Any]]:
    keys = [columns[rollup.grain], *(columns[name] for name in rollup.dimensions)]
    n_new = len(measures)
    cell_of = _group(keys)
    in_order = np.argsort(cell_of[:n_new], kind="stable")
    ordered = cell_of[in_order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    ids = ordered[starts]
    sums = np.add.reduceat(measures[in_order], starts, axis=0)
    sums[:, MEASURES.index("orders")] = _new_orders(cell_of, columns["order_id"], n_new)[ids]
    first = in_order[starts]
    labels = [[key.values[code] for code in key.codes[first].tolist()] for key in keys]
    return dict(zip(("bucket", *rollup.dimensions, *MEASURES), (*labels, *sums.T.tolist()), strict=True))


def _group(keys: Sequence[_Coded]) -> _Codes:
    """Equal combinations get equal numbers, from 0 on."""
    combined = keys[0].codes
    for key in keys[1:]:
        if len(key.values) == 1:  # many shops have but one channel or country, or tell of none
            continue
        # Numbered anew at each step, so that the product of two counts never leaves 64 bits
        combined = np.unique(combined * len(key.values) + key.codes, return_inverse=True)[1].astype(np.int64)
    return combined


def _new_orders(cell_of: _Codes, orders: _Coded, n_new: int) -> _Codes:
    """By cell: how many orders are in it now that were not before."""
    pairs = cell_of * len(orders.values) + orders.codes
    fresh = np.setdiff1d(pairs[:n_new], pairs[n_new:])
    return np.bincount(fresh // len(orders.values), minlength=int(cell_of.max()) + 1).astype(np.int64)


def _spread(columns: dict[str, _Coded]) -> list[str]:
    orders = columns["order_id"]
    spread = np.zeros(len(orders.values), bool)
    for name in ("hour", "day", *_ORDER_LEVEL):  # a day may begin within a UTC hour
        column = columns[name]
        if len(column.values) == 1:
            continue
        distinct = np.unique(orders.codes * len(column.values) + column.codes)
        spread |= np.bincount(distinct // len(column.values), minlength=len(orders.values)) > 1
    return sorted(orders.values[code] for code in np.flatnonzero(spread).tolist())
