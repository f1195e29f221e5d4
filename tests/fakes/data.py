"""Figures over made-up sale lines, by plain pandas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from nebuloviz.errors import NebuloVizError
from nebuloviz.metrics.query import Comparison, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS, Metric, metric
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import (
    OTHER,
    DataService,
    Frame,
    FrameColumn,
    Freshness,
    Made,
    SaleLine,
    SalePage,
)
from tests.fakes.sales import NOW, sale_lines

_FREQUENCIES = {"minute": "1min", "quarter_hour": "15min", "hour": "1h", "day": "1D", "month": "MS", "year": "YS"}
_SHIFTS: dict[Comparison, pd.DateOffset] = {"weekdays": pd.DateOffset(days=7), "year": pd.DateOffset(days=364)}

_TEXT_FIELDS = ["sale_id", "order_id", "customer_id", "category", "region", "country", "channel", "store"]
_NUMBER_FIELDS = ["quantity", "unit_price", "discount", "revenue"]


@dataclass
class FakeDataService(DataService):
    """Answers from `lines`. `failure`, once set, is raised by every method: what a page does then is worth a test."""

    lines: pd.DataFrame = field(default_factory=sale_lines)
    now: datetime = NOW
    failure: NebuloVizError | None = None
    asked: list[Query] = field(default_factory=list)

    def frame(self, session: Session, actor: Actor, query: Query) -> Frame:
        self._note(query)
        data = self._table(query)
        if query.comparison:
            data = self._compared(data, query)
        if query.grain:
            data["unfinished"] = [self._end(bucket, query) > self.now for bucket in data["bucket"]]
        if "product" in query.dimensions:
            data["product:name"] = ["" if value == OTHER else f"Product {value}" for value in data["product"]]
        return Frame(query, tuple(_column(str(name)) for name in data), data, self.now, "sale")

    def rendered(
        self, session: Session, actor: Actor, query: Query, form: str, render: Callable[[Frame], bytes]
    ) -> bytes:
        return render(self.frame(session, actor, query))

    def view(self, session: Session, actor: Actor, stamp: str, name: str, draw: Callable[[], Made]) -> Made:
        return draw()

    def derived(
        self, session: Session, actor: Actor, name: str, queries: Sequence[Query], derive: Callable[[], Made]
    ) -> Made:
        return derive()

    def _note(self, query: Query) -> None:
        if self.failure:
            raise self.failure
        self.asked.append(query)

    def _table(self, query: Query) -> pd.DataFrame:
        rows = self._rows(query)
        keys = [*(["bucket"] if query.grain else []), *query.dimensions]
        if query.grain:
            rows = rows.assign(bucket=_buckets(rows["sold_at"], query))
        rows = _limited(rows, query)
        if not keys:
            return pd.DataFrame([{slug: _value(rows, metric(slug)) for slug in query.metrics}])
        groups = rows.groupby(keys, sort=True)
        values = [[_value(part, metric(slug)) for slug in query.metrics] for _key, part in groups]
        index = groups.size().index
        table = pd.DataFrame(values, index=index, columns=list(query.metrics), dtype=float)
        if query.grain and not query.dimensions:
            table = table.reindex(self._all_buckets(query), fill_value=0.0).rename_axis("bucket")
        return _ordered(table.reset_index(), query)

    def _rows(self, query: Query) -> pd.DataFrame:
        lines = self.lines
        kept = (lines["sold_at"] >= query.start) & (lines["sold_at"] < query.end)
        for item in query.filters:
            matches = lines[item.dimension].isin(item.values)
            kept &= matches if item.op == "in" else ~matches
        return lines[kept]

    def _all_buckets(self, query: Query) -> pd.DatetimeIndex:
        marks = pd.Series([pd.Timestamp(query.start), min(pd.Timestamp(query.end), pd.Timestamp(self.now))])
        first, last = _buckets(marks, query)
        steps = "7D" if query.grain == "week" else _FREQUENCIES[query.grain or "day"]
        index = pd.date_range(first, last, freq=steps)
        return index[index < pd.Timestamp(query.end)]

    def _end(self, bucket: pd.Timestamp, query: Query) -> pd.Timestamp:
        step = {"week": pd.DateOffset(days=7), "month": pd.DateOffset(months=1), "year": pd.DateOffset(years=1)}
        return bucket + step.get(query.grain or "", pd.Timedelta(_FREQUENCIES.get(query.grain or "", "1D")))

    def _compared(self, data: pd.DataFrame, query: Query) -> pd.DataFrame:
        shift = _SHIFTS.get(query.comparison or "weekdays", query.end - query.start)
        start, end = pd.Timestamp(query.start) - shift, pd.Timestamp(query.end) - shift
        before = self._table(query.with_(start=start.to_pydatetime(), end=end.to_pydatetime(), comparison=None))
        names = {slug: f"{slug}:comparison" for slug in query.metrics}
        before = before.rename(columns=names)
        keys = list(query.dimensions)
        if query.grain:
            before["bucket"] = before["bucket"] + shift
            keys = ["bucket", *keys]
        return data.merge(before, on=keys, how="left") if keys else data.join(before)

    def sales(
        self,
        session: Session,
        actor: Actor,
        query: Query,
        cursor: str | None = None,
        limit: int = 100,
        order: str = "-sold_at",
    ) -> SalePage:
        self._note(query)
        rows = self._rows(query).sort_values(order.removeprefix("-"), ascending=not order.startswith("-"))
        first = int(cursor or 0)
        page = rows.iloc[first : first + limit]
        following = str(first + limit) if first + limit < len(rows) else None
        return SalePage(tuple(_line(row) for row in page.to_dict(orient="records")), following, len(rows))

    def values(
        self, session: Session, actor: Actor, dimension: str, search: str = "", limit: int = 50
    ) -> Sequence[tuple[str, str]]:
        sums = self.lines.groupby(dimension)["revenue"].sum().sort_values(ascending=False)
        found = [str(value) for value in sums.index if search.casefold() in str(value).casefold()]
        return [(value, value) for value in found[:limit]]

    def dimensions_in_use(self, session: Session, actor: Actor) -> Sequence[str]:
        if self.failure:
            raise self.failure
        return [item.slug for item in DIMENSIONS if len(self.lines[item.slug].unique()) > 1]

    def freshness(self, session: Session, actor: Actor) -> Freshness:
        if self.failure:
            raise self.failure
        if self.lines.empty:
            return Freshness(None, None, None, "", 0)
        times = self.lines["sold_at"]
        return Freshness(times.min(), times.max(), self.now - timedelta(seconds=4), "USD", len(self.lines))

    def stamp(self, session: Session, actor: Actor) -> str:
        if self.failure:
            raise self.failure
        return str(len(self.lines))


def _column(name: str) -> FrameColumn:
    units = {item.slug: item.unit for item in METRICS}
    if name == "bucket":
        return FrameColumn(name, "time")
    if name == "unfinished":
        return FrameColumn(name, "boolean")
    slug = name.removesuffix(":comparison")
    return FrameColumn(name, "number", units[slug]) if slug in units else FrameColumn(name, "text")


def _buckets(times: pd.Series[pd.Timestamp], query: Query) -> pd.Series[pd.Timestamp]:
    local = times.dt.tz_convert(query.time_zone)
    if query.grain in {"minute", "quarter_hour", "hour", "day"}:
        return local.dt.floor(_FREQUENCIES[query.grain])
    if query.grain == "week":
        return local.dt.floor("D") - pd.to_timedelta((local.dt.day_of_week - query.week_start) % 7, unit="D")
    period = {"month": "M", "quarter": "Q", "year": "Y"}[query.grain or "month"]
    return local.dt.tz_localize(None).dt.to_period(period).dt.start_time.dt.tz_localize(query.time_zone)


def _limited(rows: pd.DataFrame, query: Query) -> pd.DataFrame:
    """The largest values of the first dimension; the rest as `OTHER`, or left out."""
    if not query.limit or not query.dimensions:
        return rows
    slug = query.dimensions[0]
    largest = rows.groupby(slug)["revenue"].sum().nlargest(query.limit).index
    kept = rows[slug].isin(largest)
    return rows.assign(**{slug: rows[slug].where(kept, OTHER)}) if query.other else rows[kept]


def _value(rows: pd.DataFrame, asked: Metric) -> float:
    top = sum(_measure(rows, name) for name in asked.numerator)
    if not asked.denominator:
        return float(top)
    bottom = sum(_measure(rows, name) for name in asked.denominator)
    return float(top / bottom) if bottom else float("nan")


def _measure(rows: pd.DataFrame, name: str) -> float:
    sign, bare = (-1, name[1:]) if name.startswith("-") else (1, name)
    match bare:
        case "orders":
            return sign * rows["order_id"].nunique()
        case "customers":
            return sign * rows.loc[rows["customer_id"] != "", "customer_id"].nunique()
        case _:
            return sign * float(rows[bare].sum())


def _ordered(table: pd.DataFrame, query: Query) -> pd.DataFrame:
    if not query.order:
        return table
    return table.sort_values(query.order.removeprefix("-"), ascending=not query.order.startswith("-"))


def _line(row: Mapping[Any, Any]) -> SaleLine:
    shared = {name: row[name] for name in (*_TEXT_FIELDS, *_NUMBER_FIELDS)}
    return SaleLine(
        sold_at=row["sold_at"].to_pydatetime(), product_id=row["product"], product=f"Product {row['product']}", **shared
    )
