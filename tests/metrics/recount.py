"""A second opinion on frames: counts a query again from a table of lines, with pandas and as little cleverness as possible."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.comparison import compared
from nebuloviz.metrics.query import REST, Query

Key = tuple[Any, ...]
METRIC_SLUGS = (
    "revenue",
    "orders",
    "units",
    "average_order_value",
    "customers",
    "lines",
    "discount_rate",
    "margin",
    "returns",
)
_RATIOS = ("average_order_value", "discount_rate", "margin")
_NO_LINES = pd.DataFrame()
_CLOCKS = {"minute": timedelta(minutes=1), "quarter_hour": timedelta(minutes=15), "hour": timedelta(hours=1)}


def figures(rows: pd.DataFrame) -> dict[str, float]:
    """Every metric of some lines."""
    if rows.empty:
        return {**dict.fromkeys(METRIC_SLUGS, 0.0), **dict.fromkeys(_RATIOS, math.nan)}
    revenue, discount = rows["revenue"].sum() / 1e4, rows["discount"].sum() / 1e4
    orders = rows["order_id"].nunique()
    costed = rows[rows["cost"].notna()]
    costed_revenue = costed["revenue"].sum() / 1e4
    return {
        "revenue": revenue,
        "orders": orders,
        "units": rows["quantity"].sum() / 1e3,
        "average_order_value": revenue / orders if orders else math.nan,
        "customers": rows.loc[rows["customer_id"] != "", "customer_id"].nunique(),
        "lines": len(rows),
        "discount_rate": discount / (revenue + discount) if revenue + discount else math.nan,
        "margin": (costed_revenue - costed["cost"].sum() / 1e4) / costed_revenue if costed_revenue else math.nan,
        "returns": -rows.loc[rows["quantity"] < 0, "revenue"].sum() / 1e4,
    }


def bucket_of(moment: datetime, query: Query) -> datetime:
    """The beginning, in UTC, of the bucket that a moment falls into."""
    local = moment.astimezone(query.zone)
    if query.grain in _CLOCKS:
        since_midnight = local.replace(tzinfo=None) - datetime.combine(local.date(), time())
        past = since_midnight % _CLOCKS[query.grain]
        return bucket_of(moment - past, query) if past else moment  # again: the clocks may have changed in between
    return datetime.combine(_first_day(local.date(), query), time(), tzinfo=query.zone).astimezone(UTC)


def _first_day(day: date, query: Query) -> date:
    if query.grain == "week":
        return next(d for d in (day - timedelta(days=n) for n in range(7)) if d.weekday() == query.week_start)
    months = {"month": 1, "quarter": 3, "year": 12}.get(query.grain or "")
    return day if months is None else date(day.year, (day.month - 1) // months * months + 1, 1)


def all_buckets(query: Query) -> list[datetime]:
    """Every bucket that the range touches, found by trying moments."""
    a_quarter, less_than_a_day = timedelta(minutes=15), timedelta(hours=6)
    step = min(_CLOCKS[query.grain], a_quarter) if query.grain in _CLOCKS else less_than_a_day
    found, moment = {bucket_of(query.start, query)}, query.start
    while moment < query.end:
        found.add(bucket_of(moment, query))
        moment += step
    found.add(bucket_of(query.end - timedelta(microseconds=1), query))
    return sorted(found)


def recount(table: pd.DataFrame, query: Query, now: datetime) -> dict[Key, dict[str, float]]:
    """(bucket or None, *dimension values) -> every metric, those of the comparison as `<metric>:comparison`."""
    starts = all_buckets(query) if query.grain else [None]
    edges = [*(max(start, query.start) if start else query.start for start in starts), query.end]
    spans = [Bucket(start, end) for start, end in pairwise(edges)]
    kept = _kept(table, query, now)
    past = compared(query, spans, now) if query.comparison else [None] * len(spans)
    lines = _filtered(table, query).sort_values("sold_at")
    found: dict[Key, dict[str, float]] = {}
    for start, span, before in zip(starts, spans, past, strict=True):
        mine, theirs = _groups(lines, query, span, kept), _groups(lines, query, before, kept)
        for values in {**mine, **theirs} if query.limit is None else {*(kept or ()), *mine, *theirs}:
            row = figures(mine[values]) if len(mine.get(values, _NO_LINES)) else _nothing(span, now)
            if before is not None:
                row |= {f"{name}:comparison": value for name, value in _earlier(theirs, values, before).items()}
            found[start, *values] = row
    rest = tuple(REST for _ in query.dimensions)
    if any(key[1:] == rest for key in found if query.dimensions):
        for start, span in zip(starts, spans, strict=True):
            found.setdefault((start, *rest), _empty_row(query, span, now))
    return found


def _empty_row(query: Query, span: Bucket, now: datetime) -> dict[str, float]:
    before = compared(query, [span], now)[0] if query.comparison else None
    earlier = _earlier({}, (), before) if before else {}
    return _nothing(span, now) | {f"{name}:comparison": value for name, value in earlier.items()}


def _nothing(span: Bucket, now: datetime) -> dict[str, float]:
    empty = figures(_NO_LINES)
    return dict.fromkeys(empty, math.nan) if span.start >= now else empty


def _earlier(groups: dict[Key, pd.DataFrame], values: Key, span: Bucket) -> dict[str, float]:
    if span.start == span.end:
        return dict.fromkeys(figures(_NO_LINES), math.nan)
    return figures(groups.get(values, _NO_LINES))


def _groups(lines: pd.DataFrame, query: Query, span: Bucket | None, kept: list[Key] | None) -> dict[Key, pd.DataFrame]:
    """The lines (in order of time) of a span by combination of dimension values; without dimensions there is always one, ()."""
    if span is None:
        return {}
    first, last = (int(lines["sold_at"].searchsorted(pd.Timestamp(edge))) for edge in span)
    rows = lines.iloc[first:last]
    if not query.dimensions:
        return {(): rows}
    if rows.empty:
        return {}
    rest = tuple(REST for _ in query.dimensions)
    places: dict[Key, list[int]] = {}
    for place, values in enumerate(zip(*(rows[slug] for slug in query.dimensions), strict=True)):
        if kept is None or values in kept:
            places.setdefault(values, []).append(place)
        elif query.other:
            places.setdefault(rest, []).append(place)
    return {values: rows.iloc[found] for values, found in places.items()}


def _filtered(table: pd.DataFrame, query: Query) -> pd.DataFrame:
    for item in query.filters:
        among = table[item.dimension].isin(item.values)
        table = table[among if item.op == "in" else ~among]
    return table


def _kept(table: pd.DataFrame, query: Query, now: datetime) -> list[Key] | None:
    """The first combinations of the whole range, then of the comparison; None without a limit."""
    if query.limit is None or not query.dimensions:
        return None
    whole = query.with_(grain=None, order=None, limit=None, other=False)
    span = Bucket(query.start, query.end)
    lines = _filtered(table, query).sort_values("sold_at")
    spans = [span, *(compared(whole, [span], now) if query.comparison else ())]
    found: list[Key] = []
    for some in spans:
        found += [values for values in _sorted(_groups(lines, whole, some, None), query) if values not in found]
    return found[: query.limit]


def _sorted(groups: dict[Key, pd.DataFrame], query: Query) -> list[Key]:
    order = query.order or f"-{query.metrics[0]}"
    by, sign = order.removeprefix("-"), -1 if order.startswith("-") else 1
    if by in query.dimensions or by == "bucket":
        raise ValueError("the tests that use this order by metrics")
    values = {key: figures(rows)[by] for key, rows in groups.items()}
    return sorted(
        groups, key=lambda key: (math.isnan(values[key]), sign * values[key] if values[key] == values[key] else 0, key)
    )
