"""What the time ahead will bring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import Query
from nebuloviz.metrics.registry import Metric
from nebuloviz.permissions import Actor

#: Buckets of these grains are made of whole days.
_GRAINS = ("day", "week", "month", "quarter")


def can_be_forecast(shown: Metric, grain: str | None) -> bool:
    """Whether a bucket of `grain` comes to what its days do in all. Of customers, whom several days may share, days alone are told."""
    if shown.denominator or grain not in _GRAINS:
        return False
    return "customers" not in shown.measures or grain == "day"


@dataclass(frozen=True)
class ForecastPoint:
    """What the bucket [`start`, `end`) is expected to come to, in the metric's unit.

    In four of five cases it will lie within `low_80` and `high_80`, in nineteen of twenty within `low_95` and `high_95`. The bucket
    under way counts whole: what it has come to so far, and what is still expected of it.
    """

    start: datetime
    end: datetime
    value: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float


@dataclass(frozen=True)
class Forecast:
    """The bucket under way and those after it. `days`: from so many whole days of sales.

    Of closed days that the calendar knows nothing is expected, of promotions what earlier ones brought. `uncounted`: there is one
    ahead, and too few days of earlier ones are known to say what it brings.
    """

    query: Query
    points: tuple[ForecastPoint, ...]
    days: int
    uncounted: bool = False


class ForecastService(ABC):
    """Says what the time ahead will bring, and how sure that is."""

    @abstractmethod
    def forecast(self, session: Session, actor: Actor, query: Query, ahead: int) -> Forecast | None:
        """The metric of `query` in what its filters leave: in the bucket under way and up to `ahead` - 1 after it.

        The range does not matter, the grain does: day, week, month or quarter. None where there are too few days of sales or nobody
        has bought anything lately, of any other grain, and of a metric that days do not add up to.
        """
