"""A rule over a range of the past: the very steps that the watch takes, bucket by bucket, with nothing written but the outcome."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import update

from nebuloviz import extensions
from nebuloviz.child import Parent
from nebuloviz.clock import utc_now
from nebuloviz.db import Database, rows_changed
from nebuloviz.detection.alerts import OpenAlert, Step, next_state
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.registry import series_detector
from nebuloviz.detection.series_detector import Judgement
from nebuloviz.models import Backtest
from nebuloviz.services.interfaces import BacktestCourse, BacktestSide, RuleDraft, RuleGrain, WouldBeAlert
from nebuloviz.services.rule_series import WatchedCourse, detector_of, watched_courses
from nebuloviz.services.watched_calendar import watched_calendar

MAX_ALERTS = 200  # of a setting that are listed
MAX_COURSES = 6  # of a setting that are drawn
LONGEST = timedelta(minutes=5)


class Stopped(Exception):
    """Somebody stopped it."""


def run(
    parent: Parent,
    database_url: str,
    zone: str,
    extensions_dir: Path | None,
    closed_days: frozenset[date],
    backtest_id: int,
) -> None:
    """The task of a process of its own: try the settings, one series at a time, and say how far it is."""
    extensions.load(extensions_dir)
    database = Database(database_url)
    parent.when_stopped(lambda: _finish(database, backtest_id, state="stopped"))
    try:
        try_settings(database, ZoneInfo(zone), backtest_id, closed_days)
    finally:
        database.dispose()


def try_settings(
    database: Database, zone: ZoneInfo, backtest_id: int, closed_days: frozenset[date] = frozenset()
) -> None:
    """Carry a backtest out, here and now, unless somebody stops it. `closed_days` are closed besides what the calendar says."""
    try:
        with database.session() as session:
            calendar = watched_calendar(session, str(zone), closed_days, utc_now().year)
        sides = [asdict(side) for side in _sides(database, calendar, backtest_id)]
        _finish(database, backtest_id, state="done", result=json.dumps(sides, default=_text))
    except Stopped:
        return
    except TimeoutError:
        _finish(database, backtest_id, state="failed", message="too_long")
    except Exception as error:
        _finish(database, backtest_id, state="failed", message=f"{type(error).__name__}: {error}"[:500])
        raise


def _sides(database: Database, calendar: Calendar, backtest_id: int) -> list[BacktestSide]:
    deadline = monotonic() + LONGEST.total_seconds()
    with database.session() as session:
        row = session.get_one(Backtest, backtest_id)
        drafts, start, end = drafts_of(row.asked), row.start, row.end

    def tell(done: int, total: int) -> None:
        _note(database, backtest_id, done, total)
        if monotonic() > deadline:
            raise TimeoutError

    return sides_of_past(database, calendar, drafts, (start, end), tell)


def sides_of_past(
    database: Database,
    calendar: Calendar,
    drafts: Sequence[RuleDraft],
    span: tuple[datetime, datetime],
    on_progress: Callable[[int, int], None],
) -> list[BacktestSide]:
    """What each setting of the same series would have alerted on in `span`, both bucket edges.

    `on_progress` is told how many series were looked at, of how many.
    """
    detectors = [series_detector(draft.detector)(parameters=dict(draft.parameters)) for draft in drafts]
    with database.session() as session:
        memory = max(detector.memory_weeks for detector in detectors)
        courses = watched_courses(session, drafts[0], *span, calendar, memory)
    sides, total = [], len(courses) * len(drafts)
    for number, (draft, detector) in enumerate(zip(drafts, detectors, strict=True)):
        found: list[tuple[WatchedCourse, Judgement, list[OpenAlert]]] = []
        for place, each in enumerate(courses):
            on_progress(number * len(courses) + place, total)
            judged = each.judged_by(detector)
            found.append((each, judged, would_alert(each, judged, draft)))
        sides.append(_side(draft, found))
    return sides


def would_alert(watched: WatchedCourse, judged: Judgement, draft: RuleDraft) -> list[OpenAlert]:
    """The alerts of one series, as `alert_store.apply` would raise, extend and end them."""
    alerts: list[OpenAlert] = []
    going_on: OpenAlert | None = None
    ends = watched.edges[watched.course.asked + 1 :]
    for end, finding in zip(ends, watched.findings(judged, detector_of(draft, 0)), strict=True):
        transition = next_state(going_on, finding, end)
        going_on = transition.alert
        if transition.step is Step.RAISE and going_on is not None:
            alerts.append(going_on)
        elif transition.step is Step.EXTEND and going_on is not None:
            alerts[-1] = going_on
    return alerts


def _side(draft: RuleDraft, found: Sequence[tuple[WatchedCourse, Judgement, list[OpenAlert]]]) -> BacktestSide:
    alerts = sorted((each for _course, _judged, own in found for each in own), key=lambda each: each.bucket_start)
    counts = Counter(alert.worst.key for alert in alerts)
    most = sorted(found, key=lambda each: (-counts[each[0].key], each[0].key))[:MAX_COURSES]
    told = tuple(_told(alert) for alert in alerts[-MAX_ALERTS:])
    return BacktestSide(draft, len(alerts), told, tuple(_course(each, judged) for each, judged, _own in most))


def _told(alert: OpenAlert) -> WouldBeAlert:
    worst = alert.worst
    expected = worst.expected if math.isfinite(worst.expected) else None
    facts = (worst.observed, expected, str(worst.severity))
    return WouldBeAlert(str(worst.key), alert.bucket_start, alert.bucket_end, *facts)


def _course(watched: WatchedCourse, judged: Judgement) -> BacktestCourse:
    asked = slice(watched.course.asked, None)
    columns = [[_known(x) for x in column[asked]] for column in (watched.course.values, judged.low, judged.high)]
    return BacktestCourse(str(watched.key), watched.edges[asked][:-1], *(tuple(column) for column in columns))


def _known(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _note(database: Database, backtest_id: int, done: int, total: int) -> None:
    """Raises Stopped once it is not wanted any more."""
    with database.transaction() as session:
        running = (Backtest.id == backtest_id) & (Backtest.state == "running")
        values = {"done": done, "total": total, "updated_at": utc_now()}
        if not rows_changed(session.execute(update(Backtest).where(running).values(values))):
            raise Stopped


def _finish(database: Database, backtest_id: int, **values: str) -> None:
    with database.transaction() as session:
        running = (Backtest.id == backtest_id) & (Backtest.state == "running")
        known: dict[str, Any] = values | {"updated_at": utc_now()}
        if values.get("state") == "done":
            known["done"] = Backtest.total
        session.execute(update(Backtest).where(running).values(known))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def drafts_of(text: str) -> list[RuleDraft]:
    return [_draft(each) for each in json.loads(text)]


def _draft(each: dict[str, Any]) -> RuleDraft:
    parameters = tuple((name, value) for name, value in each["parameters"])
    return RuleDraft(**(each | {"parameters": parameters, "grain": cast("RuleGrain", each["grain"])}))


def sides_of(text: str) -> tuple[BacktestSide, ...]:
    """What `try_settings` has written."""
    return tuple(
        BacktestSide(
            _draft(side["draft"]),
            side["count"],
            tuple(WouldBeAlert(**(alert | _moments(alert))) for alert in side["alerts"]),
            tuple(_stored_course(course) for course in side["courses"]),
        )
        for side in json.loads(text)
    )


def _moments(alert: dict[str, Any]) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(alert[name]) for name in ("start", "end")}


def _stored_course(course: dict[str, Any]) -> BacktestCourse:
    starts = tuple(datetime.fromisoformat(start) for start in course["starts"])
    return BacktestCourse(course["series"], starts, *(tuple(course[name]) for name in ("values", "low", "high")))
