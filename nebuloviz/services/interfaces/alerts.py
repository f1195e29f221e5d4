"""Alerts, and what may be done with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces.alert_values import (
    AlertFilter,
    AlertHistoryEntry,
    AlertPage,
    AlertVerdict,
    AlertView,
    DetectorView,
    Explanation,
    IncidentPage,
    IncidentView,
    RevenueSplit,
    TaughtView,
)

if TYPE_CHECKING:  # importing pandas costs half a second, and the command line may not need it
    import pandas as pd


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
