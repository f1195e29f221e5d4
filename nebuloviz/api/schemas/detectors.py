"""What watches sales."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from nebuloviz.api.schemas.base import Outgoing


class DetectorItem(Outgoing):
    """`series` watches the hourly sums of segments, `days` their daily ratios and counts, `lines` each sale line. Times are UTC.

    `version` names the trained model, empty while it still learns. `judged_until` is null before, and for `lines`, which are judged
    one by one. `watched` is the number of series.
    """

    name: Literal["series", "days", "lines"]
    version: str
    trained_at: datetime | None
    judged_until: datetime | None
    watched: int


class DetectorList(Outgoing):
    items: list[DetectorItem]


class WatchedItem(Outgoing):
    """A series, `metric` or `metric|dimension=value,...`, judged in buckets of `grain`. From `since` on it can raise alerts."""

    series: str
    grain: Literal["quarter_hour", "hour", "day"]
    since: datetime


class WatchedList(Outgoing):
    """By name. `next` continues the list as `cursor`; null at its end."""

    items: list[WatchedItem]
    next: str | None
