"""What is said about the figures, what was done, and how the installation is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.errors import InvalidInput, NebuloVizError
from nebuloviz.metrics.calendar import day_of
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import Actor, Permission, require
from nebuloviz.services.interfaces import (
    AIInsights,
    AuditAction,
    AuditEntryView,
    AuditFilter,
    AuditPage,
    AuditService,
    Digest,
    Finding,
    Insight,
    Level,
    StatusService,
)
from tests.fakes.sales import NOW


@dataclass
class FakeInsights(AIInsights):
    """Says `findings`; `failure`, once set, is raised instead."""

    findings: Sequence[Insight] = ()
    failure: NebuloVizError | None = None
    asked: list[Query] = field(default_factory=list)

    def insights(self, session: Session, actor: Actor, query: Query, limit: int = 5) -> Sequence[Insight]:
        if self.failure:
            raise self.failure
        self.asked.append(query)
        return sorted(self.findings, key=lambda each: -each.weight)[:limit]

    def digest(
        self,
        session: Session,
        actor: Actor,
        *,
        day: date | None = None,
        time_zone: str = "UTC",
        filters: tuple[Filter, ...] = (),
    ) -> Digest:
        told = day or day_of(NOW, ZoneInfo(time_zone)) - timedelta(days=1)
        found = sorted(self.findings, key=lambda each: -each.weight)
        of_week, ahead = ([each for each in found if (each.kind == "pace") is leads] for leads in (False, True))
        return Digest(told, of_week[:1], of_week, ahead)


@dataclass
class FakeAudit(AuditService):
    """Keeps entries in memory, each a minute later than the one before."""

    kept: list[AuditEntryView] = field(default_factory=list)
    failure: NebuloVizError | None = None

    def record(
        self,
        session: Session,
        actor: Actor,
        action: AuditAction,
        subject: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        number = len(self.kept) + 1
        at = NOW + timedelta(minutes=number)
        self.kept.append(
            AuditEntryView(number, at, actor.username, "", str(action), subject, before or {}, after or {})
        )

    @require(Permission.AUDIT_READ)
    def entries(
        self,
        session: Session,
        actor: Actor,
        which: AuditFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AuditPage:
        if self.failure:
            raise self.failure
        if cursor is not None and not re.fullmatch(r"n\d+", cursor):
            raise InvalidInput("The cursor is not one of ours.")
        which = which or AuditFilter()
        before = int(cursor[1:]) if cursor else len(self.kept) + 1
        found = [each for each in reversed(self.kept) if each.id < before and _audited(each, which)]
        return AuditPage(tuple(found[:limit]), f"n{found[limit - 1].id}" if len(found) > limit else None)


def _audited(entry: AuditEntryView, which: AuditFilter) -> bool:
    return (
        any(which.search.casefold() in text.casefold() for text in (entry.username, entry.subject, entry.address))
        and which.action in {"", entry.action}
        and (which.start is None or entry.at >= which.start)
        and (which.end is None or entry.at < which.end)
    )


class FakeStatus(StatusService):
    """Finds what it is told to: nothing wrong at first."""

    def __init__(self) -> None:
        self.found = [
            Finding("disk", "Disk", Level.GOOD, "80 GiB are free."),
            Finding("cache", "Cache", Level.GOOD, "Redis is responding."),
        ]

    def findings(self, actor: Actor) -> Sequence[Finding]:
        actor.demand(Permission.SETTINGS_MANAGE)
        return self.found
