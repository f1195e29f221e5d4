"""The first combinations of dimension values by a query's order: what a limit keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.db import dialect_of
from nebuloviz.metrics import sql
from nebuloviz.metrics.answer import measure
from nebuloviz.metrics.planner import SUMS, Combination, Slice, plan
from nebuloviz.metrics.registry import Metric


def ranked(
    session: Session, asked: Slice, by: Metric, zone: ZoneInfo, limit: int, *, descending: bool
) -> list[Combination]:
    """The first `limit` combinations by the value of `by` over the one span of `asked`; equal ones in order of their values.

    What has no value (a ratio of nothing) comes last. The database ranks by itself where sums alone decide.
    """
    wanted = replace(asked, measures=by.measures)
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


def sort_combinations(values: dict[Combination, float | None], *, descending: bool) -> list[Combination]:
    """By value, then by name; those without a value last."""
    sign = -1.0 if descending else 1.0
    return sorted(values, key=lambda found: _place(values[found], sign, found))


def _place(value: float | None, sign: float, combination: Combination) -> tuple[bool, float, Sequence[str]]:
    return (value is None, sign * (value or 0.0), combination)
