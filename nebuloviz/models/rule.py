"""Rules that people have made: a detector of one series, told what to watch."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nebuloviz.models.base import Base
from nebuloviz.models.types import BigKey, UtcDateTime


class AlertRule(Base):
    """Watched beside the default watches. Its alerts name it as their detector (`detection.alerts.rule_detector`)."""

    __tablename__ = "alert_rule"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(Text)
    detector: Mapped[str] = mapped_column(Text)
    parameters: Mapped[str] = mapped_column(Text, default="{}")  # JSON object: parameter -> number or null
    metric: Mapped[str] = mapped_column(Text)
    grain: Mapped[str] = mapped_column(Text)  # hour | day
    dimension: Mapped[str] = mapped_column(Text, default="")  # '' for all sales
    value: Mapped[str | None] = mapped_column(Text)  # NULL with a dimension: each of its values by itself
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    judged_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # NULL: the bucket that closed last comes first
    problem: Mapped[str] = mapped_column(Text, default="")  # why it could not judge, last time


class Backtest(Base):
    """One or two settings of a rule, tried on a range of the past; its maker's alone."""

    __tablename__ = "backtest"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    asked: Mapped[str] = mapped_column(Text)  # JSON list of rules
    start: Mapped[datetime] = mapped_column(UtcDateTime)
    end: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(Text)  # running | done | failed | stopped
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)  # series to look at, of all settings; 0 while unknown
    result: Mapped[str] = mapped_column(Text, default="[]")  # JSON, see `services.rule_backtest.Side`
    message: Mapped[str] = mapped_column(Text, default="")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BucketLabel(Base):
    """What somebody says that a stretch of a series was, which no alert was raised on: as a verdict on an alert, and as long."""

    __tablename__ = "bucket_label"
    __table_args__ = (UniqueConstraint("series", "bucket_start"),)

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    series: Mapped[str] = mapped_column(Text)
    bucket_start: Mapped[datetime] = mapped_column(UtcDateTime)
    bucket_end: Mapped[datetime] = mapped_column(UtcDateTime)
    verdict: Mapped[str] = mapped_column(Text)  # real | expected | false_alarm
    username: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
