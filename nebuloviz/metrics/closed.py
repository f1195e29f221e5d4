"""Days that are over: what they hold is kept until a late sale of one of them is stored, and the open day alone is read and added.

What the open day holds is kept as well, until its next sale: questions about different ranges have it in common. Sums add up over
time, whichever way it is cut. Orders and customers do not: where a span reaches from closed days into the open one, theirs are
read for the whole of it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nebuloviz.metrics.answer import Cells, measure
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import day_floor
from nebuloviz.metrics.customer_sets import Missing
from nebuloviz.metrics.planner import SUMS, Slice

#: More cells are not kept: to read them from the cache would take as long as from the database.
_MAX_CELLS, _MAX_COMBINATIONS = 5_000, 100


@dataclass(frozen=True)
class ClosedDays:
    """The days before `until`, where the open day begins: late sales alone change what they hold.

    `kept(key, span, read)` is what `read` gives, now or at an earlier call with this `key`, if no sale of the days of `span` has been
    stored since. The session that `read` is given sees all that was committed before the call.
    """

    until: datetime
    kept: Callable[[str, Bucket, Callable[[Session], Any]], Any]

    def cut(self, span: Bucket, zone: ZoneInfo) -> datetime:
        """Up to where the span is over and stays as it is; its start where nothing is."""
        if span.end <= self.until and _stands(span.end):
            return span.end
        return max(span.start, min(self.until, day_floor(span.end, zone)))


@dataclass
class Measured:
    """As `Answer`; `source` is that of the plan, of what is over where there is such."""

    source: str = ""
    cells: Cells = field(default_factory=dict)
    missing: set[Missing] = field(default_factory=set)

    def add(self, part: Measured, numbers: Sequence[int], without: Mapping[int, frozenset[str]]) -> None:
        """Add `part`, whose spans are those `numbers` of this one's; `without` some measures of some spans."""
        self.source = self.source or part.source
        self.missing |= part.missing
        for (place, *values), figures in part.cells.items():
            number = numbers[place]
            left_out = without.get(number, ())
            known = self.cells.setdefault((number, *values), {})
            for name, value in figures.items():
                if name not in left_out:
                    known[name] = known.get(name, 0) + value


class _Part(NamedTuple):
    """Spans, and which ones they are of those asked for."""

    numbers: list[int]
    spans: list[Bucket]

    def put(self, number: int, start: datetime, end: datetime) -> None:
        self.numbers.append(number)
        self.spans.append(Bucket(start, end))


def measured(session: Session, asked: Slice, zone: ZoneInfo, closed: ClosedDays | None) -> Measured:
    """As `answer.measure`, but that what is over and what is of the open day are kept apart, and added."""
    found = None
    if closed is not None and len(asked.keep or ()) <= _MAX_COMBINATIONS:
        found = _with_open_day(asked, zone, closed)
    return found or _answered(session, asked, zone)


def _answered(session: Session, asked: Slice, zone: ZoneInfo) -> Measured:
    answer = measure(session, asked, zone)
    return Measured(answer.plan.source, answer.cells, answer.missing)


def _with_open_day(asked: Slice, zone: ZoneInfo, closed: ClosedDays) -> Measured | None:
    """None where nothing is over, and where there is too much of it."""
    over, rest, both = _divided(asked.spans, closed, zone)
    if not over.spans:
        return None
    whole = asked.measures - set(SUMS)
    without = dict.fromkeys(both.numbers, whole) if whole else {}
    found = Measured()
    for part, left_out in ((over, without), (rest, without), (both, {})):
        all_cut = part is not both and set(part.numbers) <= set(both.numbers)
        measures = whole if part is both else asked.measures - whole if all_cut else asked.measures
        if part.spans and measures:
            answer = _kept(replace(asked, spans=tuple(part.spans), measures=measures), zone, closed)
            if answer is None:
                return None
            found.add(answer, part.numbers, left_out)
    return found


def _divided(spans: Iterable[Bucket], closed: ClosedDays, zone: ZoneInfo) -> tuple[_Part, _Part, _Part]:
    """What is over, what is not, and the whole of those spans that are both."""
    over, rest, both = _Part([], []), _Part([], []), _Part([], [])
    for number, span in enumerate(spans):
        until = closed.cut(span, zone)
        if span.start < until:
            over.put(number, span.start, until)
        if until < span.end:
            rest.put(number, until, span.end)
        if span.start < until < span.end:
            both.put(number, *span)
    return over, rest, both


def _kept(asked: Slice, zone: ZoneInfo, closed: ClosedDays) -> Measured | None:
    """None where there is too much to keep."""
    missing: set[Missing] = set()

    def read(current: Session) -> Measured | None:
        answer = _answered(current, asked, zone)
        missing.update(answer.missing)
        return replace(answer, missing=set()) if len(answer.cells) <= _MAX_CELLS else None

    kept: Measured | None = closed.kept(_key(asked), Bucket(asked.spans[0].start, asked.spans[-1].end), read)
    return kept and replace(kept, missing=missing)


def _key(asked: Slice) -> str:
    edges = array("d", [moment.timestamp() for span in asked.spans for moment in span]).tobytes()
    keep = None if asked.keep is None else sorted(asked.keep)  # whose order changes with every sale
    rest = (asked.dimensions, asked.filters, sorted(asked.measures), keep, asked.other)
    return f"{hashlib.blake2b(edges, digest_size=16).hexdigest()}|{rest}"


def _stands(moment: datetime) -> bool:
    """Whether a range that ends there can be asked for again: not one that ends where time has got to this very moment."""
    return not moment.second and not moment.microsecond
