"""What is known of each product's own past prices and quantities, and how far a sale line is from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from nebuloviz.detection.series import BoolArray, FloatArray, IntArray, Lines, TextArray

DEPTH = 64  # last lines of a product that are remembered
MIN_LINES = 5  # fewer say nothing about the next
_KNOWN_FROM = 2  # lines at a price, from which on it is one that the product is sold at
_SAME_PRICE = 0.005  # of itself
_FIRST_ROOM = 1024
_LARGE = 0.99  # of all lines: what fewer come to is much money
_FEW_LINES = 2.0  # an invoice of so many lines says half as much of each as a long one


@dataclass(frozen=True)
class Known:
    """What was known of the product of each line before its hour; logarithms, NaN for a product with too short a past."""

    price: FloatArray  # median
    price_low: FloatArray  # seen in at least two lines
    price_high: FloatArray
    quantity: FloatArray  # mean
    quantity_spread: FloatArray
    quantity_high: FloatArray  # second highest of all hours' highest


class ProductMemory:
    """The last 64 prices and quantities of each product, updated hour by hour; 600 bytes a product."""

    def __init__(self) -> None:
        self._row: dict[object, int] = {}
        self._prices = np.full((_FIRST_ROOM, DEPTH), np.nan, np.float32)
        self._quantities = np.full((_FIRST_ROOM, DEPTH), np.nan, np.float32)
        self._highest = np.full((_FIRST_ROOM, 2), -np.inf, np.float32)
        self._count = np.zeros(_FIRST_ROOM, np.int64)

    def __len__(self) -> int:
        """How many products are known."""
        return len(self._row)

    def rows(self, products: TextArray) -> IntArray:
        """The place of each line's product; makes room for new ones."""
        codes, unique = pd.factorize(products)
        places = np.array([self._row.setdefault(product, len(self._row)) for product in unique], np.int64)
        while len(self._row) > len(self._count):
            self._grow()
        return places[codes]

    def _grow(self) -> None:
        more = ((0, len(self._count)), (0, 0))
        self._prices = np.pad(self._prices, more, constant_values=np.nan)
        self._quantities = np.pad(self._quantities, more, constant_values=np.nan)
        self._highest = np.pad(self._highest, more, constant_values=-np.inf)
        self._count = np.pad(self._count, more[0])

    def recall(self, rows: IntArray) -> Known:
        """What is known about the products at `rows`, one entry a line."""
        places, line = np.unique(rows, return_inverse=True)
        n = np.minimum(self._count[places], DEPTH)
        prices = np.sort(self._prices[places].astype(float), axis=1)  # NaN last
        quantities = np.where(np.arange(DEPTH) < n[:, None], self._quantities[places].astype(float), 0.0)
        at = np.arange(len(places))
        mean = quantities.sum(axis=1) / np.maximum(n, 1)
        square = (quantities**2).sum(axis=1) / np.maximum(n, 1)
        unknown = np.where(n >= MIN_LINES, 0.0, np.nan)
        columns = (
            prices[at, np.maximum(n - 1, 0) // 2],
            prices[at, np.minimum(1, np.maximum(n - 1, 0))],
            prices[at, np.maximum(n - 2, 0)],
            mean,
            np.sqrt(np.maximum(square - mean**2, 0.0)),
            self._highest[places, 0].astype(float),
        )
        return Known(*((column + unknown)[line] for column in columns))

    def sold_at(self, rows: IntArray, log_price: FloatArray) -> BoolArray:
        """Whether the product of each line was sold at just this price before, in two or more of its remembered lines."""
        same: BoolArray = (np.abs(self._prices[rows] - log_price[:, None]) < _SAME_PRICE).sum(axis=1) >= _KNOWN_FROM
        return same

    def large_amount(self) -> float:
        """The logarithm of what one in a hundred of the remembered lines comes to, or more; infinite where none is remembered."""
        amounts = self._prices[: len(self)].astype(float) + self._quantities[: len(self)]
        known = amounts[np.isfinite(amounts)]
        return float(np.quantile(known, _LARGE)) if len(known) else np.inf

    def learn(self, rows: IntArray, log_price: FloatArray, log_quantity: FloatArray) -> None:
        """Remember the lines of one whole hour, in order."""
        order = np.argsort(rows, kind="stable")
        sorted_rows = rows[order]
        places, first, count = np.unique(sorted_rows, return_index=True, return_counts=True)
        rank = np.arange(len(order)) - np.repeat(first, count)
        kept = np.repeat(count, count) - rank <= DEPTH
        slot = ((self._count[sorted_rows] + rank) % DEPTH)[kept]
        self._prices[sorted_rows[kept], slot] = log_price[order][kept]
        self._quantities[sorted_rows[kept], slot] = log_quantity[order][kept]
        self._count[places] += count
        highest = np.maximum.reduceat(log_quantity[order], first) if len(first) else np.zeros(0)
        three = np.column_stack([self._highest[places], highest])
        self._highest[places] = np.sort(three, axis=1)[:, 1:]


@dataclass(frozen=True)
class LineFeatures:
    """Deviations of lines, in units in which about one line in a hundred is beyond 2.6; rows of NaN where nothing is known."""

    price: FloatArray  # (lines, 2): ratio to the usual price, excess beyond the known range
    quantity: (
        FloatArray  # (lines, 2): above the product's, the invoice's and all lines' usual, beyond the highest known
    )
    known: Known = field(repr=False)


def judged_places(lines: Lines) -> IntArray:
    """Where the lines stand that have a price and sell something: gifts and returns are not judged, and teach nothing."""
    return np.flatnonzero((lines.unit_price > 0) & (lines.quantity > 0))


def invoices(lines: Lines) -> IntArray:
    """A number for the invoice of each line: the same order at the same moment."""
    moments = pd.factorize(lines.sold_at)[0].astype(np.int64)
    orders = pd.factorize(lines.order_id)[0].astype(np.int64)
    return pd.factorize(orders * (len(lines) + 1) + moments)[0].astype(np.int64)


def highest_of_others(values: FloatArray, group: IntArray) -> FloatArray:
    """The highest value of the other members of each one's group; NaN for a group of one."""
    order = np.lexsort((-values, group))
    _, first, count = np.unique(group[order], return_index=True, return_counts=True)
    highest = values[order][first]
    second = np.where(count > 1, values[order][np.minimum(first + 1, len(values) - 1)], np.nan)
    others = np.repeat(highest, count)
    others[first] = second
    others[first[count == 1]] = np.nan
    result = np.empty_like(values)
    result[order] = others
    return result


def line_features(lines: Lines, known: Known, large_amount: float) -> LineFeatures:
    """Features of lines with prices and positive quantities; the lines of one invoice stand in one batch.

    A quantity is wrong if all agree: it is more than its product sells in, than its invoice has of anything else, and than what
    any line mostly comes to in money (`large_amount`, a logarithm). Cheap goods are bought by the hundred.
    """
    log_price, log_quantity = np.log(lines.unit_price), np.log(np.maximum(lines.quantity, 1.0))
    ratio = log_price - known.price
    beyond = np.maximum(log_price - known.price_high, 0) - np.maximum(known.price_low - log_price, 0)
    above = np.maximum(log_quantity - known.quantity, 0.0) / (known.quantity_spread + 0.5)
    excess = np.maximum(log_quantity - known.quantity_high, 0.0)
    invoice = invoices(lines)
    n_lines = np.bincount(invoice)[invoice] if len(lines) else np.zeros(0)
    invoice_excess = log_quantity - highest_of_others(log_quantity, invoice)
    agreed = np.where(np.isnan(invoice_excess), np.inf, np.maximum(invoice_excess, 0.0))
    agreed = np.minimum(agreed, np.maximum(log_price + log_quantity - large_amount, 0.0))
    # A short invoice has little for a line to stand out from, and who buys much at a lower price does so on purpose.
    weight = n_lines / (n_lines + _FEW_LINES) * np.where(ratio < -0.05, 0.5, 1.0)
    quantity = np.column_stack([weight * np.minimum(above, agreed), weight * np.minimum(excess, agreed)])
    return LineFeatures(np.column_stack([ratio, beyond]), quantity, known)
