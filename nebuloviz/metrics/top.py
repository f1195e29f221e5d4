"""The first combinations of dimension values by a query's order: what a limit keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of
from nebuloviz.metrics import sql
from nebuloviz.metrics.answer import Cells, measure
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.closed import ClosedDays
from nebuloviz.metrics.planner import SUMS, Combination, Slice, plan
from nebuloviz.metrics.query import REST
from nebuloviz.metrics.registry import Metric

_Integers = npt.NDArray[np.int64]

#: Amounts of more combinations are not kept: the database ranks them.
_MAX_KEPT = 40_000


@dataclass(frozen=True)
class Amounts:
    """What a metric that adds up over time came to, in stored integers: one for each of `combinations`, which all differ."""

    combinations: list[Combination]
    amounts: _Integers

    def __add__(self, later: Amounts) -> Amounts:
        place = dict(zip(self.combinations, range(len(self.combinations)), strict=True))
        places = [place.setdefault(combination, len(place)) for combination in later.combinations]
        total = np.zeros(len(place), np.int64)
        total[: len(self.amounts)] = self.amounts
        total[places] += later.amounts
        return Amounts(list(place), total)

    def first(self, limit: int, *, descending: bool) -> list[Combination]:
        """The first `limit`, equal ones in order of their names."""
        rank = -self.amounts if descending else self.amounts
        last = np.partition(rank, limit - 1)[limit - 1] if limit < len(rank) else np.iinfo(np.int64).max
        found = [(int(rank[place]), self.combinations[place]) for place in np.flatnonzero(rank <= last)]
        return [combination for _, combination in sorted(found)][:limit]


def ranked(
    session: Session,
    asked: Slice,
    by: Metric,
    zone: ZoneInfo,
    limit: int,
    *,
    descending: bool,
    closed: ClosedDays | None = None,
) -> list[Combination]:
    """The first `limit` combinations by the value of `by` over the one span of `asked`; equal ones in order of their values.

    What has no value (a ratio of nothing) comes last. Where values add up, those of `closed` days and of the open one
    are kept apart, and added; else the database ranks by itself where sums alone decide.
    """
    wanted = replace(asked, measures=by.measures)
    if closed is not None and by.additive:
        found = _with_open_day(wanted, by, zone, closed)
        if found is not None:
            return found.first(limit, descending=descending)
    if by.measures <= set(SUMS):
        (part,) = plan(wanted, zone).parts
        if not part.readings:
            return []
        dialect = dialect_of(session)
        order = sql.ranking(dialect, wanted, part.readings, part.measures, by, limit, descending=descending)
        return [tuple(row) for row in order.run(session)]
    # A combination is one that has lines: a set of customers may be there, and empty
    cells = measure(session, replace(wanted, measures=by.measures | {"lines"}), zone).cells
    values = {key[1:]: by.value(figures) for key, figures in cells.items() if figures.get("lines")}
    return sort_combinations(values, descending=descending)[:limit]


def _with_open_day(asked: Slice, by: Metric, zone: ZoneInfo, closed: ClosedDays) -> Amounts | None:
    """The amounts over a span that is closed at least in part; None for others, and where there are too many."""
    (span,) = asked.spans
    cut = closed.cut(span, zone)
    if cut <= span.start:
        return None

    def kept(part: Bucket) -> Amounts | None:
        key = f"{by.slug}|{asked.dimensions}|{asked.filters}|{part.start}|{part.end}"
        found: Amounts | None = closed.kept(
            key, part, lambda current: _amounts(current, replace(asked, spans=(part,)), by, zone)
        )
        return found

    before = kept(Bucket(span.start, cut))
    if before is None or cut == span.end:
        return before
    today = kept(Bucket(cut, span.end))
    return None if today is None else before + today


def _amounts(session: Session, asked: Slice, by: Metric, zone: ZoneInfo) -> Amounts | None:
    (part,) = plan(asked, zone).parts
    rows = sql.amounts(asked, part.readings, part.measures, by, _MAX_KEPT + 1).run(session).all()
    if len(rows) > _MAX_KEPT:
        return None
    combinations = [tuple(row[:-1]) for row in rows]
    return Amounts(combinations, np.fromiter((row[-1] for row in rows), np.int64, len(rows)))


def kept_and_rest(cells: Cells, keep: Sequence[Combination], *, other: bool) -> Cells:
    """The cells of what is kept; with `other`, the sums of all others as well, under `REST`."""
    wanted = set(keep)
    found: Cells = {}
    for key, figures in cells.items():
        if key[1:] in wanted:
            found[key] = figures
        elif other:
            rest = found.setdefault((key[0], *(REST for _ in key[1:])), {})
            for name, value in figures.items():
                rest[name] = rest.get(name, 0) + value
    return found


def sort_combinations(values: dict[Combination, float | None], *, descending: bool) -> list[Combination]:
    """By value, then by name; those without a value last."""
    sign = -1.0 if descending else 1.0
    return sorted(values, key=lambda found: _place(values[found], sign, found))


def _place(value: float | None, sign: float, combination: Combination) -> tuple[bool, float, Sequence[str]]:
    return (value is None, sign * (value or 0.0), combination)
