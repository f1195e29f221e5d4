"""What people say that alerts were, and the lessons that detectors take from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from nebuloviz.detection.lessons import BAR_STEPS, Lesson, Verdict
from nebuloviz.detection.series import SeriesKey, hour_of_time
from nebuloviz.errors import Conflict, InvalidInput
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.query import Filter
from nebuloviz.models import Alert, AlertFeedback, BucketLabel
from nebuloviz.permissions import Actor
from nebuloviz.services.alert_life import FURTHEST, AlertLife, Step
from nebuloviz.services.alert_rows import STATES, passes, view_of
from nebuloviz.services.interfaces import EXPECTED_REASONS, VERDICTS, AlertVerdict, AuditAction, TaughtView

#: What was longer ago than detectors remember teaches them nothing; false alarms raise bars for ever.
REMEMBERED = timedelta(days=90)
_PAST_HOUR = timedelta(hours=1, microseconds=-1)
_ACTIVE = AlertFeedback.undone_at.is_(None)


class Feedback:
    """Writes verdicts, and takes them back."""

    def __init__(self, life: AlertLife, now: Callable[[], datetime]) -> None:
        self._life = life
        self._now = now

    def judge(
        self, session: Session, actor: Actor, alert: Alert, said: AlertVerdict, note: str, version: int | None
    ) -> None:
        """Raises InvalidInput, StaleVersion; see `AlertService.judge`."""
        self._check(said)
        over = {} if said.verdict == Verdict.REAL else {"state": "resolved", "snoozed_until": None}
        values = {"verdict": said.verdict, **over}
        kind = said.reason or said.verdict
        step = Step(kind, AuditAction.ALERT_JUDGED, values, note, said.until, of=STATES)
        self._life.take(session, actor, alert, step, version)
        self._undo(session, actor, alert)
        session.add(
            AlertFeedback(
                alert_id=alert.id,
                at=self._now(),
                username=actor.username,
                verdict=said.verdict,
                reason=said.reason,
                until=said.until,
            )
        )
        session.flush()

    def unjudge(self, session: Session, actor: Actor, alert: Alert, version: int | None) -> None:
        """Raises Conflict, StaleVersion."""
        if not alert.verdict:
            raise Conflict(_("Nobody has said what this alert was yet."))
        step = Step("unjudged", AuditAction.ALERT_UNJUDGED, {"verdict": ""}, of=STATES)
        self._life.take(session, actor, alert, step, version)
        self._undo(session, actor, alert)

    def _undo(self, session: Session, actor: Actor, alert: Alert) -> None:
        values = {"undone_at": self._now(), "undone_by": actor.username}
        session.execute(update(AlertFeedback).where(AlertFeedback.alert_id == alert.id, _ACTIVE).values(values))

    def _check(self, said: AlertVerdict) -> None:
        expected = said.verdict == Verdict.EXPECTED
        reasons = EXPECTED_REASONS if expected else ("",)
        if said.verdict not in VERDICTS or said.reason not in reasons or (said.until is not None and not expected):
            raise InvalidInput(
                _("An alert is one of {known}; an expected one has a reason.", known=", ".join(VERDICTS))
            )
        now = self._now()
        if said.until is not None and not now < said.until <= now + FURTHEST:
            raise InvalidInput(_("What is expected ends within {days} days from now.", days=FURTHEST.days))


def taught(session: Session, scope: Sequence[Filter]) -> list[TaughtView]:
    """All verdicts that have not been taken back, newest first, on alerts within `scope`."""
    return [
        TaughtView(
            view_of(alert),
            AlertVerdict(row.verdict, row.reason, row.until),
            row.at,
            row.username,
            10 ** BAR_STEPS[alert.severity] if row.verdict == Verdict.FALSE_ALARM else 1.0,
        )
        for row, alert in _rows(session, AlertFeedback.id.desc())
        if passes(alert.dimensions, scope)
    ]


def lessons(session: Session, detector: str, now: datetime) -> tuple[Lesson, ...]:
    """What a detector has been taught, on its own alerts, in the order of time."""
    remembered = (AlertFeedback.verdict == Verdict.FALSE_ALARM) | (AlertFeedback.at > now - REMEMBERED)
    found = _rows(session, AlertFeedback.id, Alert.detector == detector, remembered)
    return tuple(_lesson(row, alert) for row, alert in found)


def labels(session: Session, now: datetime) -> tuple[Lesson, ...]:
    """What was said in backtests to be no example of what is normal. That a setting was wrong there says nothing of another."""
    taught = BucketLabel.verdict.in_((Verdict.REAL, Verdict.EXPECTED)) & (BucketLabel.at > now - REMEMBERED)
    return tuple(
        Lesson(
            number=-row.id,
            verdict=Verdict(row.verdict),
            key=SeriesKey.parse(row.series),
            start=hour_of_time(row.bucket_start),
            end=hour_of_time(row.bucket_end + _PAST_HOUR),
            known_from=hour_of_time(row.at),
        )
        for row in session.scalars(select(BucketLabel).where(taught))
    )


def _rows(session: Session, order: object, *conditions: ColumnElement[bool]) -> Iterable[tuple[AlertFeedback, Alert]]:
    joined = select(AlertFeedback, Alert).join(Alert, Alert.id == AlertFeedback.alert_id)
    return [(row, alert) for row, alert in session.execute(joined.where(_ACTIVE, *conditions).order_by(order))]  # type: ignore[arg-type]  # a column either way


def _lesson(row: AlertFeedback, alert: Alert) -> Lesson:
    end = max(alert.bucket_end, row.until) if row.until else alert.bucket_end
    expected = alert.expected or 0.0
    return Lesson(
        number=row.id,
        verdict=Verdict(row.verdict),
        key=SeriesKey.parse(alert.series),
        start=hour_of_time(alert.bucket_start),
        end=hour_of_time(end + _PAST_HOUR),
        known_from=hour_of_time(row.at),
        severity=alert.severity,
        ratio=alert.observed / expected if expected > 0 else 0.0,
    )
