"""Chooses what answers a query: the smallest rollup that can do so exactly, and facts for the rest.

Each span of time is cut into pieces: whole weeks are read from a weekly rollup where there is one, whole days of the installation's
zone of what remains from a daily one, whole UTC hours from an hourly one, and the remainders, less than an hour at each end where
there is an hourly rollup, from facts. So a viewer in any zone, and a range that ends now, is answered exactly and nearly as fast as
whole days are.

Sums, orders and customers are planned apart, since they can be added up differently:

- sums add up over all cells of any rollup that has the dimensions asked for;
- orders add up over time and over dimensions that an order has one value of; orders for which this fails are known
  (`spread_order`) and counted again. They never add up over categories or products, of which an order has many;
- customers never add up: they are counted from each day's set of customers, or from facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import (
    ONE_DAY,
    ONE_HOUR,
    day_ceiling,
    day_floor,
    hour_ceiling,
    hour_floor,
    monday_ceiling,
    monday_floor,
)
from nebuloviz.metrics.query import Filter, FilterOperator
from nebuloviz.metrics.registry import DIMENSIONS, dimension
from nebuloviz.models import MEASURES, ROLLED_DIMENSIONS, ROLLUPS, Rollup

Combination = tuple[str, ...]
Key = tuple[Any, ...]  # of a figure: the number of its span, then its dimensions' values
Kind = Literal["sums", "orders", "customers"]

FACTS: Final = "sale"
MEMBERS: Final = "day_members"
HOUR_MEMBERS: Final = "hour_members"
Source = Rollup | Literal["day_members", "hour_members", "sale"]
SUMS = tuple(measure for measure in MEASURES if measure != "orders")


@dataclass(frozen=True)
class Slice:
    """What is to be measured: `measures` of the sales in each of `spans` by the values of `dimensions`.

    Spans are in order of time and do not overlap; an empty one holds nothing. `keep` restricts the answer to these combinations of
    dimension values, None to all there are; with `other`, the sales of all remaining ones are measured together as well.
    """

    spans: tuple[Bucket, ...]
    dimensions: tuple[str, ...]
    filters: tuple[Filter, ...]
    measures: frozenset[str]
    keep: tuple[Combination, ...] | None = None
    other: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The facts' columns of the dimensions."""
        return tuple(dimension(slug).column for slug in self.dimensions)

    @property
    def form(self) -> Slice:
        """Equal for all that differ in nothing but moments, measures and the values of filters and of what is kept."""
        filters = tuple(_form_of(item.dimension, item.op) for item in self.filters)
        return Slice((), self.dimensions, filters, frozenset(), None if self.keep is None else (), self.other)

    @property
    def filter_columns(self) -> frozenset[str]:
        """The facts' columns that filters look at."""
        return frozenset(dimension(item.dimension).column for item in self.filters)


@cache
def _form_of(slug: str, op: FilterOperator) -> Filter:
    return Filter(slug, op, ("",))


class Piece(NamedTuple):
    """[`start`, `end`) in UTC, part of the span with this number."""

    start: datetime
    end: datetime
    span: int


@dataclass(frozen=True)
class Reading:
    """The pieces that one source answers: a rollup, sets of customers by day or hour (`MEMBERS`, `HOUR_MEMBERS`), or `FACTS`."""

    source: Source
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        return self.source.name if isinstance(self.source, Rollup) else self.source


@dataclass(frozen=True)
class Part:
    """How measures are answered, and why not by anything smaller. Orders that are read just as the sums are go with them."""

    kind: Kind
    measures: tuple[str, ...]
    readings: tuple[Reading, ...]
    reason: str

    @property
    def rolled(self) -> bool:
        """Whether any of it is read from a rollup."""
        return any(isinstance(reading.source, Rollup) for reading in self.readings)


@dataclass(frozen=True)
class Plan:
    parts: tuple[Part, ...]

    @property
    def source(self) -> str:
        """The table that most rests on: the coarsest one read by the part that reads the most detail."""
        leading = [part.readings[0].name for part in self.parts if part.readings]
        return max(leading, key=_ORDER_OF_DETAIL.index, default=FACTS)

    def explain(self) -> str:
        """One line a part: what is read from where, over which time, and why."""
        return "\n".join(_explained(part) for part in self.parts)


_SHORTEST_DAY = timedelta(hours=20)  # no clocks have ever been put forward further, within a day
_ORDER_OF_DETAIL = (
    "rollup_day",
    MEMBERS,
    HOUR_MEMBERS,
    *(rollup.name for rollup in ROLLUPS if rollup.name != "rollup_day"),
    FACTS,
)


def plan(asked: Slice, zone: ZoneInfo) -> Plan:
    """The smallest tables that answer `asked` exactly. `zone` is that of the installation, whose days the daily rollups hold."""
    sums, orders, customers = _sums(asked, zone), _orders(asked, zone), _customers(asked, zone)
    if sums and orders and sums.readings == orders.readings and sums.rolled and not asked.other:
        sums, orders = replace(sums, measures=(*sums.measures, *orders.measures)), None
    return Plan(tuple(part for part in (sums, orders, customers) if part))


def _sums(asked: Slice, zone: ZoneInfo) -> Part | None:
    measures = tuple(measure for measure in SUMS if measure in asked.measures)
    if not measures:
        return None
    return _part("sums", measures, asked, zone, _rollups_with(_needed(asked)))


def _orders(asked: Slice, zone: ZoneInfo) -> Part | None:
    if "orders" not in asked.measures:
        return None
    candidates = _rollups_with(_needed(asked))
    several = {entry.column for entry in DIMENSIONS if not entry.order_level}
    fitting = [rollup for rollup in candidates if not _merged(rollup, asked) & several]
    reason = (
        "" if fitting or not candidates else "an order has several categories and products, so its counts do not add up"
    )
    return _part("orders", ("orders",), asked, zone, fitting, reason)


def _customers(asked: Slice, zone: ZoneInfo) -> Part | None:
    if "customers" not in asked.measures:
        return None
    levels: list[_Level] = []
    if len(_needed(asked)) <= 1 and _needed(asked) <= set(ROLLED_DIMENSIONS):
        levels.append(_days(MEMBERS, zone))
    if not _needed(asked):
        levels.append(_hours(HOUR_MEMBERS))
    reason = "" if levels else "sets of customers are kept for one dimension at a time"
    return Part("customers", ("customers",), _readings(asked.spans, levels), reason)


class _Level(NamedTuple):
    """A source, how short its cells can be, and the edges of its cells next to a moment."""

    source: Source
    shortest: timedelta
    ceiling: Callable[[datetime], datetime]
    floor: Callable[[datetime], datetime]


def _days(source: Source, zone: ZoneInfo) -> _Level:
    return _Level(
        source, _SHORTEST_DAY, lambda moment: day_ceiling(moment, zone), lambda moment: day_floor(moment, zone)
    )


def _weeks(source: Source, zone: ZoneInfo) -> _Level:
    return _Level(
        source,
        6 * ONE_DAY + _SHORTEST_DAY,
        lambda moment: monday_ceiling(moment, zone),
        lambda moment: monday_floor(moment, zone),
    )


def _hours(source: Source) -> _Level:
    return _Level(source, ONE_HOUR, hour_ceiling, hour_floor)


def _part(
    kind: Kind, measures: tuple[str, ...], asked: Slice, zone: ZoneInfo, rollups: Sequence[Rollup], reason: str = ""
) -> Part:
    level_of: dict[str, Callable[[Rollup], _Level]] = {
        "week": lambda rollup: _weeks(rollup, zone),
        "day": lambda rollup: _days(rollup, zone),
        "hour": _hours,
    }
    fewest = min((len(rollup.dimensions) for rollup in rollups), default=0)
    # With more dimensions than another has, a coarser one would be larger than that
    smallest = {rollup.grain: rollup for rollup in rollups if len(rollup.dimensions) == fewest}
    levels = [level(smallest[grain]) for grain, level in level_of.items() if grain in smallest]
    if not levels and not reason:
        reason = f"no rollup has {' and '.join(sorted(_needed(asked)))}"
    return Part(kind, measures, _readings(asked.spans, levels), reason)


def _needed(asked: Slice) -> frozenset[str]:
    return frozenset(asked.columns) | asked.filter_columns


def _rollups_with(columns: frozenset[str]) -> list[Rollup]:
    return [rollup for rollup in ROLLUPS if columns <= set(rollup.dimensions)]


def _merged(rollup: Rollup, asked: Slice) -> set[str]:
    """The rollup's dimensions of which cells with different values are added together."""
    single = {dimension(f.dimension).column for f in asked.filters if f.op == "in" and len(f.values) == 1}
    apart = set() if asked.other else set(asked.columns)
    return set(rollup.dimensions) - single - apart


def _readings(spans: Iterable[Bucket], levels: Sequence[_Level]) -> tuple[Reading, ...]:
    found: dict[int, list[Piece]] = {}
    finest = len(levels) - 1
    by_hour = bool(levels) and levels[finest].shortest == ONE_HOUR
    for number, (start, end) in enumerate(spans):
        if by_hour and end - start == ONE_HOUR and hour_floor(start) is start:  # there may be hundreds: nothing to cut
            found.setdefault(finest, []).append(Piece(start, end, number))
        else:
            _cut(Piece(start, end, number), levels, 0, found)
    sources: list[Source] = [*(level.source for level in levels), FACTS]
    return tuple(Reading(sources[level], tuple(found[level])) for level in sorted(found))


def _cut(piece: Piece, levels: Sequence[_Level], level: int, found: dict[int, list[Piece]]) -> None:
    """Add the piece to what is found by level: its whole cells of this one, what is before and after them to the finer ones."""
    start, end, span = piece
    if start >= end:
        return
    length = end - start
    while level < len(levels) and length < levels[level].shortest:
        level += 1
    if level == len(levels):
        found.setdefault(level, []).append(piece)
        return
    first, last = levels[level].ceiling(start), levels[level].floor(end)
    if first >= last:
        _cut(piece, levels, level + 1, found)
        return
    if start < first:
        _cut(Piece(start, first, span), levels, level + 1, found)
    found.setdefault(level, []).append(Piece(first, last, span))
    if last < end:
        _cut(Piece(last, end, span), levels, level + 1, found)


def _explained(part: Part) -> str:
    read = "; ".join(f"{_time(reading.pieces)} from {reading.name}" for reading in part.readings) or "nothing to read"
    return f"{', '.join(part.measures)}: {read}{f' ({part.reason})' if part.reason else ''}"


def _time(pieces: Sequence[Piece]) -> str:
    hours = sum((piece.end - piece.start).total_seconds() for piece in pieces) / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:.4g} hours"
