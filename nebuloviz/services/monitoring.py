"""What the database knows of the whole installation, and the machine of its surroundings, as Prometheus figures."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nebuloviz import migrate
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.alerts import Severity
from nebuloviz.ingest.jobs import FILE_TOPICS
from nebuloviz.models import Alert, Base, BrowserSession, DeadLetter, IngestGap, IngestMinute
from nebuloviz.observability import (
    ALERTS,
    CERTIFICATE,
    DATABASE_BYTES,
    DISK_FREE,
    DISK_SIZE,
    LAST_SALE,
    LETTERS_OPEN,
    RECORDS_LOST,
    REVISION,
    SALES_EXPECTED,
    SESSIONS,
)
from nebuloviz.services.calendar_rows import sales_may_come
from nebuloviz.services.interfaces.installation import Live

WEEKS = 4
DUE_WEEKS = 3  # sales are due in an hour that had some in so many of the last weeks
CERTIFICATE_SECONDS = 3600.0
LOST_SHOWN = timedelta(days=1)
_STATES = ("open", "acknowledged")
_TIMEOUT_SECONDS = 5.0
_HOURS = Base.metadata.tables["rollup_hour"]
#: Whether SQLite -> how large the database is.
SIZES = {
    True: "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    False: "SELECT pg_database_size(current_database())",
}

_log = logging.getLogger(__name__)


class InstallationFigures:
    """Call `step` every few seconds, in every process that serves: they all tell the same of the database.

    In `closed_days` no sale is due, whatever the calendar says.
    """

    def __init__(
        self,
        database: Database,
        live: Live,
        data_dir: Path,
        closed_days: Collection[date] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._live = live
        self._data_dir = data_dir
        self._closed_days = closed_days
        self._now = now
        self._certificate_of, self._certificate_at = "", 0.0

    def step(self) -> bool:
        """Look once; what cannot be seen keeps its last figure."""
        self._look_around()
        try:
            self._ask_database()
        except DBAPIError as error:
            _log.warning("The figures of the installation are not known: %s", type(error).__name__)
        return False

    def _look_around(self) -> None:
        disk = shutil.disk_usage(self._data_dir if self._data_dir.exists() else "/")
        DISK_FREE.set(disk.free)
        DISK_SIZE.set(disk.total)
        self._look_at_certificate(self._live().origin, time.monotonic())

    def _look_at_certificate(self, url: str, at: float) -> None:
        """Now and then, and at once where the public address is another one than before."""
        if url == self._certificate_of and at - self._certificate_at < CERTIFICATE_SECONDS:
            return
        self._certificate_of, self._certificate_at = url, at
        CERTIFICATE.clear()
        if url.startswith("https:"):
            CERTIFICATE.labels(url).set(certificate_end(url))

    def _ask_database(self) -> None:
        now = self._now()
        found = migrate.current(self._database) or "none"
        REVISION.clear()
        REVISION.labels(found).set(found == migrate.head())
        with self._database.session() as session:
            _count_alerts(session)
            SESSIONS.set(_count(session, BrowserSession, BrowserSession.expires_at > now))
            LETTERS_OPEN.set(_count(session, DeadLetter, DeadLetter.state == "open"))
            RECORDS_LOST.set(records_lost(session, now - LOST_SHOWN))
            DATABASE_BYTES.set(session.scalar(text(SIZES[self._database.is_sqlite])) or 0)
            last = session.scalar(
                select(IngestMinute.minute)
                .where(IngestMinute.accepted > 0, ~IngestMinute.topic.startswith(FILE_TOPICS))
                .order_by(IngestMinute.minute.desc())
                .limit(1)
            )
            LAST_SALE.set(last.timestamp() if last else 0)
            SALES_EXPECTED.set(sales_due(session, now, ZoneInfo(self._live().time_zone), self._closed_days))


def _count(session: Session, table: type[Base], condition: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(condition)) or 0


def records_lost(session: Session, since: datetime) -> int:
    """How many records were found since then that can never be read."""
    lost = select(func.sum(IngestGap.next_offset - IngestGap.first_offset)).where(IngestGap.noticed_at >= since)
    return int(session.scalar(lost) or 0)


def _count_alerts(session: Session) -> None:
    counts = select(Alert.state, Alert.severity, func.count()).where(Alert.state.in_(_STATES))
    found = {
        (state, severity): n for state, severity, n in session.execute(counts.group_by(Alert.state, Alert.severity))
    }
    for state in _STATES:
        for severity in Severity:
            ALERTS.labels(state, severity.value).set(found.get((state, severity.value), 0))


def sales_due(session: Session, now: datetime, zone: ZoneInfo, closed_days: Collection[date]) -> bool:
    """Whether sales came at this hour of the wall clock, on this weekday, in at least three of the last four weeks.

    None are where the calendar has the shop closed.
    """
    local = now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if local.date() in closed_days or not sales_may_come(session, local.date(), local.hour):
        return False
    hours = [(local - timedelta(weeks=week)).astimezone(now.tzinfo) for week in range(1, WEEKS + 1)]
    sold = select(func.count(_HOURS.c.bucket.distinct())).where(_HOURS.c.bucket.in_(hours))
    return (session.scalar(sold) or 0) >= DUE_WEEKS


def certificate_end(url: str) -> float:
    """Unix time until which the certificate at an `https` address is accepted; 0 where it is not, or nobody answers."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert() or {}
    except OSError as error:
        _log.warning("The certificate at %s is not accepted: %s", url, error)
        return 0.0
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
