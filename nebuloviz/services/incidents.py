"""Alerts that are one incident: those that overlap in time, of which one's segment is the same as the other's or contains it.

An incident bears the id of its first alert. It is put together where alerts are raised and extended, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from nebuloviz.metrics.query import Filter
from nebuloviz.models import Alert
from nebuloviz.services.alert_rows import passes, view_of
from nebuloviz.services.interfaces import IncidentView

_BATCH = 200


def relate(session: Session, alert_id: int) -> None:
    """Bring an alert, as it is now, together with those that are about the same; the oldest incident takes the others in."""
    alert = session.get_one(Alert, alert_id, populate_existing=True)
    overlapping = (Alert.bucket_start <= alert.bucket_end) & (Alert.bucket_end >= alert.bucket_start)
    near = session.scalars(select(Alert).where(overlapping, Alert.id != alert.id)).all()
    found = {each.incident_id for each in near if _about_the_same(alert, each)} | {alert.incident_id or alert.id}
    first = min(found)
    if found == {alert.incident_id}:
        return
    joined = (Alert.id == alert.id) | Alert.incident_id.in_(found - {first})
    session.execute(update(Alert).where(joined).values(incident_id=first))  # and in what the session holds of them


def _about_the_same(one: Alert, other: Alert) -> bool:
    """Whether one's segment contains the other's. That all sales are off says nothing of a single line."""
    narrow, wide = sorted((_segment(one), _segment(other)), key=len, reverse=True)
    of_lines = bool(one.sale_id or other.sale_id)
    return wide.items() <= narrow.items() and not (of_lines and not wide and narrow)


def _segment(alert: Alert) -> Mapping[str, str]:
    found: dict[str, str] = json.loads(alert.dimensions)
    return found


def newest(session: Session, matching: Select[Alert], scope: Sequence[Filter], before: int | None) -> Iterator[int]:
    """The ids of incidents of which an alert within `scope` matches, newest first, from those older than `before`."""
    while True:
        page = matching if before is None else matching.where(Alert.incident_id < before)
        ids = page.with_only_columns(Alert.incident_id).distinct().order_by(Alert.incident_id.desc()).limit(_BATCH)
        found = list(session.scalars(ids))
        rows = session.scalars(matching.where(Alert.incident_id.in_(found)))
        seen = {row.incident_id for row in rows if passes(row.dimensions, scope)}
        yield from (each for each in found if each in seen)
        if len(found) < _BATCH:
            return
        before = found[-1]


def views(session: Session, ids: Sequence[int], scope: Sequence[Filter]) -> list[IncidentView]:
    """These incidents, each with all alerts within `scope`, the first one first; in the order of `ids`."""
    members = select(Alert).where(Alert.incident_id.in_(ids)).order_by(Alert.incident_id, Alert.id)
    seen = [view_of(row) for row in session.scalars(members) if passes(row.dimensions, scope)]
    found = {key: IncidentView(key, tuple(group)) for key, group in groupby(seen, key=lambda each: each.incident_id)}
    return [found[each] for each in ids if each in found]
