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
