"""When the shop is open: wall clock, opening hours, days planned to be unlike others, closing learned from what was expected."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nebuloviz.detection.grain import HOUR, Grain
from nebuloviz.detection.lessons import Aside
from nebuloviz.detection.opening import OpeningHours, is_open
from nebuloviz.detection.series import HOURS_PER_DAY, BoolArray, FloatArray, IntArray, Segment, TextArray, within

_EPOCH_DAY = date(1970, 1, 1).toordinal()
# Hours in which less than this share of a series' busiest expected hour is due count as closed.
OPEN_SHARE = 0.05
_EPOCH_WEEKDAY = 3  # a Thursday
_ZONES_REACH = 15  # hours; no zone is further from UTC


@dataclass(frozen=True)
class Plan:
    """Local days, `last` included, on which a segment and all within it is planned to be closed or, with `promotion`, to sell more."""

    first: date
    last: date
    segment: Segment = ()
    promotion: bool = False

    @property
    def days(self) -> tuple[int, int]:
        """[first, last) in days since 1970."""
        return self.first.toordinal() - _EPOCH_DAY, self.last.toordinal() - _EPOCH_DAY + 1


@dataclass(frozen=True)
class Calendar:
    """Local hours and days of one time zone: those planned to be closed, as a whole or in segments, promotions, and opening hours.

    A wall hour is the number of hours that a clock on the wall has shown since 1970-01-01 00:00: wall hour `w` belongs to
    day `w // 24` and stands at hour-of-day `w % 24`. Where a zone is off by parts of an hour, buckets count to the hour they start in.
    """

    zone: str = "UTC"
    closed_days: frozenset[date] = frozenset()
    plans: tuple[Plan, ...] = ()
    hours: OpeningHours = ()  # empty: learned alone

    def wall_hours(self, hours: IntArray) -> IntArray:
        """UTC hours -> wall hours. Repeats an hour when clocks go back and leaves one out when they go forward."""
        return self.wall_buckets(hours, HOUR)

    def wall_buckets(self, buckets: IntArray, grain: Grain) -> IntArray:
        """The same of buckets of `grain`."""
        if self.zone == "UTC":
            return buckets
        moments = pd.DatetimeIndex((buckets * grain.minutes).astype("datetime64[m]").astype("datetime64[s]"), tz="UTC")
        local = moments.tz_convert(ZoneInfo(self.zone)).tz_localize(None)
        return local.to_numpy().astype("datetime64[m]").astype(np.int64) // grain.minutes

    def utc_hours(self, first: int, last: int) -> tuple[IntArray, IntArray]:
        """The UTC hours whose wall hours lie in [first, last), and each one's place in that range."""
        return self.utc_buckets(first, last, HOUR)

    def utc_buckets(self, first: int, last: int, grain: Grain) -> tuple[IntArray, IntArray]:
        """The same of buckets of `grain`."""
        reach = grain.of_hour(_ZONES_REACH)
        near = np.arange(first - reach, last + reach)
        wall = self.wall_buckets(near, grain)
        inside = (wall >= first) & (wall < last)
        return near[inside], wall[inside] - first

    def is_closed(self, first_day: int, n_days: int) -> BoolArray:
        """Which of `n_days` local days from `first_day` (days since 1970) are planned to be closed."""
        closed = {day.toordinal() - _EPOCH_DAY for day in self.closed_days}
        return np.array([day in closed for day in range(first_day, first_day + n_days)], bool)

    def is_open(self, day: int, grain: Grain = HOUR) -> BoolArray:
        """Which of a local day's buckets lie, at least in part, in the opening hours."""
        weekday, minutes = (day + _EPOCH_WEEKDAY) % 7, grain.minutes
        return np.array([is_open(self.hours, weekday, place, minutes) for place in range(grain.per_day)], bool)

    def asides(self, first_day: int, n_days: int) -> tuple[Aside, ...]:
        """What is planned for segments in these local days, and their promotions: no example of what is normal."""
        spans = [(plan, *plan.days) for plan in self.plans]
        return tuple(
            Aside(
                plan.segment,
                first * HOURS_PER_DAY,
                last * HOURS_PER_DAY,
                silent=not plan.promotion,
                promoted=plan.promotion,
            )
            for plan, first, last in spans
            if first < first_day + n_days and last > first_day
        )

    def set_aside(self, first_day: int, n_days: int, segments: Sequence[Segment]) -> BoolArray:
        """Days and segments of which something is planned, shaped (days, segments)."""
        planned = np.zeros((n_days, len(segments)), bool)
        for aside in self.asides(first_day, n_days):
            first, last = (each // HOURS_PER_DAY - first_day for each in (aside.first, aside.last))
            planned[max(first, 0) : last, aside.columns(segments)] = True
        return planned

    def planned_for(self, segment: Segment, wall_hours: IntArray, hours: int) -> tuple[BoolArray, BoolArray]:
        """Of buckets of so many `hours`, 1 or a day's 24, that begin at `wall_hours`: where a segment is closed, where promoted."""
        days = wall_hours // HOURS_PER_DAY
        first, count = int(days.min()), int(np.ptp(days)) + 1
        shut, promoted = self.is_closed(first, count), np.zeros(count, bool)
        for aside in self.asides(first, count):
            if within(segment, aside.segment):
                begin, end = (max(each // HOURS_PER_DAY - first, 0) for each in (aside.first, aside.last))
                (promoted if aside.promoted else shut)[begin:end] = True
        closed = shut[days - first]
        if self.hours:
            week = np.array([[is_open(self.hours, day, hour) for hour in range(HOURS_PER_DAY)] for day in range(7)])
            weekday, hour = (days + _EPOCH_WEEKDAY) % 7, wall_hours % HOURS_PER_DAY
            closed |= ~(week[weekday, hour] if hours == 1 else np.asarray(week.any(axis=1))[weekday])
        return closed, promoted[days - first]

    def promoted(self, wall_hours: IntArray, named: Mapping[str, TextArray]) -> BoolArray:
        """Which lines have a promotion, of what was sold in these hours, each with its value of the dimensions `named`."""
        days, found = wall_hours // HOURS_PER_DAY, np.zeros(len(wall_hours), bool)
        for plan in self.plans:
            first, last = plan.days
            inside = (days >= first) & (days < last)
            if plan.promotion and inside.any():
                none = np.full(len(days), "", object)
                of = [named.get(name, none) == value for name, value in plan.segment]
                found |= np.logical_and.reduce([inside, *of])
        return found

    def is_promoted(self, wall_hour: int, segment: Segment) -> bool:
        """Whether `segment`, or what contains it, has a promotion then."""
        asides = self.asides(wall_hour // HOURS_PER_DAY, 1) if self.plans else ()
        return any(each.promoted and within(segment, each.segment) for each in asides)


def open_hours(expected: FloatArray, busiest: FloatArray) -> BoolArray:
    """Buckets in which a series is due to sell: at least a twentieth of its busiest one. Nights and weekly closing drop out.

    `expected` is shaped (buckets, series), `busiest` (series,).
    """
    return np.nan_to_num(expected) > OPEN_SHARE * np.maximum(np.nan_to_num(busiest), 1e-9)


def busiest_bucket(expected: FloatArray) -> FloatArray:
    """The highest expectation of each series in `expected`, shaped (buckets, series)."""
    busiest: FloatArray = np.nan_to_num(expected).max(axis=0, initial=0.0)
    return busiest


def read_closures(path: Path | None) -> frozenset[date]:
    """The days in the column `date` (ISO) of a CSV file; none without a file. Raises ValueError naming the line that is no date."""
    if path is None:
        return frozenset()
    with path.open(encoding="utf-8-sig", newline="") as file:
        return frozenset(_days(csv.DictReader(file), path))


def _days(rows: csv.DictReader[str], path: Path) -> Iterable[date]:
    if "date" not in (rows.fieldnames or ()):
        raise ValueError(f"{path}: no column `date`")
    for row in rows:
        try:
            yield date.fromisoformat((row["date"] or "").strip())
        except ValueError:
            raise ValueError(f"{path}, line {rows.line_num}: {row['date']!r} is no date like 2026-12-24") from None
