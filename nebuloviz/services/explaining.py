"""What an alert comes from: its segments and those around it, beside what they were in the same hours of the weeks before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import numpy as np
from sqlalchemy.orm import Session

from nebuloviz.detection.alerts import HOURS
from nebuloviz.detection.causes import Cause, Level, causes
from nebuloviz.detection.series import COMPANY, Segment
from nebuloviz.metrics.line_figures import metric_behind
from nebuloviz.metrics.query import Filter, Query
from nebuloviz.permissions import Actor
from nebuloviz.services.interfaces import AlertView, Contribution, DataService, Explanation, SegmentPart

BASELINE_WEEKS = 4  # a segment's normal is its mean at the same hours of so many weeks before
#: Metrics of alerts that sums by segment tell something of (orders nearly add up), and whether these count things.
_COUNTED = {"revenue": False, "orders": True, "units": False, "lines": True, "returns": False, "price_drops": False}
_UNPAIRED = frozenset({"product"})  # too many values to pair with others: a product is told apart by itself


def explain(session: Session, actor: Actor, data: DataService, alert: AlertView, limit: int) -> Explanation:
    """What explains `alert`, as far as `actor` may see; nothing where its metric does not add up."""
    if alert.metric not in _COUNTED:
        return Explanation()
    own: Segment = tuple(sorted(alert.dimensions.items()))
    start, end = alert.judged
    query = Query(metrics=(metric_behind(alert.metric),), start=start, end=end)
    reader = SegmentReader(session, actor, data, [weeks_back(query, week) for week in range(BASELINE_WEEKS + 1)])
    levels = reader.levels(own)
    if alert.detector == HOURS:
        levels = _as_expected(levels, own, alert.expected or 0.0)
    rising = alert.observed > (alert.expected or 0.0) and alert.metric != "price_drops"  # which revenue falls by
    found = causes(own, levels, rising=rising, counted=_COUNTED[alert.metric], limit=limit)
    return Explanation(tuple(contribution(cause, reader.names) for cause in found))


def _as_expected(levels: Sequence[Level], own: Segment, expected: float) -> list[Level]:
    """What was usual of the alert's series and its parts, scaled to what the alert says was expected of it: it knows of growth."""
    usual = next((level.expected[0] for level in levels if level.segments == (own,)), 0.0)
    if usual <= 0 or expected <= 0:
        return list(levels)
    return [
        replace(level, before=level.before * (expected / usual)) if set(own) <= set(level.segments[0]) else level
        for level in levels
    ]


class SegmentReader:
    """Reads levels of the first of `periods`, beside the others, and notes what values are called.

    The periods ask the same of different times: of one metric, without dimensions.
    """

    def __init__(self, session: Session, actor: Actor, data: DataService, periods: Sequence[Query]) -> None:
        self._session = session
        self._actor = actor
        self._data = data
        self._periods = periods
        self.names: dict[tuple[str, str], str] = {}

    def levels(self, own: Segment, *, leave_out: Collection[str] = (), paired: bool = True) -> list[Level]:
        """All sales, each dimension in use, and pairs: any two dimensions for all sales, else those with the series' own values.

        `leave_out` are dimensions that are not looked at; not `paired`: single dimensions alone.
        """
        in_use = self._data.dimensions_in_use(self._session, self._actor)
        free = [name for name in in_use if name not in dict(own) and name not in leave_out]
        return [level for level in self._levels(own, free, paired=paired) if len(level.segments)]

    def _levels(self, own: Segment, free: Sequence[str], *, paired: bool) -> Iterator[Level]:
        yield self._level((), COMPANY)
        for name in free:
            yield self._level((name,), COMPANY)
        if own:
            yield self._level((), own)
            for name in free:
                yield self._level((name,), own)
        elif paired:
            for pair in combinations([name for name in free if name not in _UNPAIRED], 2):
                yield self._level(pair, COMPANY)

    def _level(self, dimensions: tuple[str, ...], own: Segment) -> Level:
        mine = tuple(Filter(name, "in", (value,)) for name, value in own)
        periods = [
            self._sums(period.with_(dimensions=dimensions, filters=(*period.filters, *mine)), own)
            for period in self._periods
        ]
        segments = sorted(set().union(*periods))
        sums = np.array([[period.get(segment, 0.0) for segment in segments] for period in periods])
        return Level(tuple(segments), sums[0], sums[1:])

    def _sums(self, query: Query, own: Segment) -> dict[Segment, float]:
        frame = self._data.frame(self._session, self._actor, query).data
        sums = frame[query.metrics[0]].astype(float).tolist()
        columns = [frame[name].astype(str).tolist() for name in query.dimensions]
        for name in query.dimensions:
            if f"{name}:name" in frame:
                called = zip(frame[name], frame[f"{name}:name"], strict=True)
                self.names.update({(name, str(value)): str(word) for value, word in called})
        values = zip(*columns, strict=True) if columns else iter([()] * len(sums))
        segments = (tuple(sorted((*zip(query.dimensions, each, strict=True), *own))) for each in values)
        return dict(zip(segments, sums, strict=True))


def weeks_back(query: Query, weeks: int) -> Query:
    """The same question of so many weeks before."""
    shift = timedelta(weeks=weeks)
    return query.with_(start=query.start - shift, end=query.end - shift)


def contribution(cause: Cause, names: dict[tuple[str, str], str]) -> Contribution:
    """`cause` as it is shown; `names` says what values are called."""
    parts = tuple(SegmentPart(name, value, names.get((name, value), "")) for name, value in cause.segment)
    return Contribution(parts, cause.observed, cause.expected, cause.share, cause.surprise)
