"""How findings become rows of the alert table, in the caller's transaction."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session, aliased

from nebuloviz.db import insert
from nebuloviz.detection.alerts import Finding, OpenAlert, Severity, Step, in_turn, next_state, quiet_of
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import Alert, AlertEvent
from nebuloviz.observability import ALERTS_RAISED
from nebuloviz.services import outbox
from nebuloviz.services.incidents import relate

#: The alerts that go on, by series: their id, and what is needed to continue them.
OpenAlerts = dict[SeriesKey, tuple[int, OpenAlert]]

#: What may become of an alert, and what those are told of it who want to know.
Kind = Literal["raised", "worsened", "closed", "corrected"]
_NEWS: dict[Kind, outbox.AlertNews] = {
    "raised": "raised",
    "worsened": "worsened",
    "closed": "over",
    "corrected": "over",
}

_log = logging.getLogger(__name__)


def open_alerts(session: Session, detector: str, at: datetime) -> OpenAlerts:
    """The alerts of one detector that go on at `at`: those not resolved, and those that somebody resolved too early.

    The latter take in what follows of the same anomaly, which somebody has dealt with and need not hear of again. What follows
    one that late sales took back is news; one that was reopened goes on by itself no longer than its quiet.
    """
    lately = Alert.bucket_end > at - quiet_of(detector)
    going_on = (Alert.state != "resolved") & (lately | ~_ever("reopened")) | (lately & ~_ever("corrected"))
    rows = session.scalars(select(Alert).where(Alert.detector == detector, going_on).order_by(Alert.id))
    return {SeriesKey.parse(row.series): (row.id, _open(row)) for row in rows}


def _ever(event: str) -> ColumnElement[bool]:
    return exists().where(AlertEvent.alert_id == Alert.id, AlertEvent.kind == event)


def _open(row: Alert) -> OpenAlert:
    worst = Finding(
        key=SeriesKey.parse(row.series),
        bucket_start=row.judged_start or row.bucket_start,
        bucket_end=row.judged_end or row.bucket_end,
        observed=row.observed,
        expected=_number(row.expected),
        expected_low=_number(row.expected_low),
        expected_high=_number(row.expected_high),
        score=row.score,
        severity=Severity(row.severity),
        detector=row.detector,
    )
    return OpenAlert(worst, row.bucket_start, row.bucket_end)


def apply(session: Session, going_on: OpenAlerts, findings: Mapping[SeriesKey, Finding], end: datetime) -> None:
    """Take each series one step further, of one bucket that ended at `end`: raise, extend or resolve its alert.

    Keeps `going_on` up to date.
    Metrics of one segment move together, so while one of them has an alert the others raise none: as `AlertBook` of a backtest.
    """
    quiet = sorted(going_on.keys() - findings.keys())  # after what was found, which they may still speak for
    for key in (*(each.key for each in in_turn(findings.values())), *quiet):
        alert_id, alert = going_on.get(key, (None, None))
        transition = next_state(alert, findings.get(key), end)
        if transition.step is Step.RAISE and transition.alert is not None:
            if all(key.dimensions != other.dimensions for other in going_on):
                raised = raise_alert(session, transition.alert, end)
                going_on[key] = (raised or _raise_again(session, transition.alert, end), transition.alert)
        elif alert is None or alert_id is None:
            continue
        elif transition.step is Step.EXTEND and transition.alert is not None:
            _extend(session, alert_id, alert, transition.alert, end)
            going_on[key] = (alert_id, transition.alert)
        elif transition.step is Step.RESOLVE:
            resolve(session, alert_id, end)
            del going_on[key]


def raise_alert(
    session: Session,
    alert: OpenAlert,
    at: datetime,
    dimensions: Mapping[str, str] | None = None,
    sale_id: str = "",
) -> int | None:
    """Write a new alert and return its id; None where it is there already. `dimensions` default to those of the series."""
    worst = alert.worst
    named = dict(worst.key.dimensions) if dimensions is None else dict(dimensions)
    row = {
        "detector": worst.detector,
        "series": str(worst.key),
        "metric": worst.key.metric,
        "dimensions": json.dumps(named, ensure_ascii=False),
        "bucket_start": alert.bucket_start,
        **_figures(alert),
        "state": "open",
        "created_at": worst.moment,
        "updated_at": at,
        "version": 1,
        "sale_id": sale_id,
        "incident_id": 0,
    }
    raised = session.scalar(insert(session, Alert).values(row).on_conflict_do_nothing().returning(Alert.id))
    if raised is not None:
        relate(session, raised)
        _note(session, raised, at, "raised")
        ALERTS_RAISED.labels(worst.severity).inc()
    return raised


def _raise_again(session: Session, alert: OpenAlert, at: datetime) -> int:
    """The window of a new finding reaches back to where an alert began that has been resolved since: it is open again."""
    worst = alert.worst
    same = (
        (Alert.detector == worst.detector)
        & (Alert.series == str(worst.key))
        & (Alert.bucket_start == alert.bucket_start)
    )
    values = {**_figures(alert), "state": "open", "updated_at": at, "version": Alert.version + 1}
    known = session.scalars(update(Alert).where(same).values(values).returning(Alert.id)).one()
    relate(session, known)
    _note(session, known, at, "raised")
    return known


def _extend(session: Session, alert_id: int, before: OpenAlert, alert: OpenAlert, at: datetime) -> None:
    """The history notes it only where it got worse; that it goes on is seen from its end."""
    session.execute(
        update(Alert).where(Alert.id == alert_id).values(**_figures(alert), updated_at=at, version=Alert.version + 1)
    )
    if alert.bucket_end != before.bucket_end:
        relate(session, alert_id)
    if alert.worst.severity != before.worst.severity:
        _note(session, alert_id, at, "worsened")


def resolve(session: Session, alert_id: int, at: datetime, why: Literal["closed", "corrected"] = "closed") -> None:
    """By itself: closed, when its series has looked normal for a while; corrected, when late sales say that it always was.

    Nothing where somebody did it before, nor of what somebody reopened: that is theirs.
    """
    going_on = (Alert.id == alert_id) & (Alert.state != "resolved") & ~_ever("reopened")
    values = {"state": "resolved", "snoozed_until": None, "updated_at": at, "version": Alert.version + 1}
    if session.scalar(update(Alert).where(going_on).values(values).returning(Alert.id)) is not None:
        _note(session, alert_id, at, why)


def _note(session: Session, alert_id: int, at: datetime, kind: Kind) -> None:
    """What happened to an alert, for its history, for those who want to know, and for the log."""
    session.add(AlertEvent(alert_id=alert_id, at=at, kind=kind, note=""))
    outbox.note(session, alert_id, _NEWS[kind])
    _log.info("alert %d: %s", alert_id, kind, extra={"alerts": [alert_id]})


def resolve_all(session: Session, detector: str, at: datetime) -> None:
    """Resolve all alerts of a detector that watches no more."""
    for alert_id in session.scalars(
        select(Alert.id).where(Alert.detector == detector, Alert.state != "resolved")
    ).all():
        resolve(session, alert_id, at)


def resolve_past(session: Session, detector: str, until: datetime, at: datetime) -> None:
    """Resolve the alerts that nothing has happened to since `until`, unless their series has another of later.

    For findings that are over when they are found, and have no quiet to wait for.
    """
    later = aliased(Alert)
    again = exists().where(later.detector == detector, later.series == Alert.series, later.bucket_end > until)
    past = (Alert.detector == detector) & (Alert.state != "resolved") & (Alert.updated_at <= until) & ~again
    for alert_id in session.scalars(select(Alert.id).where(past)).all():
        resolve(session, alert_id, at)


def _figures(alert: OpenAlert) -> dict[str, object]:
    worst = alert.worst
    return {
        "bucket_end": alert.bucket_end,
        "judged_start": worst.bucket_start,
        "judged_end": worst.bucket_end,
        "observed": worst.observed,
        "expected": _known(worst.expected),
        "expected_low": _known(worst.expected_low),
        "expected_high": _known(worst.expected_high),
        "score": worst.score,
        "severity": str(worst.severity),
    }


def _number(stored: float | None) -> float:
    return math.nan if stored is None else stored


def _known(value: float) -> float | None:
    """A rule may know no expectation, or only one bound."""
    return value if math.isfinite(value) else None
