"""The watch over days at work: once hours have been judged up to a midnight, the day before it goes in, and alerts are written.

It learns and catches up a fortnight at a time: who bought on a day is counted from its sales, where nobody has asked for it yet.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.db import Database
from nebuloviz.detection.alerts import DAYS, HOURS, Finding
from nebuloviz.detection.day_model import BY_DAY, DayMetric, Kind
from nebuloviz.detection.day_watch import DayFigures, DayWatch
from nebuloviz.detection.lessons import is_expected, lets_pass
from nebuloviz.detection.series import COMPANY, FloatArray, Segment
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.training import is_replaced
from nebuloviz.metrics.answer import measure
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import day_of, midnight
from nebuloviz.metrics.planner import Slice
from nebuloviz.metrics.registry import METRICS, scale_of
from nebuloviz.models import MEASURES, ROLLED_DIMENSIONS, DetectorState
from nebuloviz.observability import DETECTOR_SECONDS, timed
from nebuloviz.services import imports, lease
from nebuloviz.services.alert_store import apply, open_alerts
from nebuloviz.services.detectors import LEARNING
from nebuloviz.services.feedback import lessons
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK
from nebuloviz.services.watching import (
    EPOCH,
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

STEP_DAYS = 14
_MEASURES = (*MEASURES, "customers")

_log = logging.getLogger(__name__)


def metrics_by_day() -> tuple[DayMetric, ...]:
    """Those built in, and every ratio that an extension has added."""
    known = {each.metric for each in BY_DAY}
    added = [each for each in METRICS if each.denominator and each.slug not in known]
    kinds = {"money": Kind.AMOUNT, "quantity": Kind.AMOUNT}
    ratios = [DayMetric(m.slug, kinds.get(m.unit, Kind.SHARE), m.numerator, m.denominator) for m in added]
    return (*BY_DAY, *ratios)


@dataclass
class _Running:
    """The watch between two steps, as it is pickled."""

    watch: DayWatch
    raise_from: int  # days before this one teach, and raise nothing
    trained_at: datetime  # when it began to learn, or last trained
    expected_until: int = 0  # days before this one have their expected ranges stored
    listed: str = ""  # the model whose series are listed as watched


class DayWatcher:
    """`step` is for the process that is elected to watch series, after a step over hours that left nothing to do."""

    def __init__(self, database: Database, settings: WatchSettings, *, secret: str, holder: str) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics_by_day()
        self._holder = holder
        self._stored = StoredState(DAYS, secret)
        self._zone = ZoneInfo(settings.calendar.zone)
        self._running: _Running | None = None  # as last stored; another process may have gone on since

    def step(self, now: datetime) -> bool:
        """Judge the days that have closed since the last step, at most a fortnight. Whether there are more."""
        with self._database.session() as session:
            until = self._due(session)
            if until is None:
                return False
            running = self._ready(session, now, until)
            if running is None or running.watch.next_day is None:
                return False
            end = min(running.watch.next_day + STEP_DAYS, until)
            figures = closed_days(session, running.watch, end)
        self._running = None  # until the step is stored, memory is ahead of the database
        findings = self._judge(running, figures, now)
        if self._store(running, figures, findings, now):
            self._running = running
        return end < until

    def _due(self, session: Session) -> int | None:
        """The day that is under way, if there are days to judge before it."""
        states = select(DetectorState.detector, DetectorState.scored_until, DetectorState.trained_at)
        known = {row.detector: row for row in session.execute(states)}
        if HOURS not in known:
            return None
        until = self._day(known[HOURS].scored_until)
        own = known.get(DAYS)
        judged = own is not None and own.scored_until >= self._midnight(until)
        return None if own and judged and not imports.ended_since(session, own.trained_at) else until

    def _midnight(self, day: int) -> datetime:
        return midnight(EPOCH + timedelta(days=day), self._zone)

    def _day(self, moment: datetime) -> int:
        return (day_of(moment, self._zone) - EPOCH).days

    def _ready(self, session: Session, now: datetime, until: int) -> _Running | None:
        """The watch in memory, or as stored, or a new one; None where there is nothing to learn from."""
        stored = session.get(DetectorState, DAYS)
        if stored is None:
            return self._new(session, now, until - LOOK_BACK // timedelta(days=1))
        judged_until = self._day(stored.scored_until)
        if imports.ended_since(session, stored.trained_at):
            return self._new(session, now, judged_until)
        if self._running is not None and self._running.watch.next_day == judged_until:
            return self._running
        return self._known(stored.state) or self._new(session, now, judged_until)

    def _known(self, state: bytes) -> _Running | None:
        running = self._stored.unpacked(state)
        if not isinstance(running, _Running) or running.watch.metrics != self._metrics:
            return None
        return running if running.watch.settings == self._settings else None

    def _new(self, session: Session, now: datetime, raise_from: int) -> _Running | None:
        bucket = rollup_table("day").c.bucket
        first = session.scalar(select(func.min(bucket)).where(bucket >= now - HISTORY))
        if first is None:
            return None
        watch = DayWatch(self._settings, self._metrics)
        watch.next_day = self._day(first)
        return _Running(watch, raise_from, trained_at=now)

    def _judge(self, running: _Running, figures: DayFigures, now: datetime) -> dict[int, list[Finding]]:
        """What was found on each day, training where it is due. Holds no connection."""
        watch = running.watch
        found: dict[int, list[Finding]] = {}
        first_judged = running.raise_from - 1  # what stood out then is no news the day after
        for day in figures:
            with timed(DETECTOR_SECONDS, detector=DAYS, step="score"):
                found[day.first] = watch.feed(day)
            if watch.fit_due and not is_replaced(day.first + 1, first_judged):
                with timed(DETECTOR_SECONDS, detector=DAYS, step="train"):
                    _log.info("day watch trained: %s", watch.train().version)
                running.trained_at = now
        return found

    def _store(self, running: _Running, figures: DayFigures, found: dict[int, list[Finding]], now: datetime) -> bool:
        """Write what a step found, in one transaction; False where another process was elected meanwhile."""
        watch = running.watch
        with self._database.transaction() as session:
            if not lease.hold(session, SERIES_TASK, self._holder, now, LEASE_LIFE):
                return False
            going_on = open_alerts(session, DAYS, self._midnight(figures.first))
            for day in range(max(figures.first, running.raise_from), watch.next_day or 0):
                told = self._not_known(session, found[day], watch, now)
                apply(session, going_on, {each.key: each for each in told}, self._midnight(day + 1))
            self._store_expected(session, running, now)
            if watch.model is not None and watch.model.version != running.listed:
                list_watched(session, DAYS, watch.watched(), self._zone)
                running.listed = watch.model.version
            self._stored.store(
                session,
                running,
                version=watch.model.version if watch.model else LEARNING,
                trained_at=running.trained_at,
                scored_until=self._midnight(watch.next_day or 0),
            )
        return True

    def _not_known(
        self, session: Session, findings: Sequence[Finding], watch: DayWatch, now: datetime
    ) -> list[Finding]:
        """Those that nobody has said enough of: see `detection.lessons`."""
        if not findings:
            return []
        own = lessons(session, DAYS, now)
        everything = (*own, *lessons(session, HOURS, now))
        return [
            each
            for each in findings
            if lets_pass(own, each, watch.threshold(each.key.metric)) and not is_expected(everything, each)
        ]

    def _store_expected(self, session: Session, running: _Running, now: datetime) -> None:
        watch = running.watch
        days = min((watch.next_day or 0) - running.expected_until, EXPECTED_DAYS)
        bands = list(watch.bands(days)) if days > 0 else []
        if not bands:
            return
        rows: list[ExpectedRow] = [
            (str(band.key), self._midnight(band.day), band.expected, band.low, band.high) for band in bands
        ]
        replace_expected(session, [each.metric for each in self._metrics], rows, now, "day")
        running.expected_until = watch.next_day or 0


def closed_days(session: Session, watch: DayWatch, until: int) -> DayFigures:
    """All measures from the watch's next day to `until`: in total and for the largest values of each dimension."""
    first = until if watch.next_day is None else watch.next_day
    zone = ZoneInfo(watch.settings.calendar.zone)
    starts = [midnight(EPOCH + timedelta(days=day), zone) for day in range(first, until + 1)]
    spans = tuple(Bucket(start, end) for start, end in pairwise(starts))
    scales = np.array([scale_of(name) for name in _MEASURES], float)
    found: dict[Segment, FloatArray] = {COMPANY: np.zeros((len(spans), len(_MEASURES)))}
    for asked in _slices(session, watch, spans):
        for (span, *values), figures in measure(session, asked, zone).cells.items():
            segment: Segment = tuple(zip(asked.dimensions, values, strict=True))
            days = found.setdefault(segment, np.zeros((len(spans), len(_MEASURES))))
            days[span] = np.array([figures.get(name, 0) for name in _MEASURES]) / scales
    return DayFigures(first, tuple(found), _MEASURES, np.stack(list(found.values()), axis=1))


def _slices(session: Session, watch: DayWatch, spans: Sequence[Bucket]) -> list[Slice]:
    """What to measure of these days: one slice for the total, one for each dimension that has several values."""
    if not spans:
        return []
    slices = [Slice(tuple(spans), (), (), frozenset(_MEASURES))]
    largest = watch.settings.max_series // len(watch.metrics)
    for name in ROLLED_DIMENSIONS:
        values = values_to_feed(session, name, spans[-1].end, watch.segments, largest)
        if values:
            keep = tuple((value,) for value in values)
            slices.append(Slice(tuple(spans), (name,), (), frozenset(_MEASURES), keep=keep))
    return slices
