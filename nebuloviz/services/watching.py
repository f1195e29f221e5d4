"""What the watches over closed hours and over closed days share: their stored state, and which segments they are fed."""

from __future__ import annotations

import hashlib
import hmac
import logging
import pickle
import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, delete, func, or_, select
from sqlalchemy.orm import Session

from nebuloviz.db import insert
from nebuloviz.detection.grain import QUARTER_HOUR
from nebuloviz.detection.series import Segment, Watching
from nebuloviz.ingest.loading import load
from nebuloviz.metrics.calendar import midnight
from nebuloviz.models import ROLLUPS, Base, DetectorState, Expectation, QuarterExpectation, WatchedSeries

HISTORY = timedelta(weeks=11)  # what a new watch learns from
LOOK_BACK = timedelta(days=14)  # how far back a new watch still raises alerts
EXPECTED_DAYS = 35  # of expected ranges that a new watch writes
KEEP_EXPECTED = timedelta(days=120)
EPOCH = date(1970, 1, 1)
_TABLES = {(rollup.grain, rollup.dimensions): rollup for rollup in ROLLUPS}

_log = logging.getLogger(__name__)


class StoredState:
    """A watch between two steps as it is kept in the database, signed with the installation's `secret`."""

    def __init__(self, detector: str, secret: str) -> None:
        self.detector = detector
        self._secret = secret.encode()

    def store(
        self, session: Session, running: object, *, version: str, trained_at: datetime, scored_until: datetime
    ) -> None:
        row = {
            "version": version,
            "trained_at": trained_at,
            "scored_until": scored_until,
            "state": self._packed(running),
        }
        statement = insert(session, DetectorState).values(detector=self.detector, **row)
        session.execute(statement.on_conflict_do_update(index_elements=["detector"], set_=row))

    def _packed(self, running: object) -> bytes:
        body = zlib.compress(pickle.dumps(running), level=1)
        return self._signature(body) + body

    def unpacked(self, stored: bytes) -> Any:
        """None for a state that is not of our making, or of another version of the program: it is learned anew then."""
        signature, body = stored[:32], stored[32:]
        if not hmac.compare_digest(signature, self._signature(body)):
            _log.warning(
                "the stored %s watch is not signed with this installation's secret; it is learned anew", self.detector
            )
            return None
        try:
            return pickle.loads(zlib.decompress(body))  # noqa: S301 - signed by ourselves, checked above
        except Exception:  # noqa: BLE001 - reading what another version wrote can fail in any way
            _log.exception("the stored %s watch cannot be read; it is learned anew", self.detector)
            return None

    def _signature(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()


def rollup_table(grain: str, dimension: str | None = None) -> Table:
    return _TABLES[grain, (dimension,) if dimension else ()].table


def values_to_feed(
    session: Session, dimension: str, until: datetime, fed: Iterable[Segment], largest: int
) -> list[str]:
    """The `largest` values of the last weeks, and all fed before, as what is left out counts as sold nothing.

    None of a dimension that has only one: it would only repeat the total.
    """
    table = rollup_table("day", dimension)
    value = table.c[dimension]
    recent = (table.c.bucket >= until - HISTORY) & (table.c.bucket < until)
    found = session.scalars(
        select(value)
        .where(recent, value != "")
        .group_by(value)
        .order_by(func.sum(table.c.orders).desc(), value)
        .limit(max(2, largest))
    ).all()
    known = [pairs[0][1] for pairs in fed if pairs and pairs[0][0] == dimension]
    return sorted({*found, *known}) if known or len(found) > 1 else []


def list_watched(session: Session, detector: str, watched: Iterable[Watching], zone: ZoneInfo) -> None:
    """Write which series a detector judges by now, in place of those before."""
    session.execute(delete(WatchedSeries).where(WatchedSeries.detector == detector))
    session.add_all(
        WatchedSeries(
            detector=detector,
            series=str(each.key),
            grain=each.grain,
            since=midnight(EPOCH + timedelta(days=each.from_day), zone),
        )
        for each in watched
    )


#: Series, bucket, what was expected, and the range it would normally keep to.
ExpectedRow = tuple[str, datetime, float, float, float]


def replace_expected(
    session: Session, metrics: Iterable[str], rows: Sequence[ExpectedRow], now: datetime, grain: str
) -> None:
    """Write what was expected of series of these metrics, in place of all that there is from the first row's bucket on."""
    table = expectation_of(grain)
    if not rows:
        return
    # The first time these are some 100,000 rows, which an upsert would take a minute for
    first = min(bucket for _, bucket, *_ in rows)
    of_metrics = [(table.series == each) | table.series.startswith(f"{each}|", autoescape=True) for each in metrics]
    replaced = or_(*of_metrics) & ((table.bucket >= first) | (table.bucket < now - KEEP_EXPECTED))
    session.execute(delete(table).where(replaced))
    names = ("series", "bucket", "expected", "low", "high")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    load(session.connection(), Base.metadata.tables[table.__tablename__], columns)


def expectation_of(grain: str) -> type[Expectation | QuarterExpectation]:
    """The table of what is expected in buckets of `grain`."""
    return QuarterExpectation if grain == QUARTER_HOUR.name else Expectation
