"""Rules of one's own: which series a detector watches, with which parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.permissions import Actor

RuleGrain = Literal["hour", "day"]
RULE_GRAINS: tuple[RuleGrain, ...] = ("hour", "day")


@dataclass(frozen=True)
class RuleDraft:
    """What somebody decides of a rule.

    `detector` is one of `detection.registry.series_detectors()`, `parameters` what of it is not as by default. It watches
    `metric` in buckets of `grain`: of all sales, of one `value` of a `dimension`, or without a value of each of its largest ones.
    """

    name: str
    detector: str
    metric: str
    grain: RuleGrain = "hour"
    dimension: str = ""
    value: str | None = None
    parameters: tuple[tuple[str, float | None], ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class RuleView:
    """A rule. `judged_until`: the end of the last bucket it has judged. `problem` says why it could not, last time.

    `alerts` counts those that it has raised in the last 30 days, `open` those that are not resolved.
    """

    id: int
    draft: RuleDraft
    version: int
    made_by: str
    made_at: datetime
    judged_until: datetime | None
    problem: str
    alerts: int
    open: int


class RuleService(ABC):
    """Keeps rules. Whoever has a row scope sees and makes those that watch a value within it, and no others."""

    @abstractmethod
    def rules(self, session: Session, actor: Actor) -> Sequence[RuleView]:
        """All, by name. Needs `alerts:read`."""

    @abstractmethod
    def rule(self, session: Session, actor: Actor, rule_id: int) -> RuleView:
        """One. Raises NotFound."""

    @abstractmethod
    def create(self, session: Session, actor: Actor, draft: RuleDraft) -> RuleView:
        """It watches from the bucket on that closed last. Needs `alerts:manage`.

        Raises:
            InvalidInput: something of `draft` does not fit, or watches what the actor may not see.
            Conflict: there are as many as there may be.
        """

    @abstractmethod
    def change(self, session: Session, actor: Actor, rule_id: int, version: int, draft: RuleDraft) -> RuleView:
        """Where it watches something else from now on, or nothing, the alerts that it has open are resolved.

        Raises:
            InvalidInput, NotFound: as above.
            StaleVersion: it was changed since `version`.
        """

    @abstractmethod
    def delete(self, session: Session, actor: Actor, rule_id: int) -> None:
        """Its alerts stay, resolved. Raises NotFound."""


BACKTEST_WEEKS = (2, 4, 8, 13, 26)


@dataclass(frozen=True)
class WouldBeAlert:
    """An alert that a setting would have raised. `label` is what somebody says that it was, a verdict as on an alert; '' for none."""

    series: str
    start: datetime
    end: datetime
    observed: float
    expected: float | None
    severity: str
    label: str = ""


@dataclass(frozen=True)
class BacktestCourse:
    """A series over the range: what each bucket came to, and the range that was normal by a setting; None for what is not known."""

    series: str
    starts: tuple[datetime, ...]
    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class BacktestSide:
    """One setting: its alerts in order of time, the latest `MAX_ALERTS` of `count`; and the courses of the series with the most."""

    draft: RuleDraft
    count: int = 0
    alerts: tuple[WouldBeAlert, ...] = ()
    courses: tuple[BacktestCourse, ...] = ()


@dataclass(frozen=True)
class BacktestView:
    """`state` is running, done, failed or stopped; `done` of `total` series were looked at, 0 while that is unknown."""

    id: int
    state: str
    start: datetime
    end: datetime
    done: int
    total: int
    message: str
    sides: tuple[BacktestSide, ...]


class BacktestService(ABC):
    """Tries settings of a rule on the past, in a process of its own: closing the page changes nothing. Everybody sees their own."""

    @abstractmethod
    def start(self, session: Session, actor: Actor, drafts: Sequence[RuleDraft], weeks: int) -> BacktestView:
        """One or two settings of the same metric, segment and grain, over the last `weeks`. Needs `alerts:manage`.

        Raises:
            InvalidInput: as `RuleService.create`; or no such range.
            Conflict: another one of the actor's is running.
        """

    @abstractmethod
    def latest(self, session: Session, actor: Actor) -> BacktestView | None:
        """The actor's last one. Needs `alerts:manage`."""

    @abstractmethod
    def backtest(self, session: Session, actor: Actor, backtest_id: int) -> BacktestView:
        """One of the actor's. Raises NotFound."""

    @abstractmethod
    def stop(self, session: Session, actor: Actor, backtest_id: int) -> None:
        """End it before its time. Raises NotFound."""

    @abstractmethod
    def label(self, session: Session, actor: Actor, backtest_id: int, alert: WouldBeAlert, verdict: str) -> None:
        """Say what a would-be alert was, known by its series and time; '' takes it back.

        Rules take it as a verdict on an alert of theirs, from now on.

        Raises:
            InvalidInput: no such verdict.
            NotFound: no such backtest, or it found no such alert.
        """
