"""Orders that do not add up: those whose lines fall into several hours, days or places.

The sum of a rollup's cells counts such an order once per cell that it touches. The few there are (`spread_order`) are looked up
in facts, and what they were counted too often is taken off again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.metrics import sql
from nebuloviz.metrics.calendar import bucket_of
from nebuloviz.metrics.planner import Key, Piece, Reading, Slice
from nebuloviz.metrics.query import REST
from nebuloviz.models import Rollup


def counted_twice(
    session: Session, asked: Slice, readings: Sequence[Reading], zone: ZoneInfo
) -> Iterator[tuple[Key, int]]:
    """How many orders too many the cells of `readings` hold, by span and dimension values; there are orders that do not add up."""
    columns = sorted(
        {*asked.columns, *(name for r in readings if isinstance(r.source, Rollup) for name in r.source.dimensions)}
    )
    reading_at = _Timeline(readings)
    touched: dict[tuple[Key, str], set[Key]] = defaultdict(set)
    for order_id, sold_at, *found in sql.spread_lines(asked, columns).run(session):
        place = reading_at(sold_at)
        values = dict(zip(columns, found, strict=True))
        key = place and _key(asked, place[1], values)
        if place and key:
            touched[key, order_id].add(_cell(*place, key, sold_at, values, zone))
    for (key, _), cells in touched.items():
        if len(cells) > 1:
            yield key, len(cells) - 1


class _Timeline:
    """Finds the reading, and the piece of it, that a moment is read from."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        placed = [(piece.start, reading, piece) for reading in readings for piece in reading.pieces]
        self._placed = sorted(placed, key=itemgetter(0))
        self._starts = [start for start, *_ in self._placed]

    def __call__(self, moment: datetime) -> tuple[Reading, Piece] | None:
        index = bisect_right(self._starts, moment) - 1
        if index < 0:
            return None
        _, reading, piece = self._placed[index]
        return (reading, piece) if moment < piece.end else None


def _key(asked: Slice, piece: Piece, values: Mapping[str, str]) -> Key | None:
    """Where a line is shown; None if its combination is not kept."""
    combination = tuple(values[name] for name in asked.columns)
    if asked.keep is None or combination in asked.keep:
        return (piece.span, *combination)
    return (piece.span, *(REST for _ in combination)) if asked.other else None


def _cell(
    reading: Reading, piece: Piece, key: Key, sold_at: datetime, values: Mapping[str, str], zone: ZoneInfo
) -> Key:
    """The cell that a line was counted in: a rollup's, or the whole piece where facts were counted."""
    if not isinstance(reading.source, Rollup):
        return (piece, key)
    bucket = bucket_of(reading.source.grain, sold_at, zone)
    return (bucket, reading.name, *(values[name] for name in reading.source.dimensions))
