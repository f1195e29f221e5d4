"""The business calendar: which days are unlike others, and when the shop is open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy.orm import Session

from nebuloviz.detection.opening import OpeningHours
from nebuloviz.metrics.query import Query
from nebuloviz.permissions import Actor

EntryKind = Literal["closure", "promotion", "holidays", "open"]
ENTRY_KINDS: tuple[EntryKind, ...] = ("closure", "promotion", "holidays", "open")


@dataclass(frozen=True)
class CalendarDraft:
    """What somebody enters: the days `first` to `last` of a closure, a promotion, or of being `open` in spite of a public holiday.

    `holidays` has no days: those of `country`, an ISO 3166 code, count in each year. With a `dimension` it is about its `value` alone.
    """

    kind: EntryKind
    name: str = ""
    first: date | None = None
    last: date | None = None
    country: str = ""
    dimension: str = ""
    value: str = ""


@dataclass(frozen=True)
class CalendarEntryView:
    id: int
    draft: CalendarDraft
    created_by: str
    version: int


@dataclass(frozen=True)
class PlannedDays:
    """What is so from `first` to `last`: an entry, or one of the public holidays that it stands for, by its name."""

    first: date
    last: date
    kind: EntryKind
    name: str
    dimension: str
    value: str
    entry_id: int


@dataclass(frozen=True)
class PlannedTime:
    """Planned days as moments: [`start`, `end`)."""

    start: datetime
    end: datetime
    days: PlannedDays


class CalendarService(ABC):
    """Keeps the calendar. What is entered holds for the detectors within seconds, and for what they learned from, too.

    Reading needs `alerts:read`, the rest `alerts:manage`. Whoever is confined to rows sees what is about all sales or about those
    rows, and enters only what is about those rows.
    """

    @abstractmethod
    def entries(self, session: Session, actor: Actor) -> Sequence[CalendarEntryView]:
        """All that was entered, the last days first; countries before them."""

    @abstractmethod
    def entry(self, session: Session, actor: Actor, entry_id: int) -> CalendarEntryView:
        """One of them. Raises NotFound."""

    @abstractmethod
    def add(self, session: Session, actor: Actor, draft: CalendarDraft) -> CalendarEntryView:
        """Enter it.

        Raises:
            InvalidInput: says what does not fit.
            Conflict: there are too many already.
            PermissionDenied: it is about rows that the actor does not see.
        """

    @abstractmethod
    def change(
        self, session: Session, actor: Actor, entry_id: int, version: int, draft: CalendarDraft
    ) -> CalendarEntryView:
        """Store what `draft` says instead. Raises what `add` does, NotFound, and StaleVersion."""

    @abstractmethod
    def remove(self, session: Session, actor: Actor, entry_id: int, version: int) -> None:
        """Take it away. Raises NotFound, PermissionDenied, StaleVersion."""

    @abstractmethod
    def agenda(self, session: Session, actor: Actor, first: date, last: date) -> Sequence[PlannedDays]:
        """What is planned in these days, `last` included, in their order; public holidays one by one, in the reader's language."""

    @abstractmethod
    def planned(self, session: Session, actor: Actor, query: Query) -> Sequence[PlannedTime]:
        """What is planned for some of what `query` asks for, in its range, in their order.

        Without days on which one is open in spite of a holiday, which are like any others. The days are those of the business.
        """

    @abstractmethod
    def hours(self, session: Session, actor: Actor) -> OpeningHours:
        """When the shop is open."""

    @abstractmethod
    def set_hours(self, session: Session, actor: Actor, hours: OpeningHours) -> None:
        """Say so. Raises InvalidInput, and PermissionDenied for who is confined to rows."""

    @abstractmethod
    def countries(self) -> Mapping[str, str]:
        """The countries whose public holidays are known: code -> name in the reader's language, in its order."""
