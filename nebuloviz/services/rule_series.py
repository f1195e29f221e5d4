"""The series that a rule watches, as its detector takes them in: closed hours or days, from the rollups or the stream's own pace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import Finding, rule_detector, severity_of
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.lessons import Lesson, Verdict
from nebuloviz.detection.series import (
    HOURS_PER_DAY,
    BoolArray,
    FloatArray,
    SeriesKey,
    hour_of_time,
    time_of_hour,
    within,
)
from nebuloviz.detection.series_detector import Course, Judgement, SeriesDetector
from nebuloviz.ingest.jobs import stream_topics
from nebuloviz.metrics.calendar import day_of, midnight
from nebuloviz.metrics.line_figures import NEW_VALUES, SCHEMA_FIGURES, STREAM_FIGURES, figure
from nebuloviz.metrics.registry import Metric, scale_of
from nebuloviz.models import IngestMinute
from nebuloviz.services.interfaces import RuleDraft
from nebuloviz.services.schema_series import Sums, missing_sums, new_value_sums
from nebuloviz.services.watching import EPOCH, rollup_table, values_to_feed

MAX_SERIES = 30  # of a rule that watches each value of a dimension: the largest
HOURS_PER_WEEK, DAYS_PER_WEEK = 168, 7
GRACE = timedelta(minutes=3)  # after the hour, for sales under way


@dataclass(frozen=True)
class WatchedCourse:
    """A series with the moments between its buckets, of which there is one more than buckets.

    Where `promoted`, what is above the range says nothing, and nothing later is judged by it.
    """

    key: SeriesKey
    course: Course
    edges: tuple[datetime, ...]
    promoted: BoolArray

    def judged_by(self, detector: SeriesDetector) -> Judgement:
        """What the detector says of each bucket when it closes: those that were promoted before it are no example by then."""
        course = self.course
        if not self.promoted.any():
            return detector.judge(course)
        others = np.where(self.promoted, np.nan, course.values)
        judged = detector.judge(replace(course, values=others))
        score = judged.score.copy()
        # A range does not hang on the value it is for, so only these can be findings: each is judged as the last one.
        with np.errstate(invalid="ignore"):
            below = self.promoted & (course.values < judged.low)
        for place in (int(each) for each in np.flatnonzero(below) if each >= course.asked):
            values = np.r_[others[:place], course.values[place]]
            alone = replace(course[: place + 1], values=values, asked=place)
            score[place] = detector.judge(alone).score[place]
        return replace(judged, score=score)

    def findings(self, judged: Judgement, detector: str) -> list[Finding | None]:
        """What was found in each bucket that was asked for, in order."""
        return [self._finding(judged, place, detector) for place in range(self.course.asked, len(self.course))]

    def _finding(self, judged: Judgement, place: int, detector: str) -> Finding | None:
        score, value = float(judged.score[place]), float(self.course.values[place])
        if score <= 0 or (self.promoted[place] and not value < judged.low[place]):
            return None
        return Finding(
            key=self.key,
            bucket_start=self.edges[place],
            bucket_end=self.edges[place + 1],
            observed=value if np.isfinite(value) else 0.0,
            expected=float(judged.expected[place]),
            expected_low=float(judged.low[place]),
            expected_high=float(judged.high[place]),
            score=score,
            severity=severity_of(score, 0.0),
            detector=detector,
        )

    def taught(self, lessons: Iterable[Lesson]) -> WatchedCourse:
        """Without the past buckets that people have said to be no example of what is normal."""
        values = self.course.values.copy()
        for lesson in lessons:
            no_example = lesson.verdict in {Verdict.REAL, Verdict.EXPECTED}
            if no_example and within(self.key.dimensions, lesson.key.dimensions):
                starts = np.array([hour_of_time(moment) for moment in self.edges[: self.course.asked]])
                values[: self.course.asked][(starts >= lesson.start) & (starts < lesson.end)] = np.nan
        return replace(self, course=replace(self.course, values=values))


def detector_of(draft: RuleDraft, rule_id: int) -> str:
    return rule_detector(draft.grain, rule_id)


def closed_until(grain: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The end of the last bucket that has closed."""
    moment = now - GRACE
    return time_of_hour(hour_of_time(moment)) if grain == "hour" else midnight(day_of(moment, zone), zone)


def bucket_before(grain: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """The start of the bucket that ends at `moment`."""
    hour = timedelta(hours=1)
    return moment - hour if grain == "hour" else midnight(day_of(moment - hour, zone), zone)


def watched_courses(
    session: Session, draft: RuleDraft, start: datetime, end: datetime, calendar: Calendar, memory_weeks: int
) -> list[WatchedCourse]:
    """Each series of the rule over [`start`, `end`), which both are bucket edges, and what its detector remembers before it.

    Closed buckets have no value.
    """
    metric, zone = figure(draft.metric), ZoneInfo(calendar.zone)
    grid = _hours(start, end, zone, memory_weeks) if draft.grain == "hour" else _days(start, end, zone, memory_weeks)
    found = []
    for value, figures in sorted(_sums_of(session, draft, metric, grid.edges).items()):
        key = SeriesKey(metric.slug, ((draft.dimension, value),) if draft.dimension else ())
        closed, promoted = _planned(calendar, metric, key, grid)
        values = np.where(closed, np.nan, _values(metric, figures))
        course = Course(grid.first, grid.season, grid.slots, values, grid.asked, closed)
        found.append(WatchedCourse(key, course, grid.edges, promoted))
    return found


def _planned(calendar: Calendar, metric: Metric, key: SeriesKey, grid: _Grid) -> tuple[BoolArray, BoolArray]:
    """Where the series is closed, and where promoted. What is wrong with records is wrong on any day."""
    if metric.slug in SCHEMA_FIGURES or (metric.slug in STREAM_FIGURES and metric.denominator):
        return np.zeros(len(grid.slots), bool), np.zeros(len(grid.slots), bool)
    numbers = np.arange(grid.first, grid.first + len(grid.slots))
    if grid.season == HOURS_PER_WEEK:
        return calendar.planned_for(key.dimensions, calendar.wall_hours(numbers), 1)
    return calendar.planned_for(key.dimensions, numbers * HOURS_PER_DAY, HOURS_PER_DAY)


@dataclass(frozen=True)
class _Grid:
    first: int
    season: int
    slots: np.ndarray
    asked: int
    edges: tuple[datetime, ...]


def _hours(start: datetime, end: datetime, zone: ZoneInfo, memory_weeks: int) -> _Grid:
    asked, last = hour_of_time(start), hour_of_time(end)
    first = asked - (memory_weeks + 1) * HOURS_PER_WEEK
    wall = Calendar(str(zone)).wall_hours(np.arange(first, last))
    edges = tuple(time_of_hour(hour) for hour in range(first, last + 1))
    return _Grid(first, HOURS_PER_WEEK, wall % HOURS_PER_WEEK, asked - first, edges)


def _days(start: datetime, end: datetime, zone: ZoneInfo, memory_weeks: int) -> _Grid:
    asked, last = ((day_of(moment, zone) - EPOCH).days for moment in (start, end))
    first = asked - (memory_weeks + 1) * DAYS_PER_WEEK
    edges = tuple(midnight(EPOCH + timedelta(days=day), zone) for day in range(first, last + 1))
    return _Grid(first, DAYS_PER_WEEK, np.arange(first, last) % DAYS_PER_WEEK, asked - first, edges)


def _sums_of(session: Session, draft: RuleDraft, metric: Metric, edges: Sequence[datetime]) -> dict[str, Sums]:
    """By value of the rule's dimension, '' for all sales."""
    if metric.slug in STREAM_FIGURES:
        return _stream_sums(session, edges)
    if metric.slug == NEW_VALUES:
        return new_value_sums(session, draft.dimension, draft.grain, edges, MAX_SERIES)
    if metric.slug in SCHEMA_FIGURES:
        return missing_sums(session, metric.slug, draft.grain, edges)
    return _sums(session, draft, metric, edges)


def _sums(session: Session, draft: RuleDraft, metric: Metric, edges: Sequence[datetime]) -> dict[str, Sums]:
    """The same, from the rollups."""
    names = sorted(metric.measures)
    table = rollup_table(draft.grain, draft.dimension or None)
    inside = [table.c.bucket >= edges[0], table.c.bucket < edges[-1]]
    values = [""]
    column: ColumnElement[str] = literal("")
    if draft.dimension:
        column = table.c[draft.dimension]
        one = draft.value
        values = [one] if one is not None else values_to_feed(session, draft.dimension, edges[-1], (), MAX_SERIES)
        inside.append(column.in_(values))
    place = {edge: number for number, edge in enumerate(edges[:-1])}
    found = {value: {name: np.zeros(len(place)) for name in names} for value in values}
    rows = session.execute(select(table.c.bucket, column, *(table.c[name] for name in names)).where(*inside))
    for bucket, value, *figures in rows:
        for name, amount in zip(names, figures, strict=True):
            found[value][name][place[bucket]] += amount / scale_of(name)
    return found


def _stream_sums(session: Session, edges: Sequence[datetime]) -> dict[str, Sums]:
    """What came in, whatever became of it, by the time of its arrival."""
    columns = {
        "accepted": IngestMinute.accepted,
        "duplicate": IngestMinute.duplicate,
        "rejected": IngestMinute.rejected,
    }
    inside = (IngestMinute.minute >= edges[0], IngestMinute.minute < edges[-1], stream_topics(IngestMinute.topic))
    asked = select(IngestMinute.minute, *(func.sum(column) for column in columns.values())).where(*inside)
    found = {name: np.zeros(len(edges) - 1) for name in columns}
    starts = np.array([edge.timestamp() for edge in edges[:-1]])
    for minute, *figures in session.execute(asked.group_by(IngestMinute.minute)):
        place = int(np.searchsorted(starts, minute.timestamp(), side="right")) - 1
        for name, amount in zip(columns, figures, strict=True):
            found[name][place] += int(amount)
    return {"": found}


def _values(metric: Metric, figures: Sums) -> FloatArray:
    def amount(names: Sequence[str]) -> FloatArray:
        parts = [(-1 if name.startswith("-") else 1) * figures[name.removeprefix("-")] for name in names]
        return np.asarray(np.sum(parts, axis=0), float)

    if not metric.denominator:
        return amount(metric.numerator)
    divisor = amount(metric.denominator)
    return np.where(divisor != 0, amount(metric.numerator) / np.where(divisor != 0, divisor, 1.0), np.nan)
