"""From a query to its frame: which rows there are and in what order, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidQuery
from nebuloviz.i18n import gettext as _
from nebuloviz.i18n import number
from nebuloviz.metrics.answer import Cells, measure
from nebuloviz.metrics.buckets import Bucket, buckets
from nebuloviz.metrics.closed import ClosedDays, Measured, measured
from nebuloviz.metrics.comparison import compared
from nebuloviz.metrics.customer_sets import Missing
from nebuloviz.metrics.planner import SUMS, Combination, Key, Slice
from nebuloviz.metrics.query import REST, Query
from nebuloviz.metrics.registry import METRICS, Metric, dimension, metric
from nebuloviz.metrics.sql import MAX_ROWS
from nebuloviz.metrics.top import kept_and_rest, ranked, sort_combinations
from nebuloviz.models import Product
from nebuloviz.services.interfaces import Frame, FrameColumn

_LINES = (
    "lines"  # asked for with every dimension: a row is there for what has sale lines, whatever the metric makes of them
)
_Floats = npt.NDArray[np.float64]
_NAMES_AT_ONCE = 500
_NAMES = select(Product.product_id, Product.name).where(Product.product_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True)
class _Rows:
    """What the frame is made of: the buckets as shown, the combinations in order, and the figures of both ranges."""

    query: Query
    now: datetime
    shown: tuple[Bucket, ...]
    past: tuple[Bucket, ...]
    combinations: list[Combination]
    figures: Cells
    compared: Cells | None


def build_frame(
    session: Session, query: Query, now: datetime, zone: ZoneInfo, closed: ClosedDays | None = None
) -> tuple[Frame, set[Missing]]:
    """Answer `query` as of `now`; `zone` is that of the installation. Also returns which sets of customers were missing.

    What `closed` days have kept is not read again.

    Raises:
        InvalidQuery: too many buckets or rows.
    """
    whole, past = _spans(query, now)
    always: set[str] = {_LINES} if query.dimensions else set()
    measures = frozenset(always.union(*(metric(slug).measures for slug in query.metrics)))
    asked = Slice(whole, query.dimensions, query.filters, measures)
    keep: tuple[Combination, ...] | None
    if _ranked_here(query, measures):
        answer, figures, before = _measured(session, asked, past, zone, closed)
        keep, figures, before = _ranked(query, figures, before)
    else:
        keep, other = _kept(session, query, now, zone, closed)
        if query.limit is not None:
            asked = replace(asked, keep=keep, other=other)
        answer, figures, before = _measured(session, asked, past, zone, closed)
    shown = buckets(query) if query.grain else whole
    rows = _Rows(query, now, shown, past or (), _combinations(query, keep, figures, before), figures, before)
    return _frame(session, rows, answer.source), answer.missing


def _measured(
    session: Session, asked: Slice, past: tuple[Bucket, ...] | None, zone: ZoneInfo, closed: ClosedDays | None
) -> tuple[Measured, Cells, Cells | None]:
    """The figures of the range and of its comparison: read together, unless they overlap."""
    if past is None:
        answer = measured(session, asked, zone, closed)
        return answer, answer.cells, None
    if past[-1].end > asked.spans[0].start:
        answer, earlier = (measured(session, replace(asked, spans=each), zone, closed) for each in (asked.spans, past))
        answer.missing.update(earlier.missing)
        return answer, answer.cells, earlier.cells
    answer = measured(session, replace(asked, spans=(*past, *asked.spans)), zone, closed)
    figures: tuple[Cells, Cells] = {}, {}
    for (span, *values), found in answer.cells.items():
        is_past = span < len(past)
        figures[is_past][span if is_past else span - len(past), *values] = found
    return answer, *figures


def _spans(query: Query, now: datetime) -> tuple[tuple[Bucket, ...], tuple[Bucket, ...] | None]:
    """The parts of the range that are measured, and those that they are compared with."""
    whole: tuple[Bucket, ...] = (Bucket(query.start, query.end),)
    if query.grain:
        first, *others = buckets(query)
        *others, last = (first._replace(start=max(first.start, query.start)), *others)
        whole = (*others, last._replace(end=min(last.end, query.end)))
    if not query.comparison:
        return whole, None
    minute = now.replace(second=0, microsecond=0)  # so that news within it asks for the same of days that are over
    return whole, compared(query, whole, minute)


def _ranked_here(query: Query, measures: frozenset[str]) -> bool:
    """Whether all values are read, to be ranked here, and those beyond the limit put together: of sums, and where there are few."""
    by_metric = _order_of(query)
    few = len(query.dimensions) == 1 and dimension(query.dimensions[0]).few
    sums = by_metric is not None and by_metric.measures <= measures <= set(SUMS)
    return few and sums and query.limit is not None and query.grain is None


def _ranked(query: Query, figures: Cells, before: Cells | None) -> tuple[tuple[Combination, ...], Cells, Cells | None]:
    """The combinations that the limit keeps, and the figures of both ranges without those of others, or with all others as one."""
    limit = query.limit or 0
    found: list[Combination] = []
    for cells in (figures, before or {}):
        first = _in_order_of(query, {key[1:] for key, values in cells.items() if values.get(_LINES)}, cells)[:limit]
        found += [combination for combination in first if combination not in found]
    keep = tuple(found[:limit])
    other = query.other and len(keep) == limit
    return keep, kept_and_rest(figures, keep, other=other), before and kept_and_rest(before, keep, other=other)


def _kept(
    session: Session, query: Query, now: datetime, zone: ZoneInfo, closed: ClosedDays | None
) -> tuple[tuple[Combination, ...] | None, bool]:
    """The combinations that a limit keeps, or that an order by a metric needs, first ones first; and whether there may be more."""
    by_metric = _order_of(query)
    if not query.dimensions or (query.limit is None and (query.grain is None or not query.order or by_metric is None)):
        return None, False
    limit = query.limit or MAX_ROWS
    if query.grain and query.limit and limit * len(buckets(query)) > MAX_ROWS:
        raise InvalidQuery(_too_many(limit * len(buckets(query))))
    found: list[Combination] = []
    for span in _spans(query.with_(grain=None, order=None), now):
        if span is not None and len(found) < limit:
            asked = Slice(span, query.dimensions, query.filters, frozenset())
            first = _first(session, asked, query, by_metric, zone, limit, closed)
            found += [combination for combination in first if combination not in set(found)]
    return tuple(found[:limit]), query.other and query.limit is not None and len(found) >= limit


def _first(
    session: Session,
    asked: Slice,
    query: Query,
    by_metric: Metric | None,
    zone: ZoneInfo,
    limit: int,
    closed: ClosedDays | None,
) -> list[Combination]:
    if by_metric is not None:
        return ranked(session, asked, by_metric, zone, limit, descending=_descending(query), closed=closed)
    found = measure(session, replace(asked, measures=frozenset({_LINES})), zone).cells
    return _by_name((key[1:] for key in found), query)[:limit]


def _combinations(
    query: Query, keep: tuple[Combination, ...] | None, answer: Cells, earlier: Cells | None
) -> list[Combination]:
    """The combinations to show, in order, `REST` last, or what was sold in a part of the comparison that is still to come."""
    found = {key[1:] for cells in (answer, earlier or {}) for key, figures in cells.items() if figures.get(_LINES)}
    if keep is not None:
        return [*keep, *sorted(found.difference(keep))]
    if not query.dimensions:
        return [()]
    return _in_order_of(query, found, answer)


def _in_order_of(query: Query, found: Iterable[Combination], cells: Cells) -> list[Combination]:
    """By the query's metric over the one span of `cells`; by name where there are several spans, or it orders by a name."""
    by_metric = _order_of(query)
    if query.grain or by_metric is None:
        return _by_name(found, query)
    values = {combination: by_metric.value(cells.get((0, *combination), {})) for combination in found}
    return sort_combinations(values, descending=_descending(query))


def _by_name(found: Iterable[Combination], query: Query) -> list[Combination]:
    """By the values of the dimension that the query orders by, then by the others in turn."""
    slug = (query.order or "").removeprefix("-")
    combinations = sorted(found)
    if slug in query.dimensions:
        place = query.dimensions.index(slug)
        combinations.sort(key=lambda combination: combination[place], reverse=str(query.order).startswith("-"))
    return combinations


def _order_of(query: Query) -> Metric | None:
    """The metric that combinations are in order of; None where it is something else."""
    return _metric_of(query.order) if query.order else metric(query.metrics[0])


def _descending(query: Query) -> bool:
    return query.order is None or query.order.startswith("-")


def _metric_of(order: str | None) -> Metric | None:
    return next((entry for entry in METRICS if order and entry.slug == order.removeprefix("-")), None)


def _frame(session: Session, rows: _Rows, source: str) -> Frame:
    keys = _keys(rows)
    if len(keys) > MAX_ROWS:
        raise InvalidQuery(_too_many(len(keys)))
    query = rows.query
    columns: list[FrameColumn] = []
    data: dict[str, Any] = {}

    def add(column: FrameColumn, values: Any) -> None:
        columns.append(column)
        data[column.name] = values

    if query.grain:
        starts = pd.DatetimeIndex([rows.shown[key[0]].start for key in keys], tz="UTC")
        add(FrameColumn("bucket", "time"), starts.tz_convert(query.zone))
    for place, slug in enumerate(query.dimensions, 1):
        add(FrameColumn(slug, "text"), pd.array([key[place] for key in keys], dtype="str"))
    if "product" in query.dimensions:
        names = product_names(session, data["product"])
        add(FrameColumn("product:name", "text"), pd.array([names.get(p, p) for p in data["product"]], dtype="str"))
    for slug in query.metrics:
        add(FrameColumn(slug, "number", metric(slug).unit), _figures(rows, keys, slug))
    for slug in query.metrics if rows.compared is not None else ():
        add(FrameColumn(f"{slug}:comparison", "number", metric(slug).unit), _earlier_figures(rows, keys, slug))
    if query.grain:
        add(FrameColumn("unfinished", "boolean"), np.array([rows.shown[key[0]].end > rows.now for key in keys], bool))
    frame = pd.DataFrame(data, copy=False)
    return Frame(query, tuple(columns), _in_order(frame, query), rows.now, source)


def _keys(rows: _Rows) -> list[Key]:
    """One per row: bucket by bucket, in each the combinations in order."""
    query = rows.query
    spans = range(len(rows.shown))
    if query.order == "-bucket":
        spans = spans[::-1]
    if not query.dimensions or not query.grain or query.limit is not None:
        return [(span, *combination) for span in spans for combination in rows.combinations]
    present = {
        key for cells in (rows.figures, rows.compared or {}) for key, figures in cells.items() if figures.get(_LINES)
    }
    place = {combination: number for number, combination in enumerate(rows.combinations)}
    return sorted((key for key in present if key[1:] in place), key=lambda key: (spans.index(key[0]), place[key[1:]]))


def _figures(rows: _Rows, keys: Sequence[Key], slug: str) -> _Floats:
    """A metric's values. What has not begun by `now` and holds nothing is missing rather than 0."""
    value = metric(slug).value
    nothing: dict[str, int] = {}
    figures = [
        value(rows.figures.get(key, nothing)) if key in rows.figures or rows.shown[key[0]].start < rows.now else None
        for key in keys
    ]
    return np.array(figures, float)  # None becomes NaN


def _earlier_figures(rows: _Rows, keys: Sequence[Key], slug: str) -> _Floats:
    """The same of the comparison; missing where it has no such time (a 31st in a shorter month)."""
    value = metric(slug).value
    cells = rows.compared or {}
    empty = {number for number, span in enumerate(rows.past) if span.start == span.end}
    nothing: dict[str, int] = {}
    return np.array([None if key[0] in empty else value(cells.get(key, nothing)) for key in keys], float)


def _in_order(frame: pd.DataFrame, query: Query) -> pd.DataFrame:
    """Buckets without dimensions can be ordered by a metric, and limited, themselves."""
    if query.dimensions or not query.grain:
        return frame
    if _metric_of(query.order) is not None:
        name = str(query.order).removeprefix("-")
        descending = str(query.order).startswith("-")
        frame = frame.sort_values(name, ascending=not descending, kind="stable", ignore_index=True)
    return frame.head(query.limit) if query.limit is not None else frame


def product_names(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """The latest known name of each product; those without one are absent."""
    wanted = sorted(set(ids) - {REST})
    names: dict[str, str] = {}
    for first in range(0, len(wanted), _NAMES_AT_ONCE):
        some = wanted[first : first + _NAMES_AT_ONCE]
        found = session.connection().execute(_NAMES, {"ids": some})
        names.update((product_id, name) for product_id, name in found if name)
    return names


def _too_many(rows: int) -> str:
    return _(
        "The answer would have {rows} rows and at most {limit} are given; choose a coarser grain or a smaller limit.",
        rows=number(rows),
        limit=number(MAX_ROWS),
    )
