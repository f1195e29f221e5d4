"""The line watch at work: sale lines that were just stored go in, alerts on prices, quantities and repeated orders are written.

The model is stored when it has been trained, so that a restart does not train. What is known of each product is in memory only,
and read again from facts.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
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
from nebuloviz.detection.alerts import LINES as DETECTOR
from nebuloviz.detection.alerts import Finding, OpenAlert
from nebuloviz.detection.lessons import lets_pass
from nebuloviz.detection.line_model import LineModel, LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.series import Lines
from nebuloviz.detection.training import is_replaced
from nebuloviz.ingest.sale import Sale
from nebuloviz.models import MONEY_SCALE, QUANTITY_SCALE, ROLLUPS, DetectorState, SaleRow, microseconds
from nebuloviz.observability import DETECTOR_SECONDS, timed
from nebuloviz.services import imports
from nebuloviz.services.alert_store import raise_alert, resolve_past
from nebuloviz.services.feedback import lessons
from nebuloviz.services.line_feed import MAX_AGE
from nebuloviz.services.watching import StoredState

DIMENSIONS = ("region", "country", "channel", "store")  # that price drops are looked for in
LEARN_LINES = 100_000  # most lines that are learned from; of more, some minutes of every hour
MAX_PRODUCTS = 100_000  # beyond it, what is known is learned anew, and products of long ago are forgotten
ALERT_LIFE = timedelta(days=1)  # of an alert that nothing like it follows, and nobody looks after
_SETTLE_APART = timedelta(minutes=10)
_ON_THE_WAY_SECONDS = 1.0  # from where a sale is stored to the queue here
_PAUSE_SECONDS = 0.25
_NAMED = ("category", *DIMENSIONS)  # what is known of a line: an alert on it names them, and a promotion can be of them
_STORED = attrgetter("sold_at", "order_id", "product_id", "quantity", "unit_price", *_NAMED)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)

_log = logging.getLogger(__name__)


class LineWatcher:
    """Judges the batches of stored sales that somebody appends to `queue`: `start` in the background, `step` one of them at a time.

    `secret` signs the stored model. `on_judged` is told how many lines of the queue were done with. `on_the_way_seconds` is how
    long a sale that is stored may take to the queue.
    """

    def __init__(
        self,
        database: Database,
        settings: LineSettings,
        queue: deque[Sequence[Sale]],
        *,
        secret: str,
        on_judged: Callable[[int], None] = lambda _n_lines: None,
        on_the_way_seconds: float = _ON_THE_WAY_SECONDS,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._settings = settings
        self._queue = queue
        self._stored = StoredState(DETECTOR, secret)
        self._on_judged = on_judged
        self._on_the_way_seconds = on_the_way_seconds
        self._now = now
        self._detector: LineWatch | None = None
        self._learned_at: datetime | None = None
        self._settled_at: datetime | None = None
        self._found: list[tuple[Finding, Sale | None]] = []  # not yet written
        self._trained: LineModel | None = None  # not yet stored
        self._stopping = threading.Event()
        self._repeater = Repeater("line watch", self.step, _PAUSE_SECONDS)

    def start(self) -> None:
        self._repeater.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End after the step under way; waits for it at most `timeout_seconds`."""
        self._stopping.set()
        self._repeater.stop()
        self._repeater.join(timeout_seconds)

    def step(self) -> bool:
        """Judge one batch of the queue. Whether more wait."""
        self._write()
        if self._queue:
            sales = self._queue.popleft()
            try:
                detector = self._ready(sales)
                if detector is not None:
                    self._judge(detector, sales)
            finally:
                self._on_judged(len(sales))
        self._write()
        self._settle()
        return bool(self._queue)

    def _ready(self, sales: Sequence[Sale]) -> LineWatch | None:
        """What has learned from all other sales; None while history is being loaded, `sales` perhaps among it."""
        now = self._now()
        with self._database.session() as session:
            if imports.under_way(session, now):
                self._detector = None
                return None
            outdated = self._learned_at is None or imports.ended_since(session, self._learned_at)
        if self._detector is None or outdated or len(self._detector.memory) > MAX_PRODUCTS:
            self._detector = self._learn(now, sales)
            self._learned_at = now
        return self._detector

    def _learn(self, now: datetime, sales: Sequence[Sale]) -> LineWatch:
        """A new detector, from the stored lines of the last weeks day by day; from as many as there are when it must stop.

        What is still to be judged, `sales` first, is stored as well, and must not be known before.
        """
        first = now - timedelta(weeks=self._settings.fit_weeks)
        with self._database.session() as session:
            detector = LineWatch(self._settings, self._known(session))
            part = _part_to_learn(session, first)
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        days = [midnight + n * _DAY for n in range((now - midnight) // _DAY + 1)]
        young = [day for day in days if day > now - MAX_AGE - 2 * _DAY]  # in them are all that can be on their way
        train = functools.partial(self._train_if_due, detector, detector.day_of(now))
        for day in days[: len(days) - len(young)]:
            if self._stopping.is_set():
                return detector
            detector.remember(_lines([row[1:] for row in self._past(day, part)]), train)
        past = [self._past(day, part) for day in young]
        self._stopping.wait(self._on_the_way_seconds)
        unjudged = {sale.key for batch in (sales, *self._queue.copy()) for sale in batch}
        for rows in past:
            detector.remember(_lines([row[1:] for row in rows if row[0] not in unjudged]), train)
        return detector

    def _known(self, session: Session) -> LineModel | None:
        """The model as this or another process stored it; None where there is none, or more has been learned from since."""
        stored = session.get(DetectorState, DETECTOR)
        if stored is None or imports.ended_since(session, stored.trained_at):
            return None
        settings, model = self._stored.unpacked(stored.state) or (None, None)
        return model if settings == self._settings else None

    def _past(self, day: datetime, part: float) -> list[Sequence[Any]]:
        with self._database.session() as session:
            return _past_rows(session, day, part)

    def _judge(self, detector: LineWatch, sales: Sequence[Sale]) -> None:
        with timed(DETECTOR_SECONDS, detector=DETECTOR, step="score"):
            findings = detector.feed(lines_of(sales), functools.partial(self._train_if_due, detector))
        self._found += [(f, None if f.line is None else sales[f.line]) for f in findings if f.novel]

    def _train_if_due(self, detector: LineWatch, first_judged: int = 0) -> None:
        """Between two days; not what is replaced before day `first_judged` begins."""
        if not detector.fit_due or is_replaced(detector.day, first_judged):
            return
        try:
            with timed(DETECTOR_SECONDS, detector=DETECTOR, step="train"):
                self._trained = detector.train()
        except Exception:  # noqa: BLE001 - what was found in the batch under way is not lost for it; the next day tries again
            _log.exception("The line watch could not be trained")
            return
        _log.info("line watch trained: %s", self._trained.version)

    def _write(self) -> None:
        """The model that was trained, and alerts for what was found. Kept for the next step where the database does not answer."""
        if self._trained is not None:
            self._store(self._trained)
        if not self._found:
            return
        with self._database.transaction() as session:
            taught = lessons(session, DETECTOR, self._now())
            for finding, sale in self._found:
                if lets_pass(taught, finding, self._settings.threshold(finding.key.metric)):
                    _raise(session, finding, sale, self._now())
        self._found.clear()

    def _store(self, model: LineModel) -> None:
        now = self._now()
        with self._database.transaction() as session:
            kept = (self._settings, model)
            self._stored.store(session, kept, version=model.version, trained_at=now, scored_until=now)
        self._trained = None

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


def _past_rows(session: Session, day: datetime, part: float) -> list[Sequence[Any]]:
    """The stored lines of the UTC day that begins at `day`, as they were sold, each after its key; of each hour the first `part`.

    An order's lines are of one moment, so it is learned from whole or not at all.
    """
    columns = (SaleRow.sold_at, SaleRow.order_id, SaleRow.product_id, SaleRow.quantity, SaleRow.unit_price)
    stored = select(SaleRow.key, *columns, *(getattr(SaleRow, name) for name in _NAMED)).order_by(SaleRow.sold_at)
    spans = [(day, day + _DAY)]
    if part < 1:  # an hour at a time: SQLite reads one such range at once, and many joined by OR far slower than all
        spans = [(day + n * _HOUR, day + (n + part) * _HOUR) for n in range(24)]
    rows: list[Sequence[Any]] = []
    for start, end in spans:
        rows += session.execute(stored.where(SaleRow.sold_at >= start, SaleRow.sold_at < end))
    return rows


def _lines(rows: Sequence[Sequence[Any]]) -> Lines:
    """From rows of sold_at, order_id, product_id, quantity, unit_price and the dimensions, as stored."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * (5 + len(_NAMED))
    texts = [np.array(columns[place], dtype=object) for place in (1, 2, *range(5, 5 + len(_NAMED)))]
    return Lines(
        sold_at=np.array([microseconds(moment) for moment in columns[0]], dtype=np.int64),
        order_id=texts[0],
        product_id=texts[1],
        quantity=np.array(columns[3], dtype=float) / QUANTITY_SCALE,
        unit_price=np.array(columns[4], dtype=float) / MONEY_SCALE,
        dimensions=dict(zip(_NAMED, texts[2:], strict=True)),
    )
