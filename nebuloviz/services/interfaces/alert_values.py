"""What services say of alerts: views, histories, explanations, filters. All frozen; times are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from nebuloviz.detection.alerts import HOURS
from nebuloviz.metrics.query import Filter, Grain


@dataclass(frozen=True)
class AlertView:
    """An alert as shown. Figures are in the metric's unit; times are UTC.

    It goes on from `bucket_start` to `bucket_end`; its figures are those of `judged`, the window in it that stood out most.
    `owner` is the username of who looks after it, '' where nobody does; `snoozed_until` is set while it is snoozed; `verdict` is one
    of `VERDICTS`, '' as long as nobody has judged it.
    """

    id: int
    detector: str
    series: str
    metric: str
    dimensions: Mapping[str, str]
    bucket_start: datetime
    bucket_end: datetime
    observed: float
    expected: float | None
    expected_low: float | None
    expected_high: float | None
    score: float
    severity: str
    state: str
    created_at: datetime
    updated_at: datetime
    version: int
    sale_id: str = ""
    owner: str = ""
    snoozed_until: datetime | None = None
    verdict: str = ""
    incident_id: int = 0
    judged_start: datetime | None = None
    judged_end: datetime | None = None

    @property
    def grain(self) -> Grain:
        """The grain of its own buckets, in which its series is best looked at."""
        if self.bucket_end - self.bucket_start >= timedelta(days=1):
            return "day"
        whole = all(moment.minute == 0 for moment in (self.bucket_start, self.bucket_end, *self.judged))
        return "hour" if whole or self.detector != HOURS else "quarter_hour"

    @property
    def judged(self) -> tuple[datetime, datetime]:
        """The window that was judged; of alerts that did not keep it, all of their time."""
        return self.judged_start or self.bucket_start, self.judged_end or self.bucket_end


_ATTENTION = ("open", "acknowledged", "snoozed", "resolved")
_SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class IncidentView:
    """Alerts about the same, at the same time; at least one, the first one first. Its id is that of the first that there was."""

    id: int
    alerts: tuple[AlertView, ...]

    @property
    def lead(self) -> AlertView:
        """The alert that says most: that of the widest segment, and of these the most surprising."""
        return min(self.alerts, key=lambda each: (len(each.dimensions), -each.score))

    @property
    def state(self) -> str:
        """That of the alert that needs most attention."""
        return min((each.state for each in self.alerts), key=_ATTENTION.index)

    @property
    def severity(self) -> str:
        return max((each.severity for each in self.alerts), key=_SEVERITIES.index)

    @property
    def start(self) -> datetime:
        return min(each.bucket_start for each in self.alerts)

    @property
    def end(self) -> datetime:
        return max(each.bucket_end for each in self.alerts)


@dataclass(frozen=True)
class IncidentPage:
    items: tuple[IncidentView, ...]
    next_cursor: str | None


#: What an alert can be said to be; and why one was expected.
VERDICTS = ("real", "expected", "false_alarm", "new_normal")
EXPECTED_REASONS = ("promotion", "holiday", "price_change", "other")


@dataclass(frozen=True)
class AlertVerdict:
    """What somebody says that an alert was; of an expected one also why, and until when it goes on (None: as long as the alert)."""

    verdict: str
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class TaughtView:
    """A verdict that teaches the detectors: on which alert, by whom and when.

    `bar` is by how much a false alarm raises the bar of its series: so many times rarer an anomaly there must be to alert.
    """

    alert: AlertView
    verdict: AlertVerdict
    at: datetime
    username: str
    bar: float = 1.0


@dataclass(frozen=True)
class AlertHistoryEntry:
    """What happened, and who did it ('' where nobody did).

    Of a snooze `until` says when it ends; of an assignment `note` is to whom.
    """

    at: datetime
    kind: str
    username: str
    note: str
    until: datetime | None = None


@dataclass(frozen=True)
class SegmentPart:
    """One value of one dimension; `name` is what it is called, '' where it has no other name."""

    dimension: str
    value: str
    name: str = ""


@dataclass(frozen=True)
class Contribution:
    """A segment that went from `expected` to `observed`, which explains `share` of an alert's deviation; without parts: all sales.

    `surprise` is the natural logarithm of how much likelier what was observed is if this segment alone changed than if nothing did.
    """

    segment: tuple[SegmentPart, ...]
    observed: float
    expected: float
    share: float
    surprise: float

    @property
    def dimensions(self) -> dict[str, str]:
        return {part.dimension: part.value for part in self.segment}


@dataclass(frozen=True)
class Explanation:
    """What an alert comes from: few segments that do not overlap, the most surprising first; none where none stands out."""

    causes: tuple[Contribution, ...] = ()

    @property
    def unexplained(self) -> float:
        """The share of the deviation that lies in none of the segments, 0 to 1."""
        return min(1.0, max(0.0, 1.0 - sum(cause.share for cause in self.causes)))


@dataclass(frozen=True)
class RevenueSplit:
    """How revenue of an alert's time differs from `before`, the mean of the same hours of four weeks.

    Volume, price and mix add up to the difference. `volume`: more or fewer units, at the mean price of before. `price`: the same
    products were dearer or cheaper. `mix`: dearer or cheaper products were sold, new ones among them.
    """

    revenue: float
    before: float
    units: float
    units_before: float
    volume: float
    price: float
    mix: float


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts: empty fields do not restrict. `series` matches any part of the series' text.

    Of a dimension that `filters` keep to some values, an alert's series must name one of these.
    """

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    series: str = ""
    start: datetime | None = None
    end: datetime | None = None
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class AlertPage:
    items: tuple[AlertView, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class WatchedView:
    """A series that is judged in buckets of `grain` (quarter_hour, hour or day); it raises alerts from `since` on."""

    series: str
    grain: str
    since: datetime


@dataclass(frozen=True)
class DetectorView:
    """What watches sales: `series` sums of segments by hour or quarter hour, `days` daily ratios and counts, `lines` each sale line.

    Times are UTC.

    `version` names the trained model, '' while it still learns. `judged_until` is None before, and for `lines`, which are judged
    one by one. `watched` are the series that sell enough to be judged, by name.
    """

    name: str
    version: str
    trained_at: datetime | None
    judged_until: datetime | None
    watched: tuple[WatchedView, ...] = ()
