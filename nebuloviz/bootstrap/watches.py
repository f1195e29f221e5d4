"""The watches: as the settings have them, at work in a process of their own, and replayed over a file."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from nebuloviz import extensions
from nebuloviz.background import Repeater
from nebuloviz.bootstrap.storage import database
from nebuloviz.child import Child, Parent
from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.detection.registry import detector
from nebuloviz.errors import ConfigurationError
from nebuloviz.ingest.announce import OnWritten
from nebuloviz.ingest.sale import Sale
from nebuloviz.observability import detection_figures
from nebuloviz.services import calendar_rows, lease
from nebuloviz.services.interfaces.installation import DETECTION, SHARED
from nebuloviz.services.setting_entries import Value
from nebuloviz.services.stored_settings import DatabaseSettings
from nebuloviz.services.watch_process import LEASE_LIFE, SERIES_TASK, Figures, Judged, WatchProcess
from nebuloviz.settings import Settings

if TYPE_CHECKING:  # pandas and what else the watches need is for the process that watches
    from nebuloviz.detection.calendar import Calendar
    from nebuloviz.detection.detector import Detector
    from nebuloviz.services.line_watch import LineWatcher
    from nebuloviz.services.series_watch import SeriesWatcher

NICENESS = 10  # training waits for pages and consumers, never they for it
STEP_SECONDS = 5.0
ELECTION_SECONDS = 2.0  # between the elected one's signs of life, and between the looks of those that wait
_END_SECONDS = 2.0

_log = logging.getLogger(__name__)


def start_watching(settings: Settings, listeners: list[OnWritten]) -> WatchProcess | None:
    """Watch sales beside this process, if the settings want it; what `listeners` hear from now on is watched too.

    It has a name of its own in the election, whichever child it is that watches.
    """
    if settings.watch == "off":
        return None
    watches = WatchProcess(functools.partial(Child, watch_sales, settings, lease.own_name()))
    listeners.append(watches.on_written)
    watches.start()
    return watches


def watch_sales(parent: Parent, settings: Settings, holder: str) -> None:
    """The task of that child: all watches, until it is to stop. It loads what they need once it is elected, or has sales to judge.

    When administrators decide otherwise on detection, or the calendar is changed, it ends as well, and the next child goes by that.

    Raises:
        ConfigurationError: the calendar cannot be read.
    """
    os.nice(NICENESS)
    stopping = threading.Event()
    parent.when_stopped(stopping.set)
    handed: deque[Sequence[Sale]] = deque()
    parent.when_sent(handed.append)
    where = database(settings)
    decided = _Decided(settings, where)
    while not (decided.watching and (handed or _elected(where, holder))):
        if not decided.watching:
            _let_pass(handed, parent)
        if stopping.wait(ELECTION_SECONDS) or decided.changed():
            return
    settings = decided.settings
    series = series_watcher(settings, where, holder)
    lines = line_watcher(settings, where, handed, lambda n_lines: parent.tell(Judged(n_lines)))
    repeaters = [
        Repeater("series watch", series.step, STEP_SECONDS),
        Repeater("watch figures", lambda: _tell_figures(parent), STEP_SECONDS),
        Repeater("election", lambda: _stand(where, holder), ELECTION_SECONDS),
    ]
    lines.start()
    for repeater in repeaters:
        repeater.start()
    while not (stopping.wait(STEP_SECONDS) or decided.changed()):
        pass
    for repeater in repeaters:
        repeater.stop()
    lines.stop(_END_SECONDS)
    repeaters[-1].join(_END_SECONDS)  # it would be elected again
    repeaters[0].join(_END_SECONDS)  # what is under way may be left: it is stored whole or not at all
    _hand_over(series)


class _Decided:
    """What administrators have decided on detection, as this process found it."""

    def __init__(self, settings: Settings, where: Database) -> None:
        extensions.load(settings.extensions_dir)  # one of their detectors may have been chosen
        self._service = DatabaseSettings(settings)
        self._where = where
        self._found: dict[str, Value] = {}
        self._planned: calendar_rows.Rows | None = None
        self.changed()
        self._found = self._values()
        self.watching = self._service.current.detection
        shared = {name: value for name, value in self._found.items() if name in SHARED}
        self.settings = settings.model_copy(update=shared)

    def changed(self) -> bool:
        """Whether it is another by now. A database that does not answer says nothing."""
        try:
            with self._where.session() as session:
                decided = self._service.refresh(session) and self._values() != self._found
                return self._planned_otherwise(session) or decided
        except DBAPIError as error:
            _log.warning("The watches cannot look at settings: %s", type(error).__name__)
            return False

    def _planned_otherwise(self, session: Session) -> bool:
        """Whether the calendar is another one by now."""
        found = calendar_rows.stored(session)
        if self._planned is None:
            self._planned = found
        return found != self._planned

    def _values(self) -> dict[str, Value]:
        return {name: self._service.current.get(name) for name in DETECTION}


def _let_pass(handed: deque[Sequence[Sale]], parent: Parent) -> None:
    """Sales that nobody wants to have judged."""
    while handed:
        parent.tell(Judged(len(handed.popleft())))


def _elected(where: Database, holder: str) -> bool:
    try:
        return lease.keep(where, SERIES_TASK, holder, utc_now(), LEASE_LIFE)
    except DBAPIError as error:
        _log.warning("The watches wait for the database: %s", type(error).__name__)
        return False


def _stand(where: Database, holder: str) -> bool:
    _elected(where, holder)
    return False


def _tell_figures(parent: Parent) -> bool:
    parent.tell(Figures(detection_figures()))
    return False


def _hand_over(series: SeriesWatcher) -> None:
    """Give the election up, if the database still answers; otherwise it expires by itself."""
    try:
        series.stop()
    except DBAPIError as error:
        _log.info("The election could not be given up: %s", type(error).__name__)


def series_watcher(settings: Settings, where: Database, holder: str = "") -> SeriesWatcher:
    """The watch over series, as the settings have it."""
    from nebuloviz.detection.series_model import WatchSettings  # noqa: PLC0415 - see above
    from nebuloviz.services.series_watch import SeriesWatcher  # noqa: PLC0415

    watched = WatchSettings(
        calendar=_calendar(settings, where),
        max_series=settings.watched_series,
        false_alerts_per_week=settings.false_alerts_per_week,
        detector=_detector(settings),
    )
    return SeriesWatcher(where, watched, secret=settings.secret(), holder=holder)


def line_watcher(
    settings: Settings, where: Database, queue: deque[Sequence[Sale]], on_judged: Callable[[int], None]
) -> LineWatcher:
    """The watch over the sale lines of `queue`, as the settings have it."""
    from nebuloviz.detection.line_model import LineSettings  # noqa: PLC0415 - see above
    from nebuloviz.services.line_watch import DIMENSIONS, LineWatcher  # noqa: PLC0415

    judged = LineSettings(
        calendar=_calendar(settings, where),
        dimensions=DIMENSIONS,
        false_alerts_per_week=settings.false_alerts_per_week,
    )
    return LineWatcher(where, judged, queue, secret=settings.secret(), on_judged=on_judged)


def _detector(settings: Settings) -> type[Detector]:
    """The detector of the settings, which may be an extension's. Raises ConfigurationError for one that there is not."""
    extensions.load(settings.extensions_dir)
    return detector(settings.detector)


def _calendar(settings: Settings, where: Database) -> Calendar:
    """The business calendar, as it is in the database. Raises ConfigurationError for a file of closures that cannot be read."""
    from nebuloviz.services.watched_calendar import watched_calendar  # noqa: PLC0415 - see above

    with where.session() as session:
        return watched_calendar(session, settings.time_zone, closed_days(settings), utc_now().year)


def _calendar_of_file(settings: Settings, closures: Path) -> Calendar:
    from nebuloviz.detection.calendar import Calendar  # noqa: PLC0415 - see above

    return Calendar(settings.time_zone, closed_days(settings.model_copy(update={"closed_days_file": closures})))


def _installed_calendar(settings: Settings) -> Calendar:
    """The same; where there is no database yet, the file of closures alone. Raises ConfigurationError for one that cannot be read."""
    from nebuloviz.detection.calendar import Calendar  # noqa: PLC0415 - see above

    where = database(settings)
    try:
        return _calendar(settings, where)
    except DBAPIError:
        return Calendar(settings.time_zone, closed_days(settings))
    finally:
        where.dispose()


def closed_days(settings: Settings) -> frozenset[date]:
    """The planned closures. Raises ConfigurationError for a file that cannot be read."""
    if settings.closed_days_file is None:
        return frozenset()
    from nebuloviz.detection.calendar import read_closures  # noqa: PLC0415 - see above

    try:
        return read_closures(settings.closed_days_file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"NEBULOVIZ_CLOSED_DAYS_FILE: {error}") from error


def backtest(
    settings: Settings, source: Path, closures: Path | None, output: Path, database_url: str = "sqlite://"
) -> int:
    """Replay a file of sales past all watches as the settings have them, and write the alerts; 0 for the shell.

    Raises:
        InvalidInput: the file cannot be replayed.
        ConfigurationError: the calendar cannot be read.
    """
    from nebuloviz.detection.day_watch import DayWatch  # noqa: PLC0415 - see above
    from nebuloviz.detection.grained_watch import GrainedWatch  # noqa: PLC0415
    from nebuloviz.detection.line_model import LineSettings  # noqa: PLC0415
    from nebuloviz.detection.lines import LineWatch  # noqa: PLC0415
    from nebuloviz.detection.series_model import WatchSettings  # noqa: PLC0415
    from nebuloviz.services import backtest  # noqa: PLC0415
    from nebuloviz.services.day_watch import metrics_by_day  # noqa: PLC0415
    from nebuloviz.services.line_watch import DIMENSIONS  # noqa: PLC0415

    calendar = _calendar_of_file(settings, closures) if closures else _installed_calendar(settings)
    allowed, kind = settings.false_alerts_per_week, _detector(settings)
    series = WatchSettings(calendar, max_series=settings.watched_series, false_alerts_per_week=allowed, detector=kind)
    # Outsiders know the column of a product by its own name.
    lines = LineSettings(calendar, DIMENSIONS, product_dimension="product_id", false_alerts_per_week=allowed)
    watches = GrainedWatch(series), DayWatch(series, metrics_by_day()), LineWatch(lines)
    backtest.backtest(source, output, *watches, currency=settings.currency, database_url=database_url)
    return 0
