"""From findings to alerts: one alert for one anomaly, however many hours it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from nebuloviz.detection.series import SeriesKey

HOURS, DAYS = "series", "days"  # the detectors of closed buckets
LINES = "lines"  # and that of sale lines
_RULES = {"hour": "rule by hour ", "day": "rule by day "}  # what the names of rules begin with, as detectors of alerts
QUIET = timedelta(hours=6)  # an alert resolves when its series has looked normal for so long
QUIET_BY_DAY = timedelta(hours=20)  # one that is judged by the day, when the next day was normal


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


# By surprise beyond the alert's own threshold: an alert ten times rarer than it had to be is `medium`, and so on.
_STEPS = ((2.0, Severity.CRITICAL), (1.0, Severity.HIGH), (0.4, Severity.MEDIUM))


def quiet_of(detector: str) -> timedelta:
    """How long a series of this detector has to look normal for its alert to resolve."""
    return QUIET_BY_DAY if detector == DAYS or detector.startswith(_RULES["day"]) else QUIET


def rule_detector(grain: str, rule_id: int) -> str:
    """What alerts of a rule name as their detector, so that each rule has alerts of its own.

    >>> rule_detector("day", 7), rule_of("rule by day 7"), rule_of("series")
    ('rule by day 7', 7, None)
    """
    return f"{_RULES[grain]}{rule_id}"


def rule_of(detector: str) -> int | None:
    """The number of the rule that raised an alert; None where it was a watch."""
    number = next((detector.removeprefix(begin) for begin in _RULES.values() if detector.startswith(begin)), "")
    return int(number) if number.isdecimal() else None


def severity_of(score: float, threshold: float) -> Severity:
    """The severity of a calibrated score (-log10 of expected false alerts a week) that has passed its threshold."""
    return next((severity for step, severity in _STEPS if score - threshold >= step), Severity.LOW)


@dataclass(frozen=True)
class Finding:
    """One bucket of one series, or one sale line, that is not as expected. Times are UTC, values in the metric's unit.

    `score` is -log10 of how many alerts a week chance alone would raise at it. `novel`: no series of this detector stood out
    as much in the last day, so it is news; a finding that is not can go on with an alert, but raises none.
    """

    key: SeriesKey
    bucket_start: datetime
    bucket_end: datetime
    observed: float
    expected: float
    expected_low: float
    expected_high: float
    score: float
    severity: Severity
    detector: str
    novel: bool = True
    raised_at: datetime | None = None  # None: when the bucket ended
    line: int | None = None  # where in the batch the sale line stands that it is about

    @property
    def moment(self) -> datetime:
        """When it could first be known: all that it was computed from had happened by then."""
        return self.raised_at or self.bucket_end


def in_turn(findings: Iterable[Finding]) -> list[Finding]:
    """In the order in which the findings of one bucket are to be taken: those known earlier first, then those that stand out more.

    Metrics of one segment move together, and the first that raises an alert speaks for the others. Of equals it is the first by name,
    so that it is the same one however they are found.
    """
    return sorted(findings, key=lambda each: (each.moment, -each.score, each.key))


@dataclass(frozen=True)
class OpenAlert:
    """An alert that goes on: its worst finding, and the time it spans so far."""

    worst: Finding
    bucket_start: datetime
    bucket_end: datetime


class Step(StrEnum):
    RAISE = "raise"
    EXTEND = "extend"
    RESOLVE = "resolve"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Transition:
    """What happens to a series' alert, and the alert that is open afterwards (None: none is)."""

    step: Step
    alert: OpenAlert | None


def next_state(alert: OpenAlert | None, finding: Finding | None, now: datetime) -> Transition:
    """The next step for one series of one detector, from its open alert and what was found in the bucket just closed.

    `now` is event time: the end of that bucket. A finding extends an open alert; without one, a novel finding raises it.
    An alert resolves after its detector's `quiet_of` without a finding.
    """
    if alert is None:
        if finding is None or not finding.novel:
            return Transition(Step.NOTHING, None)
        return Transition(Step.RAISE, OpenAlert(finding, finding.bucket_start, finding.bucket_end))
    if finding is not None:
        worst = max(alert.worst, finding, key=lambda each: each.score)
        extended = replace(alert, worst=worst, bucket_end=max(alert.bucket_end, finding.bucket_end))
        return Transition(Step.EXTEND, extended)
    if now - alert.bucket_end >= quiet_of(alert.worst.detector):
        return Transition(Step.RESOLVE, None)
    return Transition(Step.NOTHING, alert)
