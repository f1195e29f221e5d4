"""Alerts as their readers see them: list, life, expected range and the segments that carry a deviation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd
from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from nebuloviz.db import rows_changed
from nebuloviz.errors import Conflict, InvalidInput, NotFound
from nebuloviz.metrics.buckets import buckets
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.metrics.registry import metric
from nebuloviz.models import Alert, AlertEvent, Expectation
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.interfaces import (
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertService,
    AlertView,
    Contribution,
    DataService,
)

STATES = ("open", "acknowledged", "resolved")
MAX_PAGE = 500
BASELINE_WEEKS = 4  # a segment's normal is its mean at the same hours of so many weeks before
_MAX_NOTE = 2_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqlAlertService(AlertService):
    """Alerts from the `alert` table. A reader with a row scope sees only alerts of series inside it."""

    def __init__(self, data: DataService, now: Callable[[], datetime] = _utc_now) -> None:
        self._data = data
        self._now = now

    @require(Permission.ALERTS_READ)
    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        limit = max(1, min(limit, MAX_PAGE))
        filters = (*(which.filters if which else ()), *_scope_filters(actor))
        statement = _restricted(select(Alert), which or AlertFilter())
        found: list[AlertView] = []
        for alert in _newest_first(session, statement, _cursor_id(cursor), batch=limit + 1):
            if not _matches(alert, filters, scope=actor.scope):
                continue
            found.append(_view(alert))
            if len(found) > limit:
                break
        more = len(found) > limit
        return AlertPage(tuple(found[:limit]), str(found[limit - 1].id) if more else None)

    @require(Permission.ALERTS_READ)
    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        return _view(self._visible(session, actor, alert_id))

    @require(Permission.ALERTS_READ)
    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        self._visible(session, actor, alert_id)
        events = session.scalars(select(AlertEvent).where(AlertEvent.alert_id == alert_id).order_by(AlertEvent.id))
        return [AlertHistoryEntry(event.at, event.kind, event.username, event.note) for event in events]

    @require(Permission.ALERTS_MANAGE)
    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._move(session, actor, alert_id, "acknowledged", note, version)

    @require(Permission.ALERTS_MANAGE)
    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        return self._move(session, actor, alert_id, "resolved", note, version)

    @require(Permission.ALERTS_READ)
    def contributions(self, session: Session, actor: Actor, alert_id: int, limit: int = 8) -> Sequence[Contribution]:
        alert = self._visible(session, actor, alert_id)
        if alert.expected is None or not metric(alert.metric).additive:
            return []
        found: list[Contribution] = []
        for dimension in self._data.dimensions_in_use(session, actor):
            if dimension not in json.loads(alert.dimensions):
                found.extend(self._segments(session, actor, alert, dimension))
        return sorted(found, key=lambda c: -c.share)[:limit]

    @require(Permission.ALERTS_READ)
    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        series = _series_of(query)
        if series is None or not metric(query.metrics[0]).additive or actor.scope:
            return None
        rows = session.execute(
            select(Expectation.bucket, Expectation.expected, Expectation.low, Expectation.high)
            .where(Expectation.series == series, Expectation.bucket >= query.start, Expectation.bucket < query.end)
            .order_by(Expectation.bucket)
        ).all()
        return _by_bucket(pd.DataFrame(rows, columns=["at", "expected", "low", "high"]), query) if rows else None

    @require(Permission.ALERTS_READ)
    def counts(self, session: Session, actor: Actor) -> dict[str, int]:
        if actor.scope:
            states = [
                a.state for a in session.scalars(select(Alert)) if _matches(a, _scope_filters(actor), actor.scope)
            ]
            return {state: states.count(state) for state in STATES}
        rows = session.execute(select(Alert.state, func.count()).group_by(Alert.state)).all()
        return dict.fromkeys(STATES, 0) | {state: int(n) for state, n in rows}

    def _visible(self, session: Session, actor: Actor, alert_id: int) -> Alert:
        alert = session.get(Alert, alert_id) if 0 < alert_id < 2**63 else None
        if alert is None or not _matches(alert, _scope_filters(actor), actor.scope):
            raise NotFound(f"There is no alert {alert_id}.")
        return alert

    def _move(
        self, session: Session, actor: Actor, alert_id: int, state: str, note: str, version: int | None
    ) -> AlertView:
        if len(note) > _MAX_NOTE or "\x00" in note:
            raise InvalidInput(f"A note has at most {_MAX_NOTE} characters and no NUL.")
        alert = self._visible(session, actor, alert_id)
        if alert.state in {"resolved", state} or version not in {None, alert.version}:
            raise Conflict("This alert was changed meanwhile; look at it again before you decide.")
        now = self._now()
        changed = session.execute(
            update(Alert)
            .where(Alert.id == alert_id, Alert.version == alert.version)
            .values(state=state, version=alert.version + 1, updated_at=now)
        )
        if rows_changed(changed) != 1:  # somebody else was faster by a hair
            raise Conflict("This alert was changed meanwhile; look at it again before you decide.")
        session.add(AlertEvent(alert_id=alert_id, at=now, kind=state, username=actor.username, note=note))
        session.flush()
        session.refresh(alert)
        return _view(alert)

    def _segments(self, session: Session, actor: Actor, alert: Alert, dimension: str) -> Iterator[Contribution]:
        """One contribution per value: its part of the whole deviation from the same hours of the weeks before."""
        query = Query(
            metrics=(alert.metric,),
            start=alert.bucket_start,
            end=alert.bucket_end,
            dimensions=(dimension,),
            filters=tuple(Filter(d, "in", (v,)) for d, v in json.loads(alert.dimensions).items()),
        )
        observed = self._by_value(session, actor, query)
        weeks = range(1, BASELINE_WEEKS + 1)
        past = [self._by_value(session, actor, _weeks_back(query, week)) for week in weeks]
        expected = sum(past, pd.Series(dtype=float)) if not past else pd.concat(past).groupby(level=0).sum() / len(past)
        both = pd.DataFrame({"observed": observed, "expected": expected}).fillna(0.0)
        deviation = both["observed"] - both["expected"]
        total = deviation.sum()
        if not total:
            return
        for value, row in both.iterrows():
            share = float((row["observed"] - row["expected"]) / total)
            if share > 0:
                yield Contribution(dimension, str(value), float(row["observed"]), float(row["expected"]), share)

    def _by_value(self, session: Session, actor: Actor, query: Query) -> pd.Series[float]:
        data = self._data.frame(session, actor, query).data
        return data.set_index(query.dimensions[0])[query.metrics[0]].astype(float)


def _weeks_back(query: Query, weeks: int) -> Query:
    shift = timedelta(weeks=weeks)
    return query.with_(start=query.start - shift, end=query.end - shift)


def _series_of(query: Query) -> str | None:
    """The watched series that `query` asks for: one metric, in total or for one value of one dimension."""
    if len(query.metrics) != 1 or query.dimensions or query.grain in {None, "minute", "quarter_hour"}:
        return None
    if not query.filters:
        return query.metrics[0]
    only = query.filters[0]
    if len(query.filters) > 1 or only.op != "in" or len(only.values) > 1:
        return None
    return f"{query.metrics[0]}|{only.dimension}={only.values[0]}"


def _by_bucket(hours: pd.DataFrame, query: Query) -> pd.DataFrame:
    """Hours folded to the query's buckets. Expectations add up; the half-widths of independent hours add in quadrature."""
    edges = buckets(query)
    starts = pd.DatetimeIndex([start for start, _ in edges])
    hours["bucket"] = starts[starts.searchsorted(pd.DatetimeIndex(hours["at"]), side="right") - 1]
    hours["down"] = (hours["expected"] - hours["low"]) ** 2
    hours["up"] = (hours["high"] - hours["expected"]) ** 2
    folded = hours.groupby("bucket")[["expected", "down", "up"]].sum().reset_index()
    folded["expected_low"] = folded["expected"] - folded["down"] ** 0.5
    folded["expected_high"] = folded["expected"] + folded["up"] ** 0.5
    folded["bucket"] = folded["bucket"].dt.tz_convert(query.zone)
    return folded[["bucket", "expected", "expected_low", "expected_high"]]


def _restricted(statement: Select[Alert], which: AlertFilter) -> Select[Alert]:
    conditions: list[ColumnElement[bool]] = []
    for column, wanted in (
        (Alert.state, which.states),
        (Alert.severity, which.severities),
        (Alert.metric, which.metrics),
    ):
        if wanted:
            conditions.append(column.in_(wanted))
    if which.series:
        conditions.append(Alert.series.icontains(which.series, autoescape=True))
    if which.start:
        conditions.append(Alert.bucket_end > which.start)
    if which.end:
        conditions.append(Alert.bucket_start < which.end)
    return statement.where(*conditions)


def _newest_first(session: Session, statement: Select[Alert], before: int | None, batch: int) -> Iterator[Alert]:
    while True:
        page = statement if before is None else statement.where(Alert.id < before)
        rows = session.scalars(page.order_by(Alert.id.desc()).limit(batch)).all()
        yield from rows
        if len(rows) < batch:
            return
        before = rows[-1].id


def _cursor_id(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidInput("The cursor is not one that this list gave out; start again without it.")
    return int(cursor)


def _scope_filters(actor: Actor) -> tuple[Filter, ...]:
    return tuple(Filter(dimension, "in", values) for dimension, values in actor.scope)


def _matches(alert: Alert, filters: Iterable[Filter], scope: Sequence[object] = ()) -> bool:
    """Whether the alert's series lies within all `filters`; under a row scope it must name each scoped dimension."""
    dimensions = json.loads(alert.dimensions)
    for item in filters:
        value = dimensions.get(item.dimension)
        if value is None:
            if scope:
                return False
        elif (value in item.values) != (item.op == "in"):
            return False
    return True


def _view(alert: Alert) -> AlertView:
    return AlertView(
        id=alert.id,
        detector=alert.detector,
        series=alert.series,
        metric=alert.metric,
        dimensions=json.loads(alert.dimensions),
        bucket_start=alert.bucket_start,
        bucket_end=alert.bucket_end,
        observed=alert.observed,
        expected=alert.expected,
        expected_low=alert.expected_low,
        expected_high=alert.expected_high,
        score=alert.score,
        severity=alert.severity,
        state=alert.state,
        created_at=alert.created_at,
        updated_at=alert.updated_at,
        version=alert.version,
        sale_id=alert.sale_id,
    )
