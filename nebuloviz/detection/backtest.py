"""The detectors over a stream of the past, day by day and strictly forward: which alerts would have been raised, and when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from nebuloviz.detection.alerts import Finding, OpenAlert, Step, in_turn, next_state
from nebuloviz.detection.day_watch import DayFigures, DayWatch
from nebuloviz.detection.grain import HOUR, QUARTER_HOUR
from nebuloviz.detection.grained_watch import Closed, GrainedWatch
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.series import Lines, SeriesKey


@dataclass(frozen=True)
class ReplayedDay:
    """What arrived in one local day, and the buckets and the days that had closed when it was over."""

    lines: Lines
    closed: Closed
    days: DayFigures


@dataclass
class AlertBook:
    """The alerts that go on, by detector and series. While one metric of a segment has an alert, the others raise none."""

    going_on: dict[tuple[str, SeriesKey], OpenAlert]

    def close(self, findings: Sequence[Finding], end: datetime) -> list[Finding]:
        """Take the findings of one bucket; those that raise an alert, in order of time."""
        raised = [finding for finding in in_turn(findings) if self._step(finding)]
        found = {(finding.detector, finding.key) for finding in findings}
        for place, alert in list(self.going_on.items()):
            if place not in found and next_state(alert, None, end).step is Step.RESOLVE:
                del self.going_on[place]
        return raised

    def _step(self, finding: Finding) -> bool:
        place = (finding.detector, finding.key)
        transition = next_state(self.going_on.get(place), finding, finding.moment)
        if transition.step is Step.RAISE and self._spoken_for(finding):
            return False
        if transition.alert is not None:
            self.going_on[place] = transition.alert
        return transition.step is Step.RAISE

    def _spoken_for(self, finding: Finding) -> bool:
        return any(
            detector == finding.detector and key.dimensions == finding.key.dimensions for detector, key in self.going_on
        )


def replay(days: Iterable[ReplayedDay], series: GrainedWatch, by_day: DayWatch, lines: LineWatch) -> Iterator[Finding]:
    """The findings that raise alerts, in order of time. Models are fitted between two days, as `training` says."""
    book, day_book = AlertBook({}), AlertBook({})
    learn = partial(_train_if_due, lines)
    for day in days:
        hours, grain = day.closed.hours, HOUR if series.active is None else QUARTER_HOUR
        found = [*lines.feed(day.lines, learn), *lines.close(hours.end, learn)]
        for closed in day.closed.by_day(series.settings.calendar):
            found += series.feed(closed)
            _train_if_due(series)
        for bucket in range(grain.of_hour(hours.start), grain.of_hour(hours.end)):
            end = grain.time_of(bucket + 1)
            due = [finding for finding in found if end - grain.length < finding.moment <= end]
            yield from book.close(due, end)
        found = []
        for figures in day.days:
            found += by_day.feed(figures)
            _train_if_due(by_day)
        yield from day_book.close(found, HOUR.time_of(hours.end))


def _train_if_due(watch: GrainedWatch | DayWatch | LineWatch) -> None:
    if watch.fit_due:
        watch.train()


def as_json_line(finding: Finding) -> str:
    """`{ts, series, score, severity, start, observed, expected}`; times in UTC without an offset, a started second counts as over.

    `ts` is when the alert is raised, `start` when what it is about began.
    """
    moment = finding.moment + timedelta(seconds=1, microseconds=-1)
    return json.dumps(
        {
            "ts": _stamp(moment),
            "series": str(finding.key),
            "score": round(finding.score, 4),
            "severity": str(finding.severity),
            "start": _stamp(finding.bucket_start),
            "observed": round(finding.observed, 4),
            "expected": round(finding.expected, 4),
        }
    )


def _stamp(moment: datetime) -> str:
    return moment.replace(microsecond=0, tzinfo=None).isoformat()
