"""Alerts as they are stored, for the services that show them and look after them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from nebuloviz.errors import StaleVersion
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.query import Filter
from nebuloviz.models import Alert
from nebuloviz.services.interfaces import AlertView

STATES = ("open", "acknowledged", "snoozed", "resolved")


def passes(dimensions: str, filters: Iterable[Filter]) -> bool:
    """Whether a series of these dimensions lies within all `filters`: of one that they keep to values, it must name one."""
    values = json.loads(dimensions)
    return all((values.get(item.dimension) in item.values) == (item.op == "in") for item in filters)


def changed_meanwhile() -> StaleVersion:
    """For whoever would change what they have not seen."""
    return StaleVersion(_("This alert was changed in the meantime; look at it again before you decide."))


def view_of(alert: Alert) -> AlertView:
    return AlertView(
        id=alert.id,
        detector=alert.detector,
        series=alert.series,
        metric=alert.metric,
        dimensions=json.loads(alert.dimensions),
        bucket_start=alert.bucket_start,
        bucket_end=alert.bucket_end,
        judged_start=alert.judged_start,
        judged_end=alert.judged_end,
        observed=alert.observed,
        expected=alert.expected,
        expected_low=alert.expected_low,
        expected_high=alert.expected_high,
        score=alert.score,
        severity=alert.severity,
        state=alert.state,
        created_at=alert.created_at,
        updated_at=alert.updated_at,
        version=alert.version,
        sale_id=alert.sale_id,
        owner=alert.owner,
        snoozed_until=alert.snoozed_until,
        verdict=alert.verdict,
        incident_id=alert.incident_id,
    )
