"""What large segments came to in quarter hours, for the watch over series: read from sale lines, as no rollup is so fine.

A quarter hour of a few segments is a few hundred lines, and each is read when it has closed; their past is read once, a week at a
time. So a shop that sells less pays nothing for it, and neither does ingest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from nebuloviz.detection.grain import QUARTER_HOUR
from nebuloviz.detection.grained_watch import Closed, GrainedWatch
from nebuloviz.detection.series import COMPANY, Buckets, FloatArray, Segment, keys_of
from nebuloviz.metrics.answer import measure
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.calendar import day_of
from nebuloviz.metrics.kept import facts_since
from nebuloviz.metrics.planner import Slice
from nebuloviz.metrics.registry import scale_of
from nebuloviz.models import SaleRow
from nebuloviz.services.rule_series import GRACE
from nebuloviz.services.watching import EPOCH

#: metric of the watch -> measure of the facts
MEASURES = {"revenue": "revenue", "orders": "orders", "units": "quantity", "lines": "lines"}
PAST_STEP = 7 * QUARTER_HOUR.per_day  # of the past that is read at a time
_LATELY = timedelta(days=1)
_LOOKED_AT = 20_000
_IN_TIME = 0.98  # of these: where more come later, all is judged by the hour


def begin_if_wanted(session: Session, watch: GrainedWatch, now: datetime | None) -> None:
    """Let the watch begin with quarter hours where segments sell enough for it and, unless `now` is None, sales arrive in time."""
    if not watch.quarters_wanted or (now is not None and not _arrive_in_time(session, now)):
        return
    since = facts_since(session)
    zone = ZoneInfo(watch.settings.calendar.zone)
    watch.begin_quarters(0 if since is None else (day_of(since, zone) - EPOCH).days + 1)


def _arrive_in_time(session: Session, now: datetime) -> bool:
    """Whether the newest sales were here before their quarter hour was judged. In some shops they come in bulk."""
    lately = (SaleRow.sold_at >= now - _LATELY) & (SaleRow.sold_at < now - GRACE)
    newest = select(SaleRow.sold_at, SaleRow.received_at).where(lately).order_by(SaleRow.sold_at.desc())
    rows = session.execute(newest.limit(_LOOKED_AT)).all()
    grain = QUARTER_HOUR
    in_time = sum(received <= grain.time_of(grain.bucket_of(sold) + 1) + GRACE for sold, received in rows)
    return bool(rows) and in_time >= _IN_TIME * len(rows)


def learn_quarters(session: Session, watch: GrainedWatch) -> None:
    """All in one go: begin where it is wanted, and feed the past up to where hours have been fed. For a backtest."""
    begin_if_wanted(session, watch, None)
    hour = watch.hours.next_bucket or 0
    nothing = Buckets(hour, (), np.zeros((0, 0)))
    while watch.catching_up:
        watch.feed(Closed(nothing, quarters_to_feed(session, watch, QUARTER_HOUR.of_hour(hour))))
    if watch.fit_due:
        watch.train()


def quarters_to_feed(session: Session, watch: GrainedWatch, until: int) -> Buckets | None:
    """The quarter hours from the next one to feed to `until`, of the past a week at most; None where none are watched."""
    if watch.quarters is None or watch.quarters.next_bucket is None:
        return None
    start = watch.quarters.next_bucket
    return quarters_between(session, watch, start, until if watch.active else min(until, start + PAST_STEP))


def quarters_between(session: Session, watch: GrainedWatch, start: int, end: int) -> Buckets:
    """Every watched metric of the large segments in the quarter hours [`start`, `end`), as the sale lines say by now."""
    metrics = tuple(MEASURES)
    if start >= end:
        return Buckets(start, (), np.zeros((0, 0)))
    edges = [QUARTER_HOUR.time_of(bucket) for bucket in range(start, end + 1)]
    spans = tuple(Bucket(*pair) for pair in pairwise(edges))
    found: dict[Segment, FloatArray] = {COMPANY: np.zeros((len(spans), len(metrics)))}
    scales = np.array([scale_of(name) for name in MEASURES.values()], float)
    for asked in _slices(watch.large, spans):
        answer = measure(session, asked, ZoneInfo(watch.settings.calendar.zone))
        for (span, *values), figures in answer.cells.items():
            segment: Segment = tuple(zip(asked.dimensions, values, strict=True))
            quarters = found.setdefault(segment, np.zeros((len(spans), len(metrics))))
            quarters[span] = np.array([figures.get(name, 0) for name in MEASURES.values()]) / scales
    keys = keys_of(metrics, sorted(found))
    columns = [found[key.dimensions][:, metrics.index(key.metric)] for key in keys]
    return Buckets(start, keys, np.stack(columns, axis=1))


def _slices(segments: Iterable[Segment], spans: tuple[Bucket, ...]) -> list[Slice]:
    """One for the total, one for each dimension that has large values."""
    measures = frozenset(MEASURES.values())
    by_dimension: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for segment in sorted(segments):
        by_dimension.setdefault(tuple(name for name, _ in segment), []).append(tuple(value for _, value in segment))
    return [
        Slice(spans, dimensions, (), measures, keep=tuple(values) if dimensions else None)
        for dimensions, values in by_dimension.items()
    ]
