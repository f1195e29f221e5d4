from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from nebuloviz.detection.alerts import QUIET, Finding, OpenAlert, Severity, Step, in_turn, next_state, severity_of
from nebuloviz.detection.series import SeriesKey
from tests.detection.shop import MONDAY


def _finding(hour: int, *, score: float = 1.0, novel: bool = True) -> Finding:
    start = MONDAY + timedelta(hours=hour)
    return Finding(
        key=SeriesKey("orders"),
        bucket_start=start,
        bucket_end=start + timedelta(hours=1),
        observed=1.0,
        expected=9.0,
        expected_low=4.0,
        expected_high=15.0,
        score=score,
        severity=Severity.LOW,
        detector="series",
        novel=novel,
    )


def _open(hour: int, score: float = 1.0) -> OpenAlert:
    finding = _finding(hour, score=score)
    return OpenAlert(finding, finding.bucket_start, finding.bucket_end)


def _end(hour: int) -> datetime:
    return MONDAY + timedelta(hours=hour + 1)


_LONG = int(QUIET / timedelta(hours=1))


class TestNextState:
    @pytest.mark.parametrize(
        ("alert", "finding", "hour", "step"),
        [
            (None, None, 5, Step.NOTHING),
            (None, _finding(5), 5, Step.RAISE),
            (None, _finding(5, novel=False), 5, Step.NOTHING),
            (_open(4), _finding(5), 5, Step.EXTEND),
            (_open(4), _finding(5, novel=False), 5, Step.EXTEND),
            (_open(4), None, 5, Step.NOTHING),
            (_open(4), None, 4 + _LONG - 1, Step.NOTHING),
            (_open(4), None, 4 + _LONG, Step.RESOLVE),
        ],
    )
    def test_table(self, alert: OpenAlert | None, finding: Finding | None, hour: int, step: Step) -> None:
        transition = next_state(alert, finding, _end(hour))
        assert transition.step is step
        assert (transition.alert is None) == (step is Step.RESOLVE or (alert is None and step is Step.NOTHING))

    def test_an_anomaly_of_many_hours_is_one_alert(self) -> None:
        alert, steps = None, []
        for hour in range(10, 18):
            transition = next_state(alert, _finding(hour, score=float(hour % 4)), _end(hour))
            alert = transition.alert
            steps.append(transition.step)
        assert steps == [Step.RAISE] + [Step.EXTEND] * 7
        assert alert is not None
        assert (alert.bucket_start, alert.bucket_end) == (_end(9), _end(17))
        assert alert.worst.score == 3.0

    def test_an_alert_keeps_its_worst_hour(self) -> None:
        extended = next_state(_open(4, score=5.0), _finding(5, score=2.0), _end(5)).alert
        assert extended is not None
        assert extended.worst.score == 5.0


class TestTheTurnOfFindings:
    def test_is_that_of_time_then_of_what_stands_out_then_of_names_however_they_were_found(self) -> None:
        early = replace(_finding(5, score=9.0), raised_at=_end(4) + timedelta(minutes=1))
        loud = replace(_finding(5, score=3.0), key=SeriesKey("revenue"))
        equal = [replace(_finding(5, score=2.0), key=SeriesKey(metric)) for metric in ("lines", "orders", "units")]
        wanted = [early, loud, *equal]
        assert all(in_turn(found) == wanted for found in permutations(wanted))


@pytest.mark.parametrize(
    ("score", "severity"),
    [(0.3, Severity.LOW), (0.8, Severity.MEDIUM), (1.4, Severity.HIGH), (2.5, Severity.CRITICAL)],
)
def test_severity_follows_how_far_the_threshold_is_passed(score: float, severity: Severity) -> None:
    assert severity_of(score, threshold=0.3) is severity
