"""Findings in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor


@dataclass(frozen=True)
class Insight:
    """One written finding and the question that backs it. `weight` ranks: the money at stake times the surprise."""

    text: str
    severity: str
    query: Query
    weight: float
    alert_id: int | None = None


class AIInsights(ABC):
    """Says in words what changed and why."""

    @abstractmethod
    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        """The most telling findings about `query`'s range against its comparison, in the reader's language, weightiest first."""
