"""Alerts and their history, what was expected, the detectors' trained state, and who is elected to run them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey, UtcDateTime


class Alert(Base):
    """One anomaly of one series, from its first bucket to its last. Unique per detector, series and first bucket."""

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("detector", "series", "bucket_start"),
        Index("ix_alert_state_created_at", "state", "created_at"),
        Index("ix_alert_bucket_start", "bucket_start"),
        Index("ix_alert_incident_id", "incident_id"),
    )

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    detector: Mapped[str] = mapped_column(Text)
    series: Mapped[str] = mapped_column(Text)  # `metric|dimension=value,...`
    metric: Mapped[str] = mapped_column(Text)
    dimensions: Mapped[str] = mapped_column(Text, default="{}")  # JSON object: dimension -> value
    bucket_start: Mapped[datetime] = mapped_column(UtcDateTime)
    bucket_end: Mapped[datetime] = mapped_column(UtcDateTime)  # grows while the anomaly goes on
    judged_start: Mapped[datetime | None] = mapped_column(
        UtcDateTime
    )  # the worst window so far, which the figures are of;
    judged_end: Mapped[datetime | None] = mapped_column(UtcDateTime)  # NULL where that was not kept yet: all of it
    observed: Mapped[float] = mapped_column(Float)  # in the metric's unit
    expected: Mapped[float | None] = mapped_column(Float)
    expected_low: Mapped[float | None] = mapped_column(Float)
    expected_high: Mapped[float | None] = mapped_column(Float)
    score: Mapped[float] = mapped_column(Float)
    severity: Mapped[str] = mapped_column(Text)  # low | medium | high | critical
    state: Mapped[str] = mapped_column(Text, default="open")  # open | acknowledged | snoozed | resolved
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger, default=1)  # counts edits, so that a stale one is refused
    sale_id: Mapped[str] = mapped_column(Text, default="")  # the sale line that an alert of the line detector is about
    incident_id: Mapped[int] = mapped_column(BigInteger, default=0)  # the id of the first alert of those it belongs to
    owner: Mapped[str] = mapped_column(Text, default="")  # the username of who looks after it
    verdict: Mapped[str] = mapped_column(Text, default="")  # as in `AlertFeedback`, '' without one
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of a snoozed one: when it is open again


class AlertEvent(Base):
    """What happened to an alert: raised, worsened, closed (normal again), corrected (late sales), woke; and what people did.

    Those are acknowledged, snoozed (`until`), assigned (`note` is to whom), released, commented, resolved, reopened; judged (as a
    verdict, or as the reason of an expected one) and unjudged.
    """

    __tablename__ = "alert_event"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(Text)
    username: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AlertFeedback(Base):
    """What somebody said that an alert was. It teaches the detectors until it is taken back; of an alert one row at most is not."""

    __tablename__ = "alert_feedback"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    username: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(Text)  # real | expected | false_alarm | new_normal
    reason: Mapped[str] = mapped_column(
        Text, default=""
    )  # of an expected one: promotion | holiday | price_change | other
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of an expected one that goes on beyond the alert
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by: Mapped[str] = mapped_column(Text, default="")


class Expectation(Base):
    """What a watched series was expected to be in an hour, and the range it would normally keep; in the metric's unit."""

    __tablename__ = "expectation"

    series: Mapped[str] = mapped_column(Text, primary_key=True)
    bucket: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    expected: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)


class QuarterExpectation(Base):
    """As `Expectation`, of the quarter hours of what is judged by them."""

    __tablename__ = "quarter_expectation"

    series: Mapped[str] = mapped_column(Text, primary_key=True)
    bucket: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    expected: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)


class WatchedSeries(Base):
    """A series that a detector judges, in buckets of which size, and from when on it raises alerts: before, too little is known."""

    __tablename__ = "watched_series"

    detector: Mapped[str] = mapped_column(Text, primary_key=True)
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    grain: Mapped[str] = mapped_column(Text)  # quarter_hour | hour | day
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class DetectorState(Base):
    """A detector's trained model and running state, so that a restart neither retrains nor forgets."""

    __tablename__ = "detector_state"

    detector: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    trained_at: Mapped[datetime] = mapped_column(UtcDateTime)
    scored_until: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[bytes] = mapped_column(LargeBinary)


class Lease(Base):
    """An elected task: whoever holds the unexpired lease does it."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
