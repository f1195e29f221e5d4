"""Judges sale lines beside a consumer, in a thread of its own: prices and quantities against each product's past, repeated orders.

A consumer hands over what it has stored and goes on. What comes faster than it can be judged is left out and counted: alerts on
lines are worth having and not worth waiting for. What is learned is in memory only, and learned again from facts after a restart.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nebuloviz.background import Repeater
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.alerts import Finding, OpenAlert
from nebuloviz.detection.line_model import LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.series import Lines
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.sale import Sale
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE, ROLLUPS, SaleRow, microseconds
from nebuloviz.observability import DETECTOR_SECONDS, LINES_UNJUDGED, timed
from nebuloviz.services import imports
from nebuloviz.services.alert_store import raise_alert, resolve_past

DETECTOR = "lines"
DIMENSIONS = ("region", "country", "channel", "store")  # that price drops are looked for in
MAX_AGE = timedelta(days=2)  # of a sale that is still judged
QUEUE_LINES = 20_000
LEARN_LINES = 100_000  # most lines that are learned from; of more, some minutes of every hour
MAX_PRODUCTS = 100_000  # beyond it, what is known is learned anew, and products of long ago are forgotten
ALERT_LIFE = timedelta(days=1)  # of an alert that nothing like it follows, and nobody looks after
_SETTLE_APART = timedelta(minutes=10)
_REST = 3.0  # rests so many times as long as it worked, so that the consumer keeps the processor
_PAUSE_SECONDS = 0.25
_NAMED = ("category", *DIMENSIONS)
_STORED = attrgetter("sold_at", "order_id", "product_id", "quantity", "unit_price", *DIMENSIONS)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

_log = logging.getLogger(__name__)


class LineWatcher:
    """Give `on_written` to a consumer; `start` judges in the background what it gets, `step` a batch of it at a time."""

    def __init__(
        self,
        database: Database,
        settings: LineSettings,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._queue: deque[Sequence[Sale]] = deque()
        self._n_queued = 0
        self._leaving_out = False
        self._detector: LineWatch | None = None
        self._learned_at: datetime | None = None
        self._settled_at: datetime | None = None
        self._found: list[tuple[Finding, Sale | None]] = []  # not yet written
        self._rest = 0.0  # none while somebody waits for a step
        self._stopping = threading.Event()
        self._repeater = Repeater("line watch", self._paced_step, _PAUSE_SECONDS)

    def start(self) -> None:
        self._rest = _REST
        self._repeater.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End after the step under way; waits for it at most `timeout_seconds`."""
        self._stopping.set()
        self._repeater.stop()
        self._repeater.join(timeout_seconds)

    def on_written(self, written: Written) -> None:
        """Take over what a consumer has stored. Never waits; where too much waits already, the batch is left out."""
        oldest = self._now() - MAX_AGE
        sales = [sale for sale in written.sales if sale.sold_at >= oldest]
        if not sales:
            return
        with self._lock:
            fits = not self._queue or self._n_queued + len(sales) <= QUEUE_LINES
            if fits:
                self._queue.append(sales)
                self._n_queued += len(sales)
            turned = self._leaving_out == fits
            self._leaving_out = not fits
        if not fits:
            LINES_UNJUDGED.inc(len(sales))
        if turned:
            _log.warning(
                "sale lines arrive faster than they can be judged: %s", "no more" if fits else "some are left out"
            )

    def step(self) -> bool:
        """Judge one batch of those handed over. Whether more wait."""
        self._write()
        sales = self._next()
        if sales:
            detector = self._ready(sales)
            if detector is not None:
                self._judge(detector, sales)
        self._write()
        self._settle()
        return bool(self._queue)

    def _paced_step(self) -> bool:
        with self._rested():
            return self.step()

    @contextmanager
    def _rested(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._stopping.wait(self._rest * (time.perf_counter() - started))

    def _next(self) -> Sequence[Sale]:
        with self._lock:
            sales = self._queue.popleft() if self._queue else ()
            self._n_queued -= len(sales)
        return sales

    def _ready(self, sales: Sequence[Sale]) -> LineWatch | None:
        """What has learned from all other sales; None while history is being loaded, `sales` perhaps among it."""
        now = self._now()
        with self._database.session() as session:
            if imports.under_way(session, now):
                self._detector = None
                return None
            outdated = self._learned_at is None or imports.ended_since(session, self._learned_at)
        if self._detector is None or outdated or len(self._detector.memory) > MAX_PRODUCTS:
            self._detector = self._learn(now, self._handed_over(sales))
            self._learned_at = now
        return self._detector

    def _handed_over(self, sales: Sequence[Sale]) -> set[bytes]:
        """Keys of sales that are stored, and still to be judged: they must not be known before."""
        with self._lock:
            return {sale.key for batch in (sales, *self._queue) for sale in batch}

    def _learn(self, now: datetime, without: Collection[bytes]) -> LineWatch:
        """A new detector, from the stored lines of the last weeks day by day; from as many as there are when it must stop."""
        detector = LineWatch(self._settings)
        first = now - timedelta(weeks=self._settings.fit_weeks)
        with self._database.session() as session:
            part = _part_to_learn(session, first)
        for day in (first + n * _DAY for n in range((now - first) // _DAY + 1)):
            with self._rested(), self._database.session() as session:
                detector.feed(
                    _past_lines(session, day.replace(hour=0, minute=0, second=0, microsecond=0), part, without)
                )
            if self._stopping.is_set():
                break
        if detector.fit_due:
            self._train(detector)
        return detector

    def _judge(self, detector: LineWatch, sales: Sequence[Sale]) -> None:
        with timed(DETECTOR_SECONDS, detector=DETECTOR, step="score"):
            findings = detector.feed(lines_of(sales))
        self._found += [(f, None if f.line is None else sales[f.line]) for f in findings if f.novel]
        if detector.fit_due:
            self._train(detector)

    def _train(self, detector: LineWatch) -> None:
        with timed(DETECTOR_SECONDS, detector=DETECTOR, step="train"):
            version = detector.train().version
        _log.info("line watch trained: %s", version)

    def _write(self) -> None:
        """Alerts for what was found. Kept for the next step where the database does not answer."""
        if not self._found:
            return
        with self._database.transaction() as session:
            for finding, sale in self._found:
                _raise(session, finding, sale, self._now())
        self._found.clear()

    def _settle(self) -> None:
        """Now and then: a line is sold and gone, so its alert resolves by itself."""
        now = self._now()
        if self._settled_at is not None and now - self._settled_at < _SETTLE_APART:
            return
        with self._database.transaction() as session:
            resolve_past(session, DETECTOR, now - ALERT_LIFE, now)
        self._settled_at = now


def lines_of(sales: Sequence[Sale]) -> Lines:
    """As arrays, in order; money in the currency's unit."""
    return _lines([_STORED(sale) for sale in sales])


def _raise(session: Session, finding: Finding, sale: Sale | None, now: datetime) -> None:
    """One alert for a series and hour, however often its lines are handed over."""
    named = None
    if (
        sale is not None and finding.key.dimensions
    ):  # about this very line, so all that is known of it can be filtered by
        known = {name: getattr(sale, name) for name in _NAMED}
        named = {name: value for name, value in known.items() if value} | dict(finding.key.dimensions)
    alert = OpenAlert(replace(finding, detector=DETECTOR), finding.bucket_start, finding.bucket_end)
    raise_alert(session, alert, now, named, sale.sale_id if sale else "")


def _part_to_learn(session: Session, first: datetime) -> float:
    """The part of every hour whose lines are learned from."""
    days = next(rollup.table for rollup in ROLLUPS if rollup.grain == "day" and not rollup.dimensions)
    total = session.scalar(select(func.sum(days.c.lines)).where(days.c.bucket >= first))
    return min(1.0, LEARN_LINES / max(int(total or 0), 1))


def _past_lines(session: Session, day: datetime, part: float, without: Collection[bytes]) -> Lines:
    """The stored lines of the UTC day that begins at `day`, as they were sold; of each hour the first `part`.

    An order's lines are of one moment, so it is learned from whole or not at all.
    """
    columns = (SaleRow.sold_at, SaleRow.order_id, SaleRow.product_id, SaleRow.quantity, SaleRow.unit_price)
    stored = select(SaleRow.key, *columns, *(getattr(SaleRow, name) for name in DIMENSIONS)).order_by(SaleRow.sold_at)
    spans = [(day, day + _DAY)]
    if part < 1:  # an hour at a time: SQLite reads one such range at once, and many joined by OR far slower than all
        spans = [(day + n * _HOUR, day + (n + part) * _HOUR) for n in range(24)]
    rows: list[Sequence[Any]] = []
    for start, end in spans:
        inside = (SaleRow.sold_at >= start) & (SaleRow.sold_at < end)
        rows += [row[1:] for row in session.execute(stored.where(inside)) if row[0] not in without]
    return _lines(rows)


def _lines(rows: Sequence[Sequence[Any]]) -> Lines:
    """From rows of sold_at, order_id, product_id, quantity, unit_price and the dimensions, as stored."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * (5 + len(DIMENSIONS))
    texts = [np.array(columns[place], dtype=object) for place in (1, 2, *range(5, 5 + len(DIMENSIONS)))]
    return Lines(
        sold_at=np.array([microseconds(moment) for moment in columns[0]], dtype=np.int64),
        order_id=texts[0],
        product_id=texts[1],
        quantity=np.array(columns[3], dtype=float) / QUANTITY_SCALE,
        unit_price=np.array(columns[4], dtype=float) / MONEY_SCALE,
        dimensions=dict(zip(DIMENSIONS, texts[2:], strict=True)),
    )
