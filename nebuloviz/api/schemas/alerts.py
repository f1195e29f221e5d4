"""Alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from nebuloviz.api.schemas.base import Incoming, Moment, Outgoing, Text


class AlertItem(Outgoing):
    """An anomaly of one series. Figures are in the metric's unit, and of the window `judged`; times are UTC.

    `owner` is the username of who looks after it, '' where nobody does.
    """

    id: int
    series: str
    metric: str
    dimensions: dict[str, str]
    bucket_start: datetime
    bucket_end: datetime
    judged: tuple[datetime, datetime]
    observed: float
    expected: float | None
    expected_low: float | None
    expected_high: float | None
    score: float
    severity: str
    state: str
    owner: str
    snoozed_until: datetime | None
    verdict: str
    incident_id: int
    created_at: datetime


class AlertList(Outgoing):
    """`next` continues the list as `cursor`; null at its end."""

    items: list[AlertItem]
    next: str | None


class Incident(Outgoing):
    """Alerts about the same at the same time.

    `lead` is the id of the one that says most, `state` that of the one that needs most attention.
    """

    id: int
    state: str
    severity: str
    start: datetime
    end: datetime
    lead: int
    alerts: list[AlertItem]


class IncidentList(Outgoing):
    """`next` continues the list as `cursor`; null at its end."""

    items: list[Incident]
    next: str | None


class RevenueParts(Outgoing):
    """Revenue of an alert's time against `before`, the mean of the same time in the four weeks before; units likewise.

    `volume` is what more or fewer units come to at the mean price of before, `price` what the same products cost more or less, `mix`
    the rest: dearer or cheaper products were sold.
    """

    revenue: float
    before: float
    units: float
    units_before: float
    volume: float
    price: float
    mix: float


class Split(Outgoing):
    split: RevenueParts | None


class Counted(Outgoing):
    counted: float | None


class Note(Incoming):
    note: Annotated[Text, Field(max_length=2000)] = ""


class Snooze(Incoming):
    until: Moment
    reason: Annotated[Text, Field(min_length=1, max_length=2000)]


class Verdict(Incoming):
    """`reason` and `until` belong to an expected one, which needs a reason; without `until` it ends with the alert."""

    verdict: Literal["real", "expected", "false_alarm", "new_normal"]
    reason: Literal["", "promotion", "holiday", "price_change", "other"] = ""
    until: Moment | None = None
    note: Annotated[Text, Field(max_length=2000)] = ""


class Lesson(Outgoing):
    """A verdict that teaches the detectors. `bar`: so many times rarer an anomaly of the series must be to alert, by a false alarm."""

    alert: AlertItem
    verdict: str
    reason: str
    until: datetime | None
    at: datetime
    username: str
    bar: float


class Lessons(Outgoing):
    """Newest first."""

    items: list[Lesson]


class Comment(Incoming):
    text: Annotated[Text, Field(min_length=1, max_length=2000)]


class Owner(Incoming):
    """A username of those that may decide on the alert; '' for nobody."""

    owner: Annotated[Text, Field(max_length=64)]


class Assignable(Outgoing):
    """The usernames of all who may decide on the alert."""

    items: list[str]


class AlertEntry(Outgoing):
    """What happened to an alert, and who did it. Of a snooze `until` says when it ends; of an assignment `note` is to whom."""

    at: datetime
    kind: str
    username: str
    note: str
    until: datetime | None


class AlertHistory(Outgoing):
    """Oldest first."""

    items: list[AlertEntry]


class SegmentShare(Outgoing):
    """A segment that went from `expected` to `observed`, which explains `share` of an alert's deviation; {} is all sales.

    `surprise` is the natural logarithm of how much likelier what was observed is if this segment alone changed than if nothing did.
    """

    dimensions: dict[str, str]
    observed: float
    expected: float
    share: float
    surprise: float


class SegmentShares(Outgoing):
    """`unexplained` is the share of the deviation in none of them, 0 to 1."""

    items: list[SegmentShare]
    unexplained: float
