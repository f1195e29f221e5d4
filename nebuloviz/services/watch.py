"""The series watch at work: closed hours from the rollups go in; alerts, their history and expected ranges are written.

One elected process does it, one `step` at a time; a step's alerts and the watch's own state are stored in one transaction, so whatever
crashes, no hour is judged twice and no alert raised twice.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import pickle
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Table, delete, exists, func, literal, select
from sqlalchemy.orm import Session

from nebuloviz.db import Database, insert
from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.series import HOURS_PER_DAY, FloatArray, HourBuckets, SeriesKey, hour_of_time, time_of_hour
from nebuloviz.detection.series_model import WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from nebuloviz.models import (
    MONEY_SCALE,
    QUANTITY_SCALE,
    ROLLUPS,
    DetectorState,
    Expectation,
    ImportJob,
)
from nebuloviz.observability import DETECTOR_SECONDS, SERIES_WATCHED, timed
from nebuloviz.services import lease
from nebuloviz.services.alert_store import OpenAlerts, apply, open_alerts

DETECTOR = "series"
TASK = "series watch"
GRACE = timedelta(minutes=3)  # after the hour, for sales under way
HISTORY = timedelta(weeks=11)  # what a new watch learns from
LOOK_BACK = timedelta(days=14)  # how far back a new watch still raises alerts
EXPECTED_DAYS = 35  # of expected ranges that a new watch writes
KEEP_EXPECTED = timedelta(days=120)
_STEP_HOURS = HOURS_PER_DAY
#: metric of the watch -> measure of the rollups, and what the stored number is divided by
_MEASURES = {"revenue": ("revenue", MONEY_SCALE), "orders": ("orders", 1), "units": ("quantity", QUANTITY_SCALE)}

_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class _Running:
    """The watch between two steps: what is pickled, but for the alerts that are open, which the database holds."""

    watch: SeriesWatch
    raise_from: int  # earlier hours teach, and raise nothing
    built_at: datetime
    expected_until: int = 0  # hours before this have their expected range stored
    open: OpenAlerts = field(default_factory=dict)


class SeriesWatcher:
    """Call `step` every few seconds in any number of processes; the elected one works, the others return at once."""

    def __init__(
        self,
        database: Database,
        settings: WatchSettings,
        *,
        secret: str,
        on_alerts: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._database = database
        self._settings = settings
        self._secret = secret.encode()
        self._on_alerts = on_alerts
        self._now = now
        self._holder = lease.own_name()
        self._running: _Running | None = None

    def step(self) -> bool:
        """Judge up to a day of closed hours. Whether there may be more to do right away."""
        now = self._now()
        with self._database.transaction() as session:
            elected = lease.hold(session, TASK, self._holder, now)
            waiting = elected and session.scalar(select(exists().where(ImportJob.state == "running")))
        if not elected or waiting:  # history that is still being loaded would be learned with holes
            self._running = self._running if elected else None
            return False
        running = self._ready(now)
        if running is None:
            return False
        return self._advance(running, now)

    def stop(self) -> None:
        """Let another process take over at once."""
        with self._database.transaction() as session:
            lease.release(session, TASK, self._holder, self._now())

    def _ready(self, now: datetime) -> _Running | None:
        """The watch in memory, or as stored, or a new one when there are sales to learn from."""
        with self._database.session() as session:
            imported = session.scalar(select(func.max(ImportJob.finished_at)))
            stored = session.get(DetectorState, DETECTOR)
            mine = self._running
            if mine is not None and stored is not None and hour_of_time(stored.scored_until) != mine.watch.next_hour:
                mine = None  # another process went on while this one did not hold the lease
            if mine is None and stored is not None:
                mine = self._unpickled(stored.state)
            if mine is None or (imported is not None and imported > mine.built_at):
                mine = _new(session, self._settings, now, mine.watch.next_hour if mine else None)
            if mine is not None and mine is not self._running:
                mine.open = open_alerts(session, DETECTOR)
        self._running = mine
        return mine

    def _advance(self, running: _Running, now: datetime) -> bool:
        watch = running.watch
        closed = hour_of_time(now - GRACE)
        start = watch.next_hour
        if start is None or start >= closed:
            return False
        end = min(start + _STEP_HOURS, closed)
        try:
            with self._database.transaction() as session:
                if not lease.hold(session, TASK, self._holder, now):
                    return False
                self._judge(session, running, start, end)
                if watch.fit_due and end >= running.raise_from - HOURS_PER_DAY * 7:
                    with timed(DETECTOR_SECONDS, detector=DETECTOR, step="train"):
                        watch.train()
                    _log.info("series watch trained", extra={"version": watch.model.version if watch.model else ""})
                self._store(session, running, now)
        except BaseException:
            self._running = None  # what is in memory may be ahead of what is stored
            raise
        self._on_alerts()
        return end < closed

    def _judge(self, session: Session, running: _Running, start: int, end: int) -> None:
        buckets = _buckets(session, start, end, self._settings)
        with timed(DETECTOR_SECONDS, detector=DETECTOR, step="score"):
            findings = running.watch.feed(buckets)
        by_hour: dict[int, dict[SeriesKey, Finding]] = {}
        for finding in findings:
            by_hour.setdefault(hour_of_time(finding.bucket_end), {})[finding.key] = finding
        for hour in range(max(start + 1, running.raise_from), end + 1):
            apply(session, running.open, by_hour.get(hour, {}), time_of_hour(hour))
        SERIES_WATCHED.set(len(_keys(running.watch)))

    def _store(self, session: Session, running: _Running, now: datetime) -> None:
        watch = running.watch
        assert watch.next_hour is not None, "hours were just fed"  # noqa: S101 - follows from `_judge`
        _store_expected(session, running, now)
        row = {
            "detector": DETECTOR,
            "version": watch.model.version if watch.model else "learning",
            "trained_at": now,
            "scored_until": time_of_hour(watch.next_hour),
            "state": self._pickled(running),
        }
        statement = insert(session, DetectorState).values(row)
        changed = {name: value for name, value in row.items() if name != "detector"}
        session.execute(statement.on_conflict_do_update(index_elements=["detector"], set_=changed))

    def _pickled(self, running: _Running) -> bytes:
        kept = _Running(running.watch, running.raise_from, running.built_at, running.expected_until)
        body = zlib.compress(pickle.dumps(kept), level=1)
        return self._signature(body) + body

    def _unpickled(self, stored: bytes) -> _Running | None:
        """None for a state that is not of our making, or of another version of the program: it is learned anew then."""
        signature, body = stored[:32], stored[32:]
        if not hmac.compare_digest(signature, self._signature(body)):
            _log.warning("the stored series watch is not signed with this installation's secret; it is learned anew")
            return None
        try:
            running = pickle.loads(zlib.decompress(body))  # noqa: S301 - signed by ourselves, checked above
        except Exception:  # noqa: BLE001 - reading what another version wrote can fail in any way
            _log.exception("the stored series watch cannot be read; it is learned anew")
            return None
        return running if isinstance(running, _Running) and running.watch.settings == self._settings else None

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()


def _new(session: Session, settings: WatchSettings, now: datetime, judged_until: int | None) -> _Running | None:
    """A watch that will learn from the last weeks; None while there is nothing to learn from.

    It raises alerts from `judged_until` on, or, where nothing was ever judged, in the last days.
    """
    table = _rollup_table(None)
    since = now - HISTORY
    first = session.scalar(select(func.min(table.c.bucket)).where(table.c.bucket >= since))
    if first is None:
        return None
    watch = SeriesWatch(settings)
    start = hour_of_time(first)
    # The first day is fed whole, so that the wall clock's days are.
    start -= int(settings.calendar.wall_hours(np.array([start]))[0]) % HOURS_PER_DAY
    watch.next_hour = start
    raise_from = judged_until if judged_until is not None else hour_of_time(now - LOOK_BACK)
    return _Running(watch, raise_from, built_at=now)


def _rollup_table(dimension: str | None) -> Table:
    wanted = (dimension,) if dimension else ()
    return next(rollup.table for rollup in ROLLUPS if rollup.grain == "hour" and rollup.dimensions == wanted)


def _buckets(session: Session, start: int, end: int, settings: WatchSettings) -> HourBuckets:
    """Closed hours of every watched metric: in total and for the largest values of each dimension."""
    columns: dict[SeriesKey, FloatArray] = {}
    for dimension in (None, *(d for rollup in ROLLUPS if rollup.grain == "hour" for d in rollup.dimensions)):
        for bucket, value, *sums in _hours(session, start, end, dimension, settings):
            pairs = {dimension: value} if dimension else {}
            for (metric, (_measure, scale)), total in zip(_MEASURES.items(), sums, strict=True):
                key = SeriesKey.of(metric, **pairs)
                column = columns.setdefault(key, np.zeros(end - start))
                column[hour_of_time(bucket) - start] = float(total) / scale
    keys = tuple(sorted(columns))
    values = np.stack([columns[key] for key in keys], axis=1) if keys else np.zeros((end - start, 0))
    return HourBuckets(start, keys, values)


def _hours(
    session: Session, start: int, end: int, dimension: str | None, settings: WatchSettings
) -> Iterable[tuple[datetime, str, int, int, int]]:
    table = _rollup_table(dimension)
    sums = [table.c[measure] for measure, _ in _MEASURES.values()]
    inside = (table.c.bucket >= time_of_hour(start)) & (table.c.bucket < time_of_hour(end))
    if dimension is None:
        return session.execute(select(table.c.bucket, literal(""), *sums).where(inside)).tuples()
    value = table.c[dimension]
    recent = (table.c.bucket >= time_of_hour(end) - HISTORY) & (table.c.bucket < time_of_hour(end))
    largest = (
        select(value)
        .where(recent, value != "")
        .group_by(value)
        .order_by(func.sum(table.c.orders).desc(), value)
        .limit(max(1, settings.max_series // len(_MEASURES)))
    )
    values = session.scalars(largest).all()
    return session.execute(select(table.c.bucket, value, *sums).where(inside, value.in_(values))).tuples()


def _keys(watch: SeriesWatch) -> list[SeriesKey]:
    if watch.model is None:
        return []
    return [SeriesKey(metric, segment) for metric in watch.model.of for segment in watch.model.segments]


def _store_expected(session: Session, running: _Running, now: datetime) -> None:
    """Write the expected ranges of the hours that have none yet, today's coming hours included."""
    watch = running.watch
    days = EXPECTED_DAYS if running.expected_until == 0 else 2
    rows: list[dict[str, object]] = []
    until = running.expected_until
    for key in _keys(watch):
        band = watch.band(key, days)
        if band is None:
            continue
        for hour, expected, low, high in zip(band.hours, band.expected, band.low, band.high, strict=True):
            if hour >= running.expected_until and np.isfinite(expected):
                rows.append(
                    {
                        "series": str(key),
                        "bucket": time_of_hour(hour),
                        "expected": float(expected),
                        "low": float(low),
                        "high": float(high),
                    }
                )
                until = max(until, int(hour) + 1)
    if rows:
        statement = insert(session, Expectation).on_conflict_do_nothing()
        session.execute(statement, rows)
        session.execute(delete(Expectation).where(Expectation.bucket < now - KEEP_EXPECTED))
    running.expected_until = until
