"""Picks the implementations and puts the program together. The only module that knows them all."""

from __future__ import annotations

import gc
import logging
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from nebuloviz import extensions, migrate
from nebuloviz.background import Repeater
from nebuloviz.cache import ROOT, Cache, day_node
from nebuloviz.db import Database
from nebuloviz.errors import ConfigurationError
from nebuloviz.ingest import installation
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.brokers import brokers_health
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions, OnWritten
from nebuloviz.ingest.sample import Demo
from nebuloviz.ingest.sample_plan import is_started
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.tasks import Storage
from nebuloviz.models import SaleKey, User
from nebuloviz.observability import Health, HealthChecks
from nebuloviz.services.alerts import SqlAlertService
from nebuloviz.services.audit import DatabaseAudit
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.services.buyers import BuyerSets
from nebuloviz.services.data import SalesDataService
from nebuloviz.services.ingest import SalesIngestService
from nebuloviz.services.insights import FigureInsights
from nebuloviz.services.interfaces import Services
from nebuloviz.services.limits import Counters
from nebuloviz.services.users import DatabaseUsers

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from nebuloviz.detection.calendar import Calendar
    from nebuloviz.detection.detector import Detector
    from nebuloviz.services.line_watch import LineWatcher
    from nebuloviz.services.watch import SeriesWatcher
    from nebuloviz.settings import Settings

ADMIN = "admin"
SHUTDOWN_SECONDS = 8.0
WEB_THREADS = 24  # callbacks wait for the database most of their time
_WATCH_PAUSE_SECONDS = 5.0
_PREPARE_PAUSE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Intake(Protocol):
    """What brings sales in behind the scenes: the Kafka consumer, or the sample."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout_seconds: float) -> bool: ...
    def health(self) -> Health: ...


@dataclass(frozen=True)
class Parts:
    """What every way of running the program shares."""

    settings: Settings
    database: Database
    cache: Cache
    counters: Counters
    auth: DatabaseAuth
    ingest: SalesIngestService
    services: Services
    listeners: list[OnWritten]  # told of every stored batch, whatever brought it, by `sales_written`
    sales_written: OnWritten

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.time_zone)

    def sink(self) -> DatabaseSink:
        """A sink of one's own, as each thread needs."""
        return DatabaseSink(self.database, self.zone, self.settings.currency)

    def consumer(self) -> Consumer:
        """The consumer of the configured Kafka topic."""
        from nebuloviz.ingest.kafka_source import KafkaSource  # noqa: PLC0415 - half a second that others need not wait

        settings = self.settings
        source = KafkaSource(
            settings.kafka_bootstrap_servers,
            settings.kafka_topic,
            settings.kafka_group,
            limit=settings.ingest_batch_size,
        )
        options = ConsumerOptions(timedelta(days=settings.late_horizon_days), settings.dead_letter_limit)
        return Consumer(source, self.sink(), options, [self.sales_written])


def parts(settings: Settings) -> Parts:
    """The services and what they stand on, extensions included. Opens no connection yet.

    Raises:
        ConfigurationError: production without a proper secret; an extension cannot be loaded; no such detector.
    """
    extensions.load(settings.extensions_dir)
    if "detector" in settings.model_fields_set:  # a slip of the pen is told now; the default need not be looked up
        _detector(settings)
    secret = settings.secret()
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    where = database(settings)
    cache = Cache(redis_url, secret=secret)
    counters = Counters(redis_url)
    zone = ZoneInfo(settings.time_zone)
    audit = DatabaseAudit()
    auth = DatabaseAuth(settings, counters=counters, audit=audit)
    data = SalesDataService(cache, zone, sets=BuyerSets(where, zone))
    alerts = SqlAlertService(data, audit=audit)

    listeners: list[OnWritten] = [lambda written: cache.invalidate(*(day_node(day) for day in written.days))]

    def sales_written(written: Written) -> None:
        for listener in listeners:  # those as well that come later
            listener(written)

    ingest = SalesIngestService(where, settings, on_written=[sales_written], audit=audit)
    services = Services(auth, data, alerts, FigureInsights(data, alerts), ingest, audit, DatabaseUsers(auth, audit))
    return Parts(settings, where, cache, counters, auth, ingest, services, listeners, sales_written)


def database(settings: Settings) -> Database:
    """The configured database; nothing is opened yet."""
    return Database(
        settings.resolved_database_url,
        pool_size=settings.database_pool_size,
        statement_timeout_seconds=settings.statement_timeout_seconds,
    )


def auth_service(settings: Settings) -> DatabaseAuth:
    """For the command line, which needs no other service."""
    return DatabaseAuth(settings)


def prepare_database(settings: Settings, where: Database) -> str:
    """'' once an embedded database is brought to this version, a production one is at it, and its sales were stored by these settings.

    Otherwise what is wrong, and what to do.
    """
    try:
        if not settings.production:
            migrate.upgrade(where)
        found = migrate.current(where)
        if found == migrate.head():
            return installation.contradiction(where, settings.time_zone, settings.currency)
    except DBAPIError as error:
        reason = str(error.orig or error).strip().splitlines()[0]
        return f"The database at {where.where} does not answer ({reason}). Check NEBULOVIZ_DATABASE_URL and the server."
    return (
        f"The database at {where.where} is at revision {found or 'none'}, this version needs {migrate.head()}. "
        "Run: python -m nebuloviz migrate"
    )


def _quiet(_line: str) -> None:
    """Says nothing."""


@dataclass
class Program:
    """One `serve` process: the parts, and what works behind the scenes. The ASGI lifespan calls `start` and `stop` once each."""

    parts: Parts
    health: HealthChecks
    say: Callable[[str], None] = _quiet
    _intake: Intake | None = None
    _watcher: SeriesWatcher | None = None
    _line_watcher: LineWatcher | None = None
    _repeaters: list[Repeater] = field(default_factory=list)
    _unprepared: str = "The program has just started."

    def start(self) -> None:
        """Prepare the database, then start the background work. A database that does not answer is tried until it does."""
        self.health.register("database", self._database_health)
        self.health.register("cache", self.parts.cache.health)
        preparation = Repeater("preparation", self._prepare, _PREPARE_PAUSE_SECONDS)
        self._repeaters.append(preparation)
        self._prepare()
        if self._unprepared:
            preparation.start()

    def stop(self) -> None:
        """End the background work; takes at most `SHUTDOWN_SECONDS`."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        for repeater in self._repeaters:
            repeater.stop()
        if self._intake is not None:
            self._intake.stop()
        self.parts.ingest.stop(max(0.1, deadline - time.monotonic()))
        if self._intake is not None:
            self._intake.join(max(0.1, deadline - time.monotonic()))
        if self._line_watcher is not None:
            self._line_watcher.stop(max(0.1, deadline - time.monotonic()))
        for repeater in self._repeaters:
            repeater.join(max(0.1, deadline - time.monotonic()))
        if self._watcher is not None:
            self._hand_over()
        self.parts.cache.close()
        self.parts.database.dispose()

    def _hand_over(self) -> None:
        """Give the election up, if the database still answers; otherwise it expires by itself."""
        try:
            assert self._watcher is not None, "the caller has checked"  # noqa: S101 - tells the type checker
            self._watcher.stop()
        except DBAPIError as error:
            _log.info("The election could not be given up: %s", type(error).__name__)

    def _prepare(self) -> bool:
        """Once the database is ready: the first administrator, and the background work."""
        problem = prepare_database(self.parts.settings, self.parts.database)
        if problem:
            if problem != self._unprepared:
                _log.error("%s NebuloViz keeps trying.", problem)
            self._unprepared = problem
            return False
        first_administrator(self.parts, self.say)
        self._start_background_work()
        self._unprepared = ""
        self._repeaters[0].stop()
        return False

    def _start_background_work(self) -> None:
        self.parts.cache.invalidate(ROOT)  # what changed while nobody could say so
        self._intake = _intake(self.parts)
        if self._intake is not None:
            self.health.register("ingest", self._intake.health)
            self._intake.start()
        servers = self.parts.settings.kafka_bootstrap_servers
        if servers and not self.parts.settings.ingest_in_app:
            self.health.register("kafka", lambda: brokers_health(servers))
        watch = Repeater("series watch", self._watch, _WATCH_PAUSE_SECONDS)
        self._repeaters.append(watch)
        watch.start()

    def _watch(self) -> bool:
        if self._watcher is None:  # here, since scikit-learn takes seconds to load
            self._watcher = series_watcher(self.parts)
            self._line_watcher = line_watcher(self.parts)
        return self._watcher.step()

    def _database_health(self) -> Health:
        if self._unprepared:
            return Health(ok=False, detail=self._unprepared)
        with self.parts.database.session() as session:
            session.execute(text("SELECT 1"))
        return Health(ok=True)


def first_administrator(these: Parts, say: Callable[[str], None]) -> None:
    """Create the user `admin` where there is no user at all, and say the password if it was generated."""
    given = these.settings.admin_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(12)
    with these.database.transaction() as session:
        if session.scalar(select(User.id).limit(1)) is not None:
            say(f"Sign in as before. Forgotten the password? python -m nebuloviz user password {ADMIN}")
            return
        these.auth.create_user(session, ADMIN, password, "admin")
    say(
        f"Sign in as {ADMIN} with {'the password of NEBULOVIZ_ADMIN_PASSWORD' if given else f'the password {password}'}"
    )


def _intake(these: Parts) -> Intake | None:
    """Kafka where it is configured; else the sample, where nothing is and the database is empty or shows it already."""
    settings = these.settings
    if settings.kafka_bootstrap_servers:
        return these.consumer() if settings.ingest_in_app else None
    if not settings.demo_wanted:
        return None
    with these.database.session() as session:
        empty = session.scalar(select(func.count()).select_from(select(SaleKey.key).limit(1).subquery())) == 0
    if not empty and not is_started(these.database):
        return None
    storage = Storage.of(these.database, settings.time_zone, settings.currency)
    return Demo(these.database, these.sink(), storage, [these.sales_written], currency=settings.currency)


def _detector(settings: Settings) -> type[Detector]:
    """The detector of the settings, which may be an extension's. Raises ConfigurationError for one that there is not."""
    from nebuloviz.detection.registry import detector  # noqa: PLC0415 - scikit-learn takes seconds to load

    extensions.load(settings.extensions_dir)
    return detector(settings.detector)


def series_watcher(these: Parts) -> SeriesWatcher:
    """The watch over series, as the settings have it."""
    from nebuloviz.detection.series_model import WatchSettings  # noqa: PLC0415 - scikit-learn takes seconds to load
    from nebuloviz.services.watch import SeriesWatcher  # noqa: PLC0415

    settings = these.settings
    watched = WatchSettings(
        calendar=_calendar(settings),
        max_series=settings.watched_series,
        false_alerts_per_week=settings.false_alerts_per_week,
        detector=_detector(settings),
    )
    return SeriesWatcher(these.database, watched, secret=settings.secret())


def _calendar(settings: Settings) -> Calendar:
    """When the shop is open. Raises ConfigurationError for a file of closures that cannot be read."""
    from nebuloviz.detection.calendar import Calendar, read_closures  # noqa: PLC0415 - as above

    try:
        return Calendar(settings.time_zone, read_closures(settings.closed_days_file))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"NEBULOVIZ_CLOSED_DAYS_FILE: {error}") from error


def line_watcher(these: Parts) -> LineWatcher:
    """The watch over sale lines, at work, told of every stored batch."""
    from nebuloviz.detection.line_model import LineSettings  # noqa: PLC0415 - as above
    from nebuloviz.services.line_watch import DIMENSIONS, LineWatcher  # noqa: PLC0415

    settings = these.settings
    judged = LineSettings(
        calendar=_calendar(settings), dimensions=DIMENSIONS, false_alerts_per_week=settings.false_alerts_per_week
    )
    watcher = LineWatcher(these.database, judged)
    these.listeners.append(watcher.on_written)
    watcher.start()
    return watcher


def backtest(settings: Settings, source: Path, closures: Path | None, output: Path) -> int:
    """Replay a file of sales past both watches as the settings have them, and write the alerts; 0 for the shell.

    Raises:
        InvalidInput: the file cannot be replayed.
        ConfigurationError: the calendar cannot be read.
    """
    from nebuloviz.detection.line_model import LineSettings  # noqa: PLC0415 - as above
    from nebuloviz.detection.lines import LineWatch  # noqa: PLC0415
    from nebuloviz.detection.series_model import WatchSettings  # noqa: PLC0415
    from nebuloviz.detection.series_watch import SeriesWatch  # noqa: PLC0415
    from nebuloviz.services import backtest  # noqa: PLC0415
    from nebuloviz.services.line_watch import DIMENSIONS  # noqa: PLC0415

    calendar = _calendar(settings.model_copy(update={"closed_days_file": closures}) if closures else settings)
    allowed, kind = settings.false_alerts_per_week, _detector(settings)
    series = WatchSettings(calendar, max_series=settings.watched_series, false_alerts_per_week=allowed, detector=kind)
    # Outsiders know the column of a product by its own name.
    lines = LineSettings(calendar, DIMENSIONS, product_dimension="product_id", false_alerts_per_week=allowed)
    backtest.backtest(source, output, SeriesWatch(series), LineWatch(lines), settings.currency)
    return 0


def build(settings: Settings, say: Callable[[str], None] = _quiet) -> ASGIApp:
    """The whole server as one ASGI application, whose lifespan runs the background work. `say` gets what its starter must know.

    Raises:
        ConfigurationError: a setting forbids the start; a page or callback declares no permission.
    """
    from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - the command line's other commands serve nothing

    from nebuloviz.api.app import create_api  # noqa: PLC0415
    from nebuloviz.web.app import create_dash  # noqa: PLC0415

    these = parts(settings)
    program = Program(these, HealthChecks(), say)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        program.start()
        try:
            yield
        finally:
            program.stop()
            await these.database.dispose_async()

    dash = create_dash(services=these.services, database=these.database, settings=settings, counters=these.counters)
    return create_api(
        services=these.services,
        database=these.database,
        settings=settings,
        health=program.health,
        counters=these.counters,
        dashboard=cast("ASGIApp", WSGIMiddleware(dash.server, workers=WEB_THREADS)),
        lifespan=lifespan,
    )


def consume(settings: Settings) -> int:
    """`nebuloviz ingest`: consume in the foreground until SIGTERM; returns the process's exit code.

    Raises:
        ConfigurationError: no Kafka is configured.
    """
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError("There is nothing to ingest from: set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to host:port.")
    these = parts(settings)
    consumer = these.consumer()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: consumer.stop())
    while (problem := prepare_database(settings, these.database)) and not consumer.stopping:
        _log.error("%s NebuloViz keeps trying.", problem)
        time.sleep(_PREPARE_PAUSE_SECONDS)
    these.cache.invalidate(ROOT)
    watcher = line_watcher(these)
    consumer.abandon_when_stalled()
    gc.freeze()  # what is loaded stays: the collector need not walk through it at every turn, nor at the end
    consumer.run()
    watcher.stop()
    return 0


def rebuild_rollups(settings: Settings) -> None:
    """Make all rollups anew from the sales, by the days of the configured zone. Nothing else may write meanwhile."""
    from nebuloviz.ingest.recount import rebuild  # noqa: PLC0415 - only here

    rebuild(database(settings), settings.time_zone)


def doctor(settings: Settings, *, recount: bool) -> Mapping[str, Health]:
    """Check settings and servers one after the other; each finding says what to do."""
    from nebuloviz.services import checkup  # noqa: PLC0415 - only here

    these = parts(settings)
    return checkup.run(settings, these.database, these.cache, recount=recount)
