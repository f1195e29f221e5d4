"""Alerts, and what may be done with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import HOURS
from nebuloviz.metrics.query import Filter, Grain, Query
from nebuloviz.permissions import Actor

if TYPE_CHECKING:  # importing pandas costs half a second, and the command line may not need it
    import pandas as pd


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


class AlertService(ABC):
    """Reads alerts and moves them through their life."""

    @abstractmethod
    def list(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> AlertPage:
        """Newest first, in pages of `limit` (at most 500); under a row scope, those of series inside it.

        Raises:
            InvalidInput: `cursor` is not one that a page gave.
        """

    @abstractmethod
    def get(self, session: Session, actor: Actor, alert_id: int) -> AlertView:
        """One alert.

        Raises:
            NotFound: there is none, or it is outside the actor's scope.
        """

    @abstractmethod
    def incidents(
        self,
        session: Session,
        actor: Actor,
        which: AlertFilter | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> IncidentPage:
        """The incidents of which an alert passes `which`, newest first, each with all its alerts that the actor may see.

        Pages and errors as of `list`.
        """

    @abstractmethod
    def incident(self, session: Session, actor: Actor, incident_id: int) -> IncidentView:
        """One incident, with its alerts that the actor may see.

        Raises:
            NotFound: there is none, or all of it is outside the actor's scope.
        """

    @abstractmethod
    def history(self, session: Session, actor: Actor, alert_id: int) -> Sequence[AlertHistoryEntry]:
        """What happened to it, oldest first."""

    @abstractmethod
    def acknowledge(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        """Say that somebody looks after it: the actor, where it had no owner. Once more adds another note.

        Raises:
            NotFound: as `get` does.
            StaleVersion: it was changed since `version`.
            Conflict: it is resolved already.
            InvalidInput: the note has more than 2,000 characters, or a NUL.
        """

    @abstractmethod
    def resolve(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        """Close it. Raises what `acknowledge` does."""

    @abstractmethod
    def reopen(
        self, session: Session, actor: Actor, alert_id: int, note: str = "", version: int | None = None
    ) -> AlertView:
        """Open a resolved one again; from then on it is resolved by hand alone.

        Raises what `acknowledge` does, and Conflict where it is not resolved.
        """

    @abstractmethod
    def snooze(
        self, session: Session, actor: Actor, alert_id: int, until: datetime, reason: str, version: int | None = None
    ) -> AlertView:
        """Put it away until an aware moment, at which it is open again; it still resolves if its series is normal before.

        Raises what `acknowledge` does, and InvalidInput where `until` is not within the next 90 days, or there is no reason.
        """

    @abstractmethod
    def assign(
        self, session: Session, actor: Actor, alert_id: int, owner: str, version: int | None = None
    ) -> AlertView:
        """Give it to somebody, by username; to nobody where that is ''.

        Raises what `acknowledge` does, and InvalidInput for somebody who is not among `assignable`.
        """

    @abstractmethod
    def comment(self, session: Session, actor: Actor, alert_id: int, text: str) -> AlertView:
        """Add to its history, whatever state it is in. Raises NotFound; InvalidInput as `acknowledge` does, or without a text."""

    @abstractmethod
    def judge(
        self,
        session: Session,
        actor: Actor,
        alert_id: int,
        said: AlertVerdict,
        note: str = "",
        version: int | None = None,
    ) -> AlertView:
        """Say what it was, in place of what was said before; the detectors go by it from the present hour on.

        All but a real one are resolved by it. An alert can be judged whatever state it is in.

        Raises:
            NotFound, StaleVersion: as `acknowledge` does.
            InvalidInput: there is no such verdict or reason; `until` is not within the next 90 days, or not of an expected one.
        """

    @abstractmethod
    def unjudge(self, session: Session, actor: Actor, alert_id: int, version: int | None = None) -> AlertView:
        """Take the verdict back, and what it taught; the alert's state stays.

        Raises:
            NotFound, StaleVersion: as `acknowledge` does.
            Conflict: nobody has judged it.
        """

    @abstractmethod
    def taught(self, session: Session, actor: Actor) -> Sequence[TaughtView]:
        """All verdicts that teach the detectors, newest first, on alerts that the actor may see."""

    @abstractmethod
    def assignable(self, session: Session, actor: Actor, alert_id: int) -> Sequence[str]:
        """The usernames of all who may decide on it, in order. Raises NotFound."""

    @abstractmethod
    def explanation(self, session: Session, actor: Actor, alert_id: int, limit: int = 3) -> Explanation:
        """The segments that an alert comes from, over every dimension in use and pairs of them: its parts, or what it is a part of.

        At most `limit`, counted within the actor's scope. None for metrics that do not add up over segments. Raises what `get` does.
        """

    @abstractmethod
    def split(self, session: Session, actor: Actor, alert_id: int) -> RevenueSplit | None:
        """How revenue of its time came to differ from the same hours before, by volume, price and mix, within the actor's scope.

        None for alerts on sale lines and on the stream, and where nothing can be compared. Raises what `get` does.
        """

    @abstractmethod
    def counted(self, session: Session, actor: Actor, alert_id: int) -> float | None:
        """What the window that was judged comes to by now: late sales may have changed it since. In the metric's unit.

        None for alerts on sale lines, and where nothing can be said. Raises what `get` does.
        """

    @abstractmethod
    def expected(self, session: Session, actor: Actor, query: Query) -> pd.DataFrame | None:
        """The range that `query`'s only metric would normally keep, per bucket of its grain (hour or coarser).

        Columns: bucket (aware, in the query's zone), expected, expected_low, expected_high, in the metric's unit. None where the
        detector does not watch that series, or has not learned it yet; of buckets longer than an hour also as long as fewer than
        a fortnight of days can say how far such sums are from their expectation.
        """

    @abstractmethod
    def counts(self, session: Session, actor: Actor, which: AlertFilter | None = None) -> Mapping[str, int]:
        """Number of alerts that pass `which` by state, zeros included."""

    @abstractmethod
    def detectors(self, session: Session, actor: Actor) -> Sequence[DetectorView]:
        """What watches sales, since when and with which model; of what is watched, what lies within the actor's scope."""
