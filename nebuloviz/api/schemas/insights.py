"""Findings in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Self

from pydantic import Field

from nebuloviz.api.schemas.base import Outgoing
from nebuloviz.services.interfaces import Digest, FindingKind, Insight


class InsightItem(Outgoing):
    """A finding in words, and the question that backs it as the parameters of a page's address."""

    text: str
    kind: FindingKind
    severity: str
    weight: Annotated[
        float | None, Field(description="The money at stake times the surprise; null of what comes before all else.")
    ]
    alert_id: int | None
    query: dict[str, list[str]]

    @classmethod
    def of(cls, item: Insight) -> Self:
        return cls(
            text=item.text,
            kind=item.kind,
            severity=item.severity,
            weight=item.weight if math.isfinite(item.weight) else None,
            alert_id=item.alert_id,
            query=item.query.to_params(),
        )


class InsightList(Outgoing):
    """The weightiest first."""

    items: list[InsightItem]

    @classmethod
    def of(cls, found: Iterable[Insight]) -> Self:
        return cls(items=[InsightItem.of(item) for item in found])


class DailyDigest(Outgoing):
    """What is to be said of a day against the same weekday of the week before, and of the seven days that end with it.

    `ahead`: where the month and the quarter will end that are under way.
    """

    day: date
    of_day: list[InsightItem]
    of_week: list[InsightItem]
    ahead: list[InsightItem]

    @classmethod
    def of_findings(cls, found: Digest) -> Self:
        told = (found.of_day, found.of_week, found.ahead)
        day, week, ahead = ([InsightItem.of(item) for item in findings] for findings in told)
        return cls(day=found.day, of_day=day, of_week=week, ahead=ahead)
