"""Settings of a rule, tried on the past."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Moment, Outgoing, Text
from nebuloviz.api.schemas.rules import RuleBody, RuleSetting


class BacktestBody(Incoming):
    """One setting or two of the same metric, segment and grain, in the form that rules are made of."""

    settings: Annotated[list[RuleBody], Field(min_length=1, max_length=2)]
    weeks: Literal[2, 4, 8, 13, 26] = 4


class LabelBody(Incoming):
    """An alert that would have been, named by what the backtest tells of it."""

    series: Annotated[Text, Field(min_length=1)]
    start: Moment
    end: Moment
    verdict: Annotated[
        Literal["real", "expected", "false_alarm"] | None, Field(description="null takes back what was said.")
    ]


class WouldBeAlertItem(Outgoing):
    """`label` is what somebody says that it was; empty as long as nobody has."""

    series: str
    start: datetime
    end: datetime
    observed: float
    expected: float | None
    severity: str
    label: str


class CourseItem(Outgoing):
    """A series, bucket by bucket: when each began, what it came to, and the range that was normal by the setting."""

    series: str
    starts: list[datetime]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]


class SideItem(Outgoing):
    """One setting: how often it would have alerted, and the latest of those alerts. POST /rules takes `setting` as it is."""

    setting: RuleSetting
    count: int
    alerts: list[WouldBeAlertItem]
    courses: list[CourseItem] | None = Field(
        description="Of the series with the most alerts, where they are asked for."
    )


class BacktestItem(Outgoing):
    """`done` of `total` series were looked at; `total` is 0 while it is unknown. `message` says why one has failed."""

    id: int
    state: Literal["running", "done", "failed", "stopped"]
    start: datetime
    end: datetime
    done: int
    total: int
    message: str
    sides: list[SideItem]
