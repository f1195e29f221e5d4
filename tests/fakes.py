"""In-memory doubles of the services: the interfaces' promises kept by plain pandas over a few thousand made-up sale lines.

For tests of pages and other callers, which want real answers quickly. What the doubles promise is what the interfaces
promise; the real services have contract suites of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from nebuloviz.errors import Conflict, InvalidInput, NebuloVizError, NotFound
from nebuloviz.metrics.buckets import buckets
from nebuloviz.metrics.calendar import day_of
from nebuloviz.metrics.query import Comparison, Filter, Query
from nebuloviz.metrics.registry import DIMENSIONS, METRICS, Metric, metric
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.interfaces import (
    EXPECTED_REASONS,
    OTHER,
    VERDICTS,
    AIInsights,
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertService,
    AlertVerdict,
    AlertView,
    AuditAction,
    AuditEntryView,
    AuditFilter,
    AuditPage,
    AuditService,
    Contribution,
    DataService,
    DeadLetterPage,
    DeadLetterView,
    DetectorView,
    Digest,
    Explanation,
    FilePreview,
    Finding,
    Frame,
    FrameColumn,
    Freshness,
    ImportView,
    IncidentPage,
    IncidentView,
    IngestService,
    Insight,
    Level,
    Made,
    PartitionStatus,
    PostResult,
    RowResult,
    SaleLine,
    SalePage,
    SegmentPart,
    StatusService,
    StreamStatus,
    TaughtView,
    WatchedView,
)

NOW = datetime(2026, 11, 22, 15, 20, tzinfo=UTC)
_CATEGORIES = {"Grocery": 5.0, "Dairy": 3.0, "Meat": 9.0, "Produce": 2.0, "<b>Deli & more</b>": 6.0}
_FREQUENCIES = {"minute": "1min", "quarter_hour": "15min", "hour": "1h", "day": "1D", "month": "MS", "year": "YS"}
_SHIFTS: dict[Comparison, pd.DateOffset] = {"weekdays": pd.DateOffset(days=7), "year": pd.DateOffset(days=364)}

_TEXT_FIELDS = ["sale_id", "order_id", "customer_id", "category", "region", "country", "channel", "store"]
_NUMBER_FIELDS = ["quantity", "unit_price", "discount", "revenue"]


def sale_lines(days: int = 70, now: datetime = NOW, seed: int = 7) -> pd.DataFrame:
    """Sale lines of the `days` before `now`: about 50 a day, more on Saturdays and in the afternoon, one in forty returned."""
    random = np.random.default_rng(seed)
    rows = days * 50
    hours = np.clip(random.normal(14, 3.5, rows), 6, 22).astype(int)
    day = random.choice(days, rows, p=_day_weights(days, now))
    sold_at = pd.Timestamp(now).normalize() - pd.to_timedelta(day, unit="D") + pd.to_timedelta(hours, unit="h")
    names = random.choice(list(_CATEGORIES), rows, p=[0.35, 0.25, 0.15, 0.2, 0.05])
    quantity = np.where(random.random(rows) < 0.025, -1.0, random.integers(1, 5, rows).astype(float))
    price = np.array([_CATEGORIES[name] for name in names]) + random.integers(0, 300, rows) / 100
    lines = pd.DataFrame(
        {
            "sold_at": sold_at + pd.to_timedelta(random.integers(0, 3600, rows), unit="s"),
            "order_id": [f"o{number}" for number in random.integers(0, rows // 2, rows)],
            "customer_id": [f"c{number}" if number else "" for number in random.integers(0, 200, rows)],
            "category": names,
            "product": [f"p{number}" for number in random.integers(0, 40, rows)],
            "region": "",
            "country": "",
            "channel": random.choice(["online", "shop"], rows, p=[0.3, 0.7]),
            "store": random.choice([str(number) for number in range(300, 312)], rows),
            "quantity": quantity,
            "unit_price": price,
            "discount": np.where(random.random(rows) < 0.2, 0.5, 0.0),
        }
    )
    lines["revenue"] = (lines["quantity"] * lines["unit_price"] - lines["discount"]).round(2)
    return _measured(lines[lines["sold_at"] <= now].sort_values("sold_at", ignore_index=True))


def _day_weights(days: int, now: datetime) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.array([1.5 if (now - timedelta(days=back)).weekday() == 5 else 1.0 for back in range(days)])
    return np.asarray(weights / weights.sum())


def _measured(lines: pd.DataFrame) -> pd.DataFrame:
    """With the measures that metrics are made of."""
    returned = lines["quantity"] < 0
    return lines.assign(
        sale_id=[f"s{number}" for number in range(len(lines))],
        lines=1.0,
        cost=0.0,
        costed_revenue=0.0,
        returned_amount=(-lines["revenue"]).where(returned, 0.0),
    )


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


def alert(number: int = 1, **changes: object) -> AlertView:
    """An open alert about an hour's revenue of Dairy, two hours before `NOW`."""
    start = NOW.replace(minute=0) - timedelta(hours=2)
    usual = AlertView(
        id=number,
        detector="forest",
        series="revenue|category=Dairy",
        metric="revenue",
        dimensions={"category": "Dairy"},
        bucket_start=start,
        bucket_end=start + timedelta(hours=1),
        observed=12.5,
        expected=40.0,
        expected_low=25.0,
        expected_high=60.0,
        score=0.81,
        severity="high",
        state="open",
        created_at=start + timedelta(hours=1, minutes=1),
        updated_at=start + timedelta(hours=1, minutes=1),
        version=1,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the fields' own types hold


@dataclass
class FakeAlertService(AlertService):
    """Keeps `alerts` in memory; every change adds to the alert's history."""

    alerts: dict[int, AlertView] = field(default_factory=lambda: {1: alert()})
    events: dict[int, list[AlertHistoryEntry]] = field(default_factory=dict)
    failure: NebuloVizError | None = None
    people: tuple[str, ...] = ("ann", "bob")
    lessons: dict[int, TaughtView] = field(default_factory=dict)
    late: dict[int, float | None] = field(default_factory=dict)  # what an alert's time counts by now
    watches: Sequence[DetectorView] = (
        DetectorView("series", "forest-1", NOW, NOW, (WatchedView("revenue", "hour", NOW),)),
        DetectorView("lines", None, None, None),
    )
    now: datetime = NOW

    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        if self.failure:
            raise self.failure
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise InvalidInput("This is not a cursor.")
        found = sorted(self._visible(actor), key=lambda item: -item.id)
        found = [item for item in found if _wanted(item, which or AlertFilter())]
        first = int(cursor or 0)
        following = str(first + limit) if first + limit < len(found) else None
        return AlertPage(tuple(found[first : first + limit]), following)

    def _visible(self, actor: Actor) -> Sequence[AlertView]:
        scope = [Filter(dimension, "in", values or (OTHER,)) for dimension, values in actor.scope]
        return [item for item in self.alerts.values() if all(_passes(item, one) for one in scope)]

    def incidents(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> IncidentPage:
        matching = self.list(session, actor, which, None, 10**6).items
        wanted = sorted({item.incident_id or item.id for item in matching}, reverse=True)
        if cursor is not None:
            wanted = [number for number in wanted if number < int(cursor)]
        items = tuple(self.incident(session, actor, number) for number in wanted[:limit])
        return IncidentPage(items, str(wanted[limit - 1]) if len(wanted) > limit else None)

    def incident(self, session: Session, actor: Actor, incident_id: int) -> IncidentView:
        if self.failure:
            raise self.failure
        members = [item for item in self._visible(actor) if (item.incident_id or item.id) == incident_id]
        if not members:
            raise NotFound(f"There is no incident {incident_id}.")
        return IncidentView(incident_id, tuple(sorted(members, key=lambda item: item.id)))

    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        if self.failure:
            raise self.failure
        if self.alerts.get(alert_id) not in self._visible(actor):
            raise NotFound(f"There is no alert {alert_id}.")
        return self.alerts[alert_id]

    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        raised = AlertHistoryEntry(self.get(session, actor, alert_id).created_at, "raised", "", "")
        return [raised, *self.events.get(alert_id, [])]

    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        return self._moved(item, actor, "acknowledged", note, version, owner=item.owner or actor.username)

    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._moved(self.get(session, actor, alert_id), actor, "resolved", note, version)

    def reopen(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if item.state != "resolved":
            raise Conflict("It goes on.")
        return self._moved(item, actor, "reopened", note, version, always=True, state="open")

    def counted(self, session: Session, actor: Actor, alert_id: int) -> float | None:
        return self.late.get(alert_id, self.get(session, actor, alert_id).observed)

    def snooze(
        self, session: Session, actor: Actor, alert_id: int, until: datetime, reason: str, version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if not reason.strip() or not self.now < until <= self.now + timedelta(days=90):
            raise InvalidInput("Say why, and for how long.")
        return self._moved(item, actor, "snoozed", reason, version, until=until, snoozed_until=until)

    def assign(
        self, session: Session, actor: Actor, alert_id: int, owner: str, version: int | None = None
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        if owner and owner not in self.people:
            raise InvalidInput("There is nobody of that name.")
        return self._moved(
            item, actor, "assigned" if owner else "released", owner, version, state=item.state, owner=owner
        )

    def comment(self, session: Session, actor: Actor, alert_id: int, text: str) -> AlertView:
        item = self.get(session, actor, alert_id)
        self._note(item, actor, "commented", text, needed=True)
        return item

    def judge(
        self,
        session: Session,
        actor: Actor,
        alert_id: int,
        said: AlertVerdict,
        note: str = "",
        version: int | None = None,
    ) -> AlertView:
        item = self.get(session, actor, alert_id)
        expected, until = said.verdict == "expected", said.until
        if (
            said.verdict not in VERDICTS
            or said.reason not in (EXPECTED_REASONS if expected else ("",))
            or (until is not None and not (expected and self.now < until <= self.now + timedelta(days=90)))
        ):
            raise InvalidInput("This is not a verdict.")
        over: dict[str, Any] = {"state": item.state, "snoozed_until": item.snoozed_until}
        if said.verdict != "real":
            over = {"state": "resolved"}
        kind = said.reason or said.verdict
        judged = self._moved(item, actor, kind, note, version, until=until, always=True, verdict=said.verdict, **over)
        self.lessons[alert_id] = TaughtView(judged, said, NOW, actor.username, 100.0 if kind == "false_alarm" else 1.0)
        return judged

    def unjudge(self, session: Session, actor: Actor, alert_id: int, version: int | None = None) -> AlertView:
        item = self.get(session, actor, alert_id)
        if not item.verdict:
            raise Conflict("Nobody has judged it.")
        kept: dict[str, Any] = {"state": item.state, "snoozed_until": item.snoozed_until}
        back = self._moved(item, actor, "unjudged", "", version, always=True, verdict="", **kept)
        del self.lessons[alert_id]
        return back

    def taught(self, session: Session, actor: Actor) -> Sequence[TaughtView]:
        seen = {item.id for item in self._visible(actor)}
        return [lesson for lesson in reversed(self.lessons.values()) if lesson.alert.id in seen]

    def assignable(self, session: Session, actor: Actor, alert_id: int) -> Sequence[str]:
        self.get(session, actor, alert_id)
        return self.people

    def _moved(
        self,
        item: AlertView,
        actor: Actor,
        kind: str,
        note: str,
        version: int | None,
        *,
        until: datetime | None = None,
        always: bool = False,
        **changes: object,
    ) -> AlertView:
        if (item.state == "resolved" and not always) or (version is not None and version != item.version):
            raise Conflict("Somebody has changed this alert meanwhile.")
        self._note(item, actor, kind, note, until)
        usual: dict[str, object] = {"state": kind, "version": item.version + 1, "snoozed_until": None}
        moved = replace(item, **(usual | changes))  # type: ignore[arg-type]  # the fields' own types hold
        self.alerts[item.id] = moved
        return moved

    def _note(
        self,
        item: AlertView,
        actor: Actor,
        kind: str,
        note: str,
        until: datetime | None = None,
        *,
        needed: bool = False,
    ) -> None:
        if len(note) > 2000 or "\x00" in note or (needed and not note.strip()):
            raise InvalidInput("This is not a note.")
        self.events.setdefault(item.id, []).append(AlertHistoryEntry(NOW, kind, actor.username, note, until))

    def explanation(self, session: Session, actor: Actor, alert_id: int, limit: int = 3) -> Explanation:
        self.get(session, actor, alert_id)
        web = (SegmentPart("channel", "web"), SegmentPart("store", "305"))
        found = (
            Contribution(web, 2.0, 20.0, 0.65, 9.5),
            Contribution((SegmentPart("channel", "shop"),), 8.0, 15.0, 0.25, 3.2),
        )
        return Explanation(found[:limit])

    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        plain = len(query.metrics) == 1 and not query.dimensions and not query.filters and not actor.scope
        if query.grain not in {"hour", "day"} or query.metrics[0] not in {"revenue", "orders", "units"} or not plain:
            return None
        starts = [bucket.start.astimezone(query.zone) for bucket in buckets(query)]
        return pd.DataFrame({"bucket": starts, "expected": 250.0, "expected_low": 180.0, "expected_high": 320.0})

    def detectors(self, session: Session, actor: Actor) -> Sequence[DetectorView]:
        if self.failure:
            raise self.failure
        return self.watches

    def counts(self, session: Session, actor: Actor, which: AlertFilter | None = None) -> Mapping[str, int]:
        if self.failure:
            raise self.failure
        found = Counter(item.state for item in self._visible(actor) if _wanted(item, which or AlertFilter()))
        return {state: found[state] for state in ("open", "acknowledged", "snoozed", "resolved")}


def _wanted(item: AlertView, which: AlertFilter) -> bool:
    return (
        (not which.states or item.state in which.states)
        and (not which.severities or item.severity in which.severities)
        and (not which.metrics or item.metric in which.metrics)
        and which.series.casefold() in item.series.casefold()
        and (which.start is None or item.bucket_end > which.start)
        and (which.end is None or item.bucket_start < which.end)
        and all(_passes(item, one) for one in which.filters)
    )


def _passes(item: AlertView, one: Filter) -> bool:
    return (item.dimensions.get(one.dimension) in one.values) == (one.op == "in")


@dataclass
class FakeInsights(AIInsights):
    """Says `findings`; `failure`, once set, is raised instead."""

    findings: Sequence[Insight] = ()
    failure: NebuloVizError | None = None

    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        if self.failure:
            raise self.failure
        return sorted(self.findings, key=lambda each: -each.weight)[:limit]

    def digest(
        self,
        session: Session,
        actor: Actor,
        *,
        day: date | None = None,
        time_zone: str = "UTC",
        filters: tuple[Filter, ...] = (),
    ) -> Digest:
        told = day or day_of(NOW, ZoneInfo(time_zone)) - timedelta(days=1)
        found = sorted(self.findings, key=lambda each: -each.weight)
        of_week, ahead = ([each for each in found if (each.kind == "pace") is leads] for leads in (False, True))
        return Digest(told, of_week[:1], of_week, ahead)


@dataclass
class FakeIngestService(IngestService):
    """Shows one partition, and keeps dead letters and imports in memory."""

    letters: dict[int, DeadLetterView] = field(default_factory=dict)
    running: list[ImportView] = field(default_factory=list)
    previews: dict[str, FilePreview] = field(default_factory=dict)
    started: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    corrected: dict[int, bytes] = field(default_factory=dict)
    halted: str = ""
    resumed: list[tuple[str, int, int | None]] = field(default_factory=list)
    failure: NebuloVizError | None = None

    def post(self, session: Session, actor: Actor, items: Iterable[bytes]) -> PostResult:
        return PostResult(len(list(items)), 0, 0)

    def post_rows(self, session: Session, actor: Actor, table: Path, mapping: Mapping[str, str]) -> PostResult:
        return PostResult(len(table.read_bytes().splitlines()) - 1, 0, 0)

    def status(self, session: Session, actor: Actor) -> StreamStatus:
        if self.failure:
            raise self.failure
        partition = PartitionStatus("demo", 0, 1200, 3, 1190, 8, 2, NOW - timedelta(seconds=3), self.halted)
        minutes = tuple(
            (NOW.replace(second=0) - timedelta(minutes=59 - i), 20 + i % 7, i % 3, int(i == 30), 2) for i in range(60)
        )
        return StreamStatus((partition,), minutes)

    def resume(
        self, session: Session, actor: Actor, topic: str, partition: int, skip_to: int | None = None
    ) -> PartitionStatus:
        if not self.halted:
            raise InvalidInput("This partition is not halted.")
        self.halted = ""
        self.resumed.append((topic, partition, skip_to))
        return PartitionStatus(topic, partition, skip_to or 1200, None, 1190, 8, 2, NOW, "")

    def dead_letters(
        self,
        session: Session,
        actor: Actor,
        state: str = "open",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeadLetterPage:
        if self.failure:
            raise self.failure
        kept = [item for item in self.letters.values() if item.state == state and reason in {"", item.reason}]
        reasons = Counter(item.reason for item in self.letters.values() if item.state == "open")
        return DeadLetterPage(tuple(kept[:limit]), None, reasons)

    def dead_letter(self, session: Session, actor: Actor, letter_id: int) -> DeadLetterView:
        return self.letters[letter_id]

    def retry(
        self, session: Session, actor: Actor, ids: Sequence[int], corrected: Mapping[int, bytes] | None = None
    ) -> PostResult:
        """Whatever is corrected becomes a sale."""
        rows = [
            RowResult(place, "accepted")
            if number in (corrected or {})
            else RowResult(place, "rejected", "empty: no value")
            for place, number in enumerate(ids)
        ]
        self.corrected.update(corrected or {})
        accepted = sum(row.status == "accepted" for row in rows)
        return PostResult(accepted, 0, len(rows) - accepted, tuple(rows))

    def discard(self, session: Session, actor: Actor, ids: Sequence[int]) -> int:
        for number in ids:
            self.letters[number] = replace(self.letters[number], state="discarded")
        return len(ids)

    def imports(
        self, session: Session, actor: Actor, limit: int = 20, cursor: str | None = None
    ) -> Sequence[ImportView]:
        if self.failure:
            raise self.failure
        return [view for view in self.running if cursor is None or view.id < int(cursor)][:limit]

    def import_of(self, session: Session, actor: Actor, import_id: int) -> ImportView:
        return next(view for view in self.running if view.id == import_id)

    def store_upload(self, name: str, chunks: Iterable[bytes]) -> str:
        self.previews["1" * 32] = FilePreview(name, ("line",), ((str(sum(map(len, chunks))),),), {}, ())
        return "1" * 32

    def preview(self, session: Session, actor: Actor, upload_id: str) -> FilePreview:
        if upload_id not in self.previews:
            raise InvalidInput("This file is not there any more. Please upload it again.")
        return self.previews[upload_id]

    def start_import(self, session: Session, actor: Actor, upload_id: str, mapping: Mapping[str, str]) -> ImportView:
        self.started.append((upload_id, mapping))
        name = self.previews[upload_id].name if upload_id in self.previews else ""
        return ImportView(len(self.started), name, "running", "", None, 0, 0, 0, 0, actor.username, NOW, NOW, None)


def dead_letter(number: int = 1, **changes: object) -> DeadLetterView:
    """An open dead letter whose bytes are no JSON."""
    usual = DeadLetterView(
        number, "sales", 0, 40 + number, "malformed", "not JSON", b'{"sale_id": \x00', 13, "open", NOW
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the fields' own types hold


@dataclass
class FakeAudit(AuditService):
    """Keeps entries in memory, each a minute later than the one before."""

    kept: list[AuditEntryView] = field(default_factory=list)
    failure: NebuloVizError | None = None

    def record(
        self,
        session: Session,
        actor: Actor,
        action: AuditAction,
        subject: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        number = len(self.kept) + 1
        at = NOW + timedelta(minutes=number)
        self.kept.append(
            AuditEntryView(number, at, actor.username, "", str(action), subject, before or {}, after or {})
        )

    @require(Permission.AUDIT_READ)
    def entries(
        self,
        session: Session,
        actor: Actor,
        which: AuditFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AuditPage:
        if self.failure:
            raise self.failure
        if cursor is not None and not re.fullmatch(r"n\d+", cursor):
            raise InvalidInput("The cursor is not one of ours.")
        which = which or AuditFilter()
        before = int(cursor[1:]) if cursor else len(self.kept) + 1
        found = [each for each in reversed(self.kept) if each.id < before and _audited(each, which)]
        return AuditPage(tuple(found[:limit]), f"n{found[limit - 1].id}" if len(found) > limit else None)


def _audited(entry: AuditEntryView, which: AuditFilter) -> bool:
    return (
        any(which.search.casefold() in text.casefold() for text in (entry.username, entry.subject, entry.address))
        and which.action in {"", entry.action}
        and (which.start is None or entry.at >= which.start)
        and (which.end is None or entry.at < which.end)
    )


class FakeStatus(StatusService):
    """Finds what it is told to: nothing wrong at first."""

    def __init__(self) -> None:
        self.found = [
            Finding("disk", "Disk", Level.GOOD, "80 GiB are free."),
            Finding("cache", "Cache", Level.GOOD, "Redis answers."),
        ]

    def findings(self, actor: Actor) -> Sequence[Finding]:
        actor.demand(Permission.SETTINGS_MANAGE)
        return self.found
