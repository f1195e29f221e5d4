"""Orders entered again: a rule, as there is nothing to learn about an order that was seen before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nebuloviz.detection.series import HOURS_PER_WEEK, MICROSECONDS_PER_HOUR, Lines

MIN_ORDERS = 3  # within an hour; one or two are somebody's slip
_MEMORY = 48 * MICROSECONDS_PER_HOUR
_WINDOW = MICROSECONDS_PER_HOUR
_MAX_SURPRISE = 12.0


class Repeats(NamedTuple):
    """How many orders were repeated in the hour before a line, and how many are in an ordinary hour."""

    line: int
    orders: int
    usual: float
    surprise: float


@dataclass
class RepeatRule:
    """An order repeats when a line of it (product, quantity, price) comes again at a later moment within two days.

    How surprising so many within one hour are follows from how many there usually are (Poisson).
    """

    first_seen: dict[int, int] = field(default_factory=dict)  # line's hash -> microsecond
    recent: dict[str, int] = field(default_factory=dict)  # repeated order -> when it first was, within the last hour
    n_repeated: int = 0
    since: int | None = None  # microseconds
    _pruned: int = 0

    def feed(self, lines: Lines) -> list[Repeats]:
        """One entry for each order that repeats while at least three did within the hour."""
        if not len(lines):
            return []
        self.since = int(lines.sold_at[0]) if self.since is None else self.since
        found = []
        for i in np.flatnonzero(self._is_repeated(lines)).tolist():
            entry = self._note(str(lines.order_id[i]), int(lines.sold_at[i]), i)
            if entry is not None:
                found.append(entry)
        self._prune(int(lines.sold_at.max()))
        return found

    def _is_repeated(self, lines: Lines) -> npt.NDArray[np.bool_]:
        hashes = _hash(lines).tolist()
        moments = lines.sold_at.tolist()
        seen = self.first_seen
        return np.array(
            [moment > seen.setdefault(key, moment) for key, moment in zip(hashes, moments, strict=True)], bool
        )

    def _note(self, order: str, moment: int, line: int) -> Repeats | None:
        """The state after this repeated line, if its order is newly repeated and enough others are."""
        if order in self.recent and moment - self.recent[order] < _WINDOW:
            return None
        self.recent = {name: when for name, when in self.recent.items() if moment - when < _WINDOW}
        self.recent[order] = moment
        self.n_repeated += 1
        orders = len(self.recent)
        if orders < MIN_ORDERS:
            return None
        usual = self._usual(moment, orders)
        return Repeats(line, orders, usual, poisson_surprise(orders, usual))

    def _usual(self, moment: int, orders: int) -> float:
        """Repeated orders in an ordinary hour: all there were but those just counted, and one in a year more."""
        hours = (moment - (self.since or moment)) / MICROSECONDS_PER_HOUR
        return (max(self.n_repeated - orders, 0) + 1.0) / (hours + 52 * HOURS_PER_WEEK)

    def _prune(self, moment: int) -> None:
        if moment - self._pruned < MICROSECONDS_PER_HOUR:
            return
        self._pruned = moment
        self.first_seen = {key: when for key, when in self.first_seen.items() if moment - when < _MEMORY}


def _hash(lines: Lines) -> npt.NDArray[np.uint64]:
    """One number for each line's order, product, quantity and price."""
    # To look for equal texts first, as is the default, takes longer than to hash each: by the batch a little, by the hour ten times
    order = pd.util.hash_array(lines.order_id, categorize=False)
    product = pd.util.hash_array(lines.product_id, categorize=False)
    amounts = pd.util.hash_array(lines.quantity) * np.uint64(31) + pd.util.hash_array(lines.unit_price)
    mixed: npt.NDArray[np.uint64] = order * np.uint64(1_000_003) + product * np.uint64(8_191) + amounts
    return mixed


def poisson_surprise(count: int, usual: float) -> float:
    """-log10 of how many hours a week would bring `count` or more, where `usual` come in an ordinary one."""
    term = math.exp(-usual) * usual**count / math.factorial(min(count, 150))
    return min(-math.log10(max(HOURS_PER_WEEK * term, 10**-_MAX_SURPRISE)), _MAX_SURPRISE)
