"""Rules that people have made: a detector of one series, told what to watch."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Text
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
