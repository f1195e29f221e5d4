"""Whether alerts know where they come from: how often an event of one segment is explained by that segment first."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.cache import Cache
from nebuloviz.db import Database
from nebuloviz.detection.series import SeriesKey
from nebuloviz.models import Alert
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.alerts import DatabaseAlerts
from nebuloviz.services.data import SalesDataService

_TOLD = {"orders", "revenue", "units", "lines", "price_drops"}  # what alerts are about that sums by segment explain


def right_first(database_url: str, labels: Mapping[str, Any], alerts: Path) -> tuple[int, int]:
    """How many events of one segment were explained by it first, and how many were found at all, by their first alert.

    The database holds the sales. An alert that names no cause stands for its own segment, as its page does.
    """
    raised = [json.loads(line) for line in alerts.read_text().splitlines()]
    firsts = [(event, _first(event, raised)) for event in labels["events"] if event["scope"]]
    database = Database(database_url)
    service = DatabaseAlerts(SalesDataService(Cache(secret=secrets.token_hex()), ZoneInfo("UTC")))
    try:
        with database.transaction() as session:
            found = [(event, first) for event, first in firsts if first is not None]
            return sum(_segment(session, service, first) == event["scope"] for event, first in found), len(found)
    finally:
        database.dispose()


def _first(event: Mapping[str, Any], raised: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first alert that hits the event: in its time, and about it, a part of it or what it is a part of."""
    end = (datetime.fromisoformat(event["end"]) + timedelta(hours=event["tolerance_hours"])).isoformat()
    scope = event["scope"].items()
    for alert in sorted(raised, key=lambda each: str(each["ts"])):
        key = SeriesKey.parse(alert["series"])
        own = dict(key.dimensions).items()
        if event["start"] <= alert["ts"] <= end and key.metric in _TOLD and (own <= scope or scope <= own):
            return alert
    return None


def _segment(session: Session, service: DatabaseAlerts, raised: Mapping[str, Any]) -> dict[str, str]:
    key, start, end = (
        SeriesKey.parse(raised["series"]),
        *(datetime.fromisoformat(raised[name]).replace(tzinfo=UTC) for name in ("start", "ts")),
    )
    alert = Alert(
        detector="series",
        series=str(key),
        metric=key.metric,
        dimensions=json.dumps(dict(key.dimensions)),
        bucket_start=start,
        bucket_end=end,
        observed=raised["observed"],
        expected=raised["expected"],
        score=raised["score"],
        severity=raised["severity"],
        created_at=end,
        updated_at=end,
    )
    session.add(alert)
    session.flush()
    causes = service.explanation(session, SYSTEM, alert.id).causes
    return causes[0].dimensions if causes else dict(key.dimensions)
