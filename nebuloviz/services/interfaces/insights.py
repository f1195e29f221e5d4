"""Findings in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import Actor

#: What a finding says: by how much something changed, whether that is usual, what moved it, which part of the sales did, that
#: alerts are open, where the month or quarter will end.
FindingKind = Literal["change", "usual", "driver", "segment", "alert", "pace"]


@dataclass(frozen=True)
class Insight:
    """One written finding and the question that backs it. `weight` ranks: the money at stake times the surprise."""

    text: str
    severity: str
    query: Query
    weight: float
    alert_id: int | None = None
    kind: FindingKind = "change"


@dataclass(frozen=True)
class Digest:
    """What is to be said of `day`, against the same weekday of the week before, and of the seven days that end with it.

    `ahead` says where the month and the quarter will end that are under way.
    """

    day: date
    of_day: Sequence[Insight]
    of_week: Sequence[Insight]
    ahead: Sequence[Insight] = ()


class AIInsights(ABC):
    """Says in words what changed and why."""

    def reworded(self, found: Digest) -> Digest:
        """The same in other words, with the same numbers and names, where there is somebody to ask; else as it is.

        Takes no session: never call it inside a transaction, for it may wait some seconds.
        """
        return found

    @abstractmethod
    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        """The most telling findings about `query`'s range against its comparison, in the reader's language, weightiest first."""

    @abstractmethod
    def digest(
        self,
        session: Session,
        actor: Actor,
        *,
        day: date | None = None,
        time_zone: str = "UTC",
        filters: tuple[Filter, ...] = (),
    ) -> Digest:
        """The findings of `day` on the clocks of `time_zone`; by default of yesterday, or of the last day with sales if long ago.

        Raises:
            InvalidQuery: a day that cannot be compared with anything.
        """
