"""What travels from a source to a sink, and what the sink answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from typing import Literal, NamedTuple

from nebuloviz.ingest.sale import Record, Rejected, Sale

Status = Literal["accepted", "duplicate", "rejected"]


class Item(NamedTuple):
    """A record and what `parse` made of it."""

    record: Record
    parsed: Sale | Rejected


class Outcome(NamedTuple):
    """What became of one item; `rejected` says why where it was."""

    status: Status
    rejected: Rejected | None = None


_STATUS = attrgetter("status")
ACCEPTED = Outcome("accepted")
DUPLICATE = Outcome("duplicate")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition, in order. The database must be at offset `loaded`; the batch takes it to `next_offset`."""

    topic: str
    partition: int
    loaded: int
    next_offset: int
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Written:
    """A stored batch.

    `outcomes` stand in the order of its items; `sales` are those accepted; `days` are of the installation's zone.
    """

    topic: str
    partition: int
    next_offset: int
    outcomes: Sequence[Outcome]
    sales: Sequence[Sale]
    days: frozenset[date] = field(default=frozenset())

    @property
    def accepted(self) -> int:
        return self._count("accepted")

    @property
    def duplicates(self) -> int:
        return self._count("duplicate")

    @property
    def rejected(self) -> int:
        return self._count("rejected")

    def _count(self, status: Status) -> int:
        return list(map(_STATUS, self.outcomes)).count(status)  # asked often, of thousands
