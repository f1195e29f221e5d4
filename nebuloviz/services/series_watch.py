"""The series watch at work: closed hours and quarter hours go in; alerts, their history and expected ranges are written.

One elected process does it, one `step` at a time. What a step found and the watch's own state are stored in one transaction, so
whatever crashes, no bucket is judged twice and no alert raised twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Result, func, literal, select
from sqlalchemy.orm import Session

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.alerts import HOURS, Finding
from nebuloviz.detection.grain import HOUR, QUARTER_HOUR, Grain
from nebuloviz.detection.grained_watch import Closed, GrainedWatch
from nebuloviz.detection.series import (
    COMPANY,
    HOURS_PER_DAY,
    Buckets,
    FloatArray,
    Segment,
    SeriesKey,
    hour_of_time,
    keys_of,
    time_of_hour,
)
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from nebuloviz.detection.training import is_replaced
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE, ROLLED_DIMENSIONS, DetectorState, IngestMinute, SaleRow
from nebuloviz.observability import DETECTOR_CHECKED, DETECTOR_SECONDS, SERIES_WATCHED, timed
from nebuloviz.services import imports, lease
from nebuloviz.services.alert_store import apply, open_alerts
from nebuloviz.services.corrections import Corrections
from nebuloviz.services.day_watch import DayWatcher
from nebuloviz.services.detectors import LEARNING
from nebuloviz.services.feedback import lessons
from nebuloviz.services.quarter_hours import begin_if_wanted, quarters_between, quarters_to_feed
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

    watch: GrainedWatch
    raise_from: int  # hours before this one teach, and raise nothing
    trained_at: datetime  # when it began to learn, or last trained
    expected_until: dict[Grain, int] = field(
        default_factory=dict
    )  # local days before it have their expected ranges stored
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
        """Judge what has closed since the last step, at most eleven weeks of it, then the days. Whether there is more."""
        now = self._now()
        if not lease.keep(self._database, SERIES_TASK, self._holder, now, LEASE_LIFE):
            DETECTOR_CHECKED.set(0)
            return False
        more = self._judge_closed(now) or self._days.step(now)
        if not more:
            self._corrections.step(now)
        self._watch_rules(now)
        if not more:
            DETECTOR_CHECKED.set_to_current_time()
        return more

    def _judge_closed(self, now: datetime) -> bool:
        grain = self._grain()
        closed = grain.time_of(grain.bucket_of(now - GRACE))
        with self._database.session() as session:
            if not (self._learns_quarters or _is_due(session, closed, now, grain)):
                return False
        with self._database.session() as session:
            running = self._ready(session, now)
            if running is None or running.watch.hours.next_bucket is None:
                return False
            watch = running.watch
            watch.heed(lessons(session, DETECTOR, now))
            since = watch.judged_until
            end = min(HOUR.time_of((watch.hours.next_bucket or 0) + _STEP_HOURS), closed)
            new = closed_buckets(session, watch, end)
            _correct_late(session, watch)
        self._running = None  # until the step is stored, memory is ahead of the database
        findings = self._judge(running, new, now)
        with self._database.session() as session:
            begin_if_wanted(session, watch, now)
        if self._store(running, since, findings, now):
            self._running = running
        return end < closed or self._learns_quarters

    def _grain(self) -> Grain:
        """That of what is to be judged next; until it is known whether any segment is judged by the quarter of an hour, they are."""
        known = self._running is not None and self._running.watch.active is None
        return HOUR if known else QUARTER_HOUR

    @property
    def _learns_quarters(self) -> bool:
        """Whether the past of large segments is being read, a week of it in each step."""
        return self._running is not None and self._running.watch.catching_up

    def _watch_rules(self, now: datetime) -> None:
        with self._database.session() as session:
            ready = all_there(session, HOUR.time_of(HOUR.bucket_of(now - GRACE)), now)
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
        if self._running is not None and self._running.watch.judged_until == stored.scored_until:
            return self._running
        return self._known(stored.state) or _new(session, self._settings, now, judged_until)

    def _known(self, state: bytes) -> _Running | None:
        running = self._stored.unpacked(state)
        known = isinstance(running, _Running) and isinstance(running.watch, GrainedWatch)
        return running if known and running.watch.settings == self._settings else None

    def _judge(self, running: _Running, new: Closed, now: datetime) -> list[Finding]:
        """Feed the buckets day by day, training where it is due. Holds no connection: it may take seconds."""
        watch = running.watch
        found: list[Finding] = []
        rebased = watch.rebased
        first_judged = _day_of(running.raise_from, watch.settings) - 1  # what stood out then is no news the day after
        for day in new.by_day(watch.settings.calendar):
            with timed(DETECTOR_SECONDS, detector=DETECTOR, step="score"):
                found += watch.feed(day)
            if watch.fit_due and not is_replaced(watch.hours.history.whole_until, first_judged):
                with timed(DETECTOR_SECONDS, detector=DETECTOR, step="train"):
                    watch.train()
                running.trained_at = now
                _log.info("series watch trained: %s", watch.version)
        again = [day for _number, day in rebased ^ watch.rebased]
        running.expected_until = {
            each.grain: min([running.expected_until.get(each.grain, 0), *again])
            for each in watch.watches
            if each.model is not None
        }
        SERIES_WATCHED.set(len(_keys(watch.hours)))
        return found

    def _store(self, running: _Running, since: datetime, findings: Sequence[Finding], now: datetime) -> bool:
        """Write what a step found from `since` on, in one transaction; False where another process was elected meanwhile."""
        watch, grain = running.watch, HOUR if running.watch.active is None else QUARTER_HOUR
        start = max(since, HOUR.time_of(running.raise_from))
        by_end: dict[datetime, dict[SeriesKey, Finding]] = {}
        for finding in findings:
            by_end.setdefault(finding.bucket_end, {})[finding.key] = finding
        with self._database.transaction() as session:
            if not lease.hold(session, SERIES_TASK, self._holder, self._now(), LEASE_LIFE):
                return False
            going_on = open_alerts(session, DETECTOR, start)
            for bucket in range(grain.bucket_of(start), grain.bucket_of(watch.judged_until)):
                end = grain.time_of(bucket + 1)
                apply(session, going_on, by_end.get(end, {}), end)
            _store_expected(session, running, now)
            _list_watched(session, running)
            self._stored.store(
                session,
                running,
                version=watch.version or LEARNING,
                trained_at=running.trained_at,
                scored_until=watch.judged_until,
            )
        return True


def _day_of(hour: int, settings: WatchSettings) -> int:
    """The local day that an hour lies in."""
    return int(settings.calendar.wall_hours(np.array([hour]))[0]) // HOURS_PER_DAY


def _is_due(session: Session, closed: datetime, now: datetime, grain: Grain) -> bool:
    """Whether more has closed, or an import has ended, since the last step; and whether all its sales should be there."""
    newest = session.scalar(select(func.max(rollup_table("hour").c.bucket)))
    known = select(DetectorState.scored_until, DetectorState.trained_at).where(DetectorState.detector == DETECTOR)
    last = session.execute(known).first()
    if newest is None:
        return False
    if last is not None and last.scored_until >= closed and not imports.ended_since(session, last.trained_at):
        return False
    return all_there(session, closed, now, grain)


def all_there(session: Session, closed: datetime, now: datetime, grain: Grain = HOUR) -> bool:
    """Whether the sales of the buckets before `closed` should be there: no history is being loaded, no stream has yet to catch up."""
    if imports.under_way(session, now):
        return False
    newest = session.scalar(select(func.max(SaleRow.sold_at)))
    return (newest is not None and newest >= closed - grain.length) or not _flooded(session, now)


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
    watch = GrainedWatch(settings)
    # The first day is fed whole, so that the wall clock's days are.
    day = _day_of(hour_of_time(first), settings)
    hours, _places = settings.calendar.utc_hours(day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY)
    watch.hours.next_bucket = int(hours[0])
    return _Running(watch, raise_from, trained_at=now)


def closed_buckets(session: Session, watch: GrainedWatch, until: datetime) -> Closed:
    """What the watch is to be fed next, of what had closed at `until`: each in total and for the largest values of each dimension."""
    start, end = watch.hours.next_bucket or 0, HOUR.bucket_of(until)
    hours = hours_between(session, watch.hours, start, max(start, end))
    return Closed(hours, quarters_to_feed(session, watch, QUARTER_HOUR.bucket_of(until)))


def _correct_late(session: Session, watch: GrainedWatch) -> None:
    """Tell the watch what came late to buckets that it has been fed."""
    hour = watch.hours.next_bucket or 0
    watch.hours.correct(hours_between(session, watch.hours, hour - _CORRECTED_HOURS, hour))
    if watch.active is not None:
        bucket, reach = watch.active.next_bucket or 0, QUARTER_HOUR.of_hour(_CORRECTED_HOURS)
        watch.active.correct(quarters_between(session, watch, bucket - reach, bucket))


def hours_between(session: Session, watch: SeriesWatch, start: int, end: int) -> Buckets:
    """Every watched metric in the hours [`start`, `end`), as they are stored by now."""
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
    return Buckets(start, keys, values_of)


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
    if watch.version and watch.version != running.listed:
        list_watched(session, DETECTOR, watch.watched(), ZoneInfo(watch.settings.calendar.zone))
        running.listed = watch.version


def _store_expected(session: Session, running: _Running, now: datetime) -> None:
    """Write the expected ranges of the local days that have none yet, the present one whole."""
    for watch in running.watch.watches:
        if watch.model is None:
            continue
        days = min(watch.history.next_day - running.expected_until.get(watch.grain, 0), EXPECTED_DAYS)
        if rows := list(_expected_rows(watch, days)):
            replace_expected(session, _MEASURES, rows, now, watch.grain.name)
            running.expected_until[watch.grain] = watch.history.next_day


def _expected_rows(watch: SeriesWatch, days: int) -> Iterator[ExpectedRow]:
    """Of the last days, none where there are no such days."""
    bands = ((key, watch.band(key, days)) for key in _keys(watch) if days > 0)
    for key, band in bands:
        if band is None:
            continue
        series = str(key)
        for bucket, expected, low, high in zip(band.buckets, band.expected, band.low, band.high, strict=True):
            if np.isfinite(expected):
                yield series, watch.grain.time_of(bucket), float(expected), float(low), float(high)
