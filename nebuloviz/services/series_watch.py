"""The series watch at work: closed hours from the rollups go in; alerts, their history and expected ranges are written.

One elected process does it, one `step` at a time. What a step found and the watch's own state are stored in one transaction, so
whatever crashes, no hour is judged twice and no alert raised twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Result, func, literal, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS, Finding
from nebuloviz.detection.history import COMPANY, Segment
from nebuloviz.detection.series import (
    HOURS_PER_DAY,
    FloatArray,
    HourBuckets,
    SeriesKey,
    hour_of_time,
    keys_of,
    time_of_hour,
)
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE, ROLLED_DIMENSIONS, DetectorState, IngestMinute
from nebuloviz.observability import DETECTOR_CHECKED, DETECTOR_SECONDS, SERIES_WATCHED, log_context, timed
from nebuloviz.services import imports, lease
from nebuloviz.services.alert_store import apply, open_alerts
from nebuloviz.services.corrections import Corrections
from nebuloviz.services.day_watch import DayWatcher
from nebuloviz.services.detectors import LEARNING
from nebuloviz.services.feedback import lessons
from nebuloviz.services.rule_series import GRACE
from nebuloviz.services.rule_watch import RuleWatcher
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK
from nebuloviz.services.watching import (
    EXPECTED_DAYS,
    HISTORY,
    LOOK_BACK,
    ExpectedRow,
    StoredState,
    list_watched,
    replace_expected,
    rollup_table,
    values_to_feed,
)

DETECTOR = HOURS
BACKLOG = 1000  # sales in two minutes, none of them of the hour to be judged: a stream that has yet to catch up
_BACKLOG_MINUTES = timedelta(minutes=2)
_CORRECTED_HOURS = 2 * HOURS_PER_DAY  # before those to be judged, which the windows of these reach into
_STEP_HOURS = HISTORY // timedelta(hours=1) + HOURS_PER_DAY
#: metric of the watch -> measure of the rollups, and what the stored number is divided by
_MEASURES = {
    "revenue": ("revenue", MONEY_SCALE),
    "orders": ("orders", 1),
    "units": ("quantity", QUANTITY_SCALE),
    "lines": ("lines", 1),
}

_log = logging.getLogger(__name__)


@dataclass
class _Running:
    """The watch between two steps, as it is pickled."""

    watch: SeriesWatch
    raise_from: int  # hours before this one teach, and raise nothing
    trained_at: datetime  # when it began to learn, or last trained
    expected_until: int = 0  # local days before this one have their expected ranges stored
    listed: str = ""  # the model whose series are listed as watched


class SeriesWatcher:
    """Call `step` every few seconds in any number of processes; the elected one works, the others return at once.

    `secret` signs the stored state. `holder` is the name to be elected by; whoever comes back under it need not wait for its turn.
    """

    def __init__(
        self,
        database: Database,
        settings: WatchSettings,
        *,
        secret: str,
        holder: str = "",
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._settings = settings
        self._stored = StoredState(DETECTOR, secret)
        self._now = now
        self._holder = holder or lease.own_name()
        self._days = DayWatcher(database, settings, secret=secret, holder=self._holder)
        self._corrections = Corrections(database, ZoneInfo(settings.calendar.zone), holder=self._holder)
        self._rules = RuleWatcher(database, settings.calendar, self._holder)
        self._running: _Running | None = None  # as last stored; another process may have gone on since

    def step(self) -> bool:
        """Judge the hours that have closed since the last step, at most eleven weeks, then the days. Whether there are more."""
        now = self._now()
        if not lease.keep(self._database, SERIES_TASK, self._holder, now, LEASE_LIFE):
            DETECTOR_CHECKED.set(0)
            return False
        with log_context(request_id=f"series@{now:%Y-%m-%dT%H:%M:%SZ}"):  # all lines of one look
            more = self._judge_closed(now) or self._days.step(now)
            if not more:
                self._corrections.step(now)
            self._watch_rules(now)
        if not more:
            DETECTOR_CHECKED.set_to_current_time()
        return more

    def _judge_closed(self, now: datetime) -> bool:
        closed = hour_of_time(now - GRACE)
        with self._database.session() as session:
            if not _is_due(session, closed, now):
                return False
        with self._database.session() as session:
            running = self._ready(session, now)
            if running is None or running.watch.next_hour is None:
                return False
            running.watch.lessons = lessons(session, DETECTOR, now)
            first = running.watch.next_hour
            end = min(first + _STEP_HOURS, closed)
            buckets = closed_buckets(session, running.watch, end)
            running.watch.correct(buckets_between(session, running.watch, first - _CORRECTED_HOURS, first))
        self._running = None  # until the step is stored, memory is ahead of the database
        findings = self._judge(running, buckets, now)
        if self._store(running, buckets, findings, now):
            self._running = running
        return end < closed

    def _watch_rules(self, now: datetime) -> None:
        with self._database.session() as session:
            ready = all_there(session, hour_of_time(now - GRACE), now)
        if ready:
            self._rules.step(now)

    def stop(self) -> None:
        """Let another process take over at once."""
        with self._database.transaction() as session:
            lease.release(session, SERIES_TASK, self._holder, self._now())

    def _ready(self, session: Session, now: datetime) -> _Running | None:
        """The watch in memory, or as stored, or a new one; None where there is nothing to learn from."""
        stored = session.get(DetectorState, DETECTOR)
        if stored is None:
            return _new(session, self._settings, now, hour_of_time(now - LOOK_BACK))
        judged_until = hour_of_time(stored.scored_until)
        if imports.ended_since(session, stored.trained_at):
            return _new(session, self._settings, now, judged_until)
        if self._running is not None and self._running.watch.next_hour == judged_until:
            return self._running
        return self._known(stored.state) or _new(session, self._settings, now, judged_until)

    def _known(self, state: bytes) -> _Running | None:
        running = self._stored.unpacked(state)
        return running if isinstance(running, _Running) and running.watch.settings == self._settings else None

    def _judge(self, running: _Running, buckets: HourBuckets, now: datetime) -> list[Finding]:
        """Feed the hours day by day, training where it is due. Holds no connection: it may take seconds."""
        watch = running.watch
        found: list[Finding] = []
        rebased = set(watch.history.rebased)
        for first in range(buckets.start, buckets.end, HOURS_PER_DAY):
            with timed(DETECTOR_SECONDS, detector=DETECTOR, step="score"):
                found += watch.feed(buckets.between(first, first + HOURS_PER_DAY))
            # While it raises nothing anyway, the model that counts is the last one before it does
            if watch.fit_due and first + HOURS_PER_DAY > min(running.raise_from, buckets.end - 1):
                with timed(DETECTOR_SECONDS, detector=DETECTOR, step="train"):
                    version = watch.train().version
                running.trained_at = now
                _log.info("series watch trained: %s", version)
        changed = [each.first // HOURS_PER_DAY for each in rebased ^ set(watch.history.rebased)]
        running.expected_until = min([running.expected_until, *changed])
        SERIES_WATCHED.set(len(_keys(watch)))
        return found

    def _store(self, running: _Running, buckets: HourBuckets, findings: Sequence[Finding], now: datetime) -> bool:
        """Write what a step found, in one transaction; False where another process was elected meanwhile."""
        start = max(buckets.start, running.raise_from)
        by_hour: dict[int, dict[SeriesKey, Finding]] = {}
        for finding in findings:
            by_hour.setdefault(hour_of_time(finding.bucket_end) - 1, {})[finding.key] = finding
        with self._database.transaction() as session:
            if not lease.hold(session, SERIES_TASK, self._holder, self._now(), LEASE_LIFE):
                return False
            going_on = open_alerts(session, DETECTOR, time_of_hour(start))
            for hour in range(start, buckets.end):
                apply(session, going_on, by_hour.get(hour, {}), time_of_hour(hour + 1))
            _store_expected(session, running, now)
            _list_watched(session, running)
            self._stored.store(
                session,
                running,
                version=running.watch.model.version if running.watch.model else LEARNING,
                trained_at=running.trained_at,
                scored_until=time_of_hour(running.watch.next_hour or 0),
            )
        return True


def _is_due(session: Session, closed: int, now: datetime) -> bool:
    """Whether hours have closed, or an import has ended, since the last step; and whether all their sales should be there."""
    newest = session.scalar(select(func.max(rollup_table("hour").c.bucket)))
    known = select(DetectorState.scored_until, DetectorState.trained_at).where(DetectorState.detector == DETECTOR)
    last = session.execute(known).first()
    if newest is None:
        return False
    if (
        last is not None
        and hour_of_time(last.scored_until) >= closed
        and not imports.ended_since(session, last.trained_at)
    ):
        return False
    return all_there(session, closed, now)


def all_there(session: Session, closed: int, now: datetime) -> bool:
    """Whether the sales of the hours before `closed` should be there: no history is being loaded, no stream has yet to catch up."""
    if imports.under_way(session, now):
        return False
    newest = session.scalar(select(func.max(rollup_table("hour").c.bucket)))
    return (newest is not None and hour_of_time(newest) >= closed - 1) or not _flooded(session, now)


def _flooded(session: Session, now: datetime) -> bool:
    """Whether sales stream in by the thousand: where none is of the present, a stream has yet to catch up."""
    lately = select(func.sum(IngestMinute.accepted)).where(IngestMinute.minute >= now - _BACKLOG_MINUTES)
    return int(session.scalar(lately) or 0) >= BACKLOG


def _new(session: Session, settings: WatchSettings, now: datetime, raise_from: int) -> _Running | None:
    """A watch that will learn from the last weeks; None while there is nothing to learn from."""
    bucket = rollup_table("hour").c.bucket
    first = session.scalar(select(func.min(bucket)).where(bucket >= now - HISTORY))
    if first is None:
        return None
    watch = SeriesWatch(settings)
    start = hour_of_time(first)
    # The first day is fed whole, so that the wall clock's days are.
    watch.next_hour = start - int(settings.calendar.wall_hours(np.array([start]))[0]) % HOURS_PER_DAY
    return _Running(watch, raise_from, trained_at=now)


def closed_buckets(session: Session, watch: SeriesWatch, end: int) -> HourBuckets:
    """Every watched metric from the watch's next hour to `end`: in total and for the largest values of each dimension."""
    start = watch.next_hour or 0
    return buckets_between(session, watch, start, max(start, end))


def buckets_between(session: Session, watch: SeriesWatch, start: int, end: int) -> HourBuckets:
    """The same of the hours in [`start`, `end`), as they are stored by now."""
    segments: dict[Segment, FloatArray] = {}
    for dimension in (None, *ROLLED_DIMENSIONS):
        values = [""]
        if dimension:
            largest = watch.settings.max_series // len(_MEASURES)
            values = values_to_feed(session, dimension, time_of_hour(end), watch.history.segments, largest)
        for bucket, value, *sums in _hours(session, start, end, dimension, values):
            segment = ((dimension, value),) if dimension else COMPANY
            if segment not in segments:
                segments[segment] = np.zeros((end - start, len(_MEASURES)))
            segments[segment][hour_of_time(bucket) - start] = sums
    keys = keys_of(tuple(_MEASURES), sorted(segments))
    scales = [scale for _, scale in _MEASURES.values()]
    columns = [segments[key.dimensions][:, tuple(_MEASURES).index(key.metric)] for key in keys]
    values_of = np.stack(columns, axis=1) / np.repeat(scales, len(segments)) if keys else np.zeros((end - start, 0))
    return HourBuckets(start, keys, values_of)


def _hours(
    session: Session, start: int, end: int, dimension: str | None, values: Sequence[str]
) -> Result[*tuple[Any, ...]]:
    """Rows of bucket, value and the stored measures, for the hours that have any sale."""
    table = rollup_table("hour", dimension)
    sums = [table.c[measure] for measure, _ in _MEASURES.values()]
    inside = (table.c.bucket >= time_of_hour(start)) & (table.c.bucket < time_of_hour(end))
    if dimension is None:
        return session.execute(select(table.c.bucket, literal(""), *sums).where(inside))
    value = table.c[dimension]
    return session.execute(select(table.c.bucket, value, *sums).where(inside, value.in_(values)))


def _keys(watch: SeriesWatch) -> list[SeriesKey]:
    if watch.model is None:
        return []
    return [SeriesKey(metric, segment) for metric in watch.model.of for segment in watch.model.segments]


def _list_watched(session: Session, running: _Running) -> None:
    watch = running.watch
    if watch.model is not None and watch.model.version != running.listed:
        list_watched(session, DETECTOR, "hour", watch.watched(), ZoneInfo(watch.settings.calendar.zone))
        running.listed = watch.model.version


def _store_expected(session: Session, running: _Running, now: datetime) -> None:
    """Write the expected ranges of the local days that have none yet, the present one whole."""
    watch = running.watch
    days = min(watch.history.next_day - running.expected_until, EXPECTED_DAYS)
    keys = _keys(watch)
    if days <= 0 or not keys:
        return
    rows: list[ExpectedRow] = []
    for key in keys:
        band = watch.band(key, days)
        if band is None:
            continue
        for hour, expected, low, high in zip(band.hours, band.expected, band.low, band.high, strict=True):
            if np.isfinite(expected):
                rows.append((str(key), time_of_hour(hour), float(expected), float(low), float(high)))
    if not rows:
        return
    replace_expected(session, _MEASURES, rows, now)
    running.expected_until = watch.history.next_day
