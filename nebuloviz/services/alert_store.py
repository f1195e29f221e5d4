"""How findings become rows of the alert table, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nebuloviz.db import insert
from nebuloviz.detection.alerts import Finding, OpenAlert, Severity, Step, next_state
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import Alert, AlertEvent
from nebuloviz.observability import ALERTS_RAISED

#: The alerts that go on, by series: their id, and what is needed to continue them.
OpenAlerts = dict[SeriesKey, tuple[int, OpenAlert]]


def open_alerts(session: Session, detector: str) -> OpenAlerts:
    """The alerts of one detector that go on."""
    rows = session.scalars(select(Alert).where(Alert.detector == detector, Alert.state != "resolved"))
    return {SeriesKey.parse(row.series): (row.id, _open(row)) for row in rows}


def _open(row: Alert) -> OpenAlert:
    worst = Finding(
        key=SeriesKey.parse(row.series),
        bucket_start=row.bucket_start,
        bucket_end=row.bucket_end,
        observed=row.observed,
        expected=row.expected or 0.0,
        expected_low=row.expected_low or 0.0,
        expected_high=row.expected_high or 0.0,
        score=row.score,
        severity=Severity(row.severity),
        detector=row.detector,
    )
    return OpenAlert(worst, row.bucket_start, row.bucket_end)


def apply(session: Session, going_on: OpenAlerts, findings: Mapping[SeriesKey, Finding], hour_end: datetime) -> None:
    """Take each series one step further: raise, extend or resolve its alert. Keeps `going_on` up to date."""
    for key in sorted({*going_on, *findings}):
        alert_id, alert = going_on.get(key, (None, None))
        transition = next_state(alert, findings.get(key), hour_end)
        if transition.step is Step.RAISE and transition.alert is not None:
            going_on[key] = (raise_alert(session, transition.alert, hour_end), transition.alert)
        elif transition.step is Step.EXTEND and transition.alert is not None and alert_id is not None:
            _extend(session, alert_id, transition.alert, hour_end)
            going_on[key] = (alert_id, transition.alert)
        elif transition.step is Step.RESOLVE and alert_id is not None:
            _resolve(session, alert_id, hour_end)
            del going_on[key]


def raise_alert(session: Session, alert: OpenAlert, at: datetime, sale_id: str = "") -> int:
    """Write a new alert and return its id; where it is there already (another run found it), just the id."""
    worst = alert.worst
    row = {
        "detector": worst.detector,
        "series": str(worst.key),
        "metric": worst.key.metric,
        "dimensions": json.dumps(dict(worst.key.dimensions), ensure_ascii=False),
        "bucket_start": alert.bucket_start,
        **_figures(alert),
        "state": "open",
        "created_at": worst.moment,
        "updated_at": at,
        "version": 1,
        "sale_id": sale_id,
    }
    statement = insert(session, Alert).values(row).on_conflict_do_nothing().returning(Alert.id)
    raised = session.scalar(statement)
    if raised is None:
        known = (
            (Alert.detector == worst.detector)
            & (Alert.series == row["series"])
            & (Alert.bucket_start == alert.bucket_start)
        )
        return int(session.scalars(select(Alert.id).where(known)).one())
    session.add(AlertEvent(alert_id=raised, at=at, kind="raised", note=""))
    ALERTS_RAISED.labels(worst.severity).inc()
    return int(raised)


def _extend(session: Session, alert_id: int, alert: OpenAlert, at: datetime) -> None:
    session.execute(
        update(Alert).where(Alert.id == alert_id).values(**_figures(alert), updated_at=at, version=Alert.version + 1)
    )
    session.add(AlertEvent(alert_id=alert_id, at=at, kind="extended", note=""))


def _resolve(session: Session, alert_id: int, at: datetime) -> None:
    """By itself, when the series has looked normal for a while; nothing where somebody did it before."""
    going_on = (Alert.id == alert_id) & (Alert.state != "resolved")
    values = {"state": "resolved", "updated_at": at, "version": Alert.version + 1}
    if session.scalar(update(Alert).where(going_on).values(values).returning(Alert.id)) is not None:
        session.add(AlertEvent(alert_id=alert_id, at=at, kind="resolved", note=""))


def _figures(alert: OpenAlert) -> dict[str, object]:
    worst = alert.worst
    return {
        "bucket_end": alert.bucket_end,
        "observed": worst.observed,
        "expected": worst.expected,
        "expected_low": worst.expected_low,
        "expected_high": worst.expected_high,
        "score": worst.score,
        "severity": str(worst.severity),
    }
