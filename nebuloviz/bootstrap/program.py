"""One process that serves: its application, and what works behind the scenes."""

from __future__ import annotations

import functools
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from nebuloviz import process
from nebuloviz.background import Repeater
from nebuloviz.bootstrap.core import (
    PREPARE_PAUSE_SECONDS,
    SHUTDOWN_SECONDS,
    prepare_database,
    show_process,
)
from nebuloviz.bootstrap.parts import Parts, parts
from nebuloviz.bootstrap.watches import closed_days, start_watching
from nebuloviz.cache import ROOT
from nebuloviz.errors import ConfigurationError, Conflict, InvalidInput
from nebuloviz.ingest.brokers import brokers_health
from nebuloviz.ingest.sample import Demo
from nebuloviz.ingest.sample_plan import OWN_DATABASE, is_started
from nebuloviz.ingest.tasks import Storage
from nebuloviz.models import SaleKey, User
from nebuloviz.observability import Health, HealthChecks
from nebuloviz.services.alert_life import Snoozes
from nebuloviz.services.delivery import Deliverer
from nebuloviz.services.monitoring import InstallationFigures
from nebuloviz.services.passwords import check_password
from nebuloviz.services.retention import Retention
from nebuloviz.services.roll_off import RollOff
from nebuloviz.services.watch_process import WatchProcess
from nebuloviz.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

ADMIN = "admin"
MONITORING_SECONDS = 10.0
RETENTION_SECONDS = 600.0
SNOOZES_SECONDS = 20.0
NOTIFICATION_SECONDS = 2.0
SENDERS = 2  # so that one server that does not answer does not hold all messages up
SETTINGS_PAUSE_SECONDS = 2.0  # after so long a process takes up what another one has changed
WEB_THREADS = 24  # callbacks wait for the database most of their time

_log = logging.getLogger(__name__)


class Intake(Protocol):
    """What brings sales in behind the scenes: the Kafka consumer, or the sample."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout_seconds: float) -> bool: ...
    def health(self) -> Health: ...


def _quiet(_line: str) -> None:
    """Says nothing."""


@dataclass
class Program:
    """One `serve` process: the parts, and what works behind the scenes. The ASGI lifespan calls `start` and `stop` once each."""

    parts: Parts
    health: HealthChecks
    say: Callable[[str], None] = _quiet
    warm_up: Callable[[], None] | None = None
    _intake: Intake | None = None
    _watches: WatchProcess | None = None
    _preparation: Repeater | None = None
    _repeaters: list[Repeater] = field(default_factory=list)
    _unprepared: str = "The program has just started."

    def start(self) -> None:
        """Prepare the database, then start the background work. A database that does not answer is tried until it does."""
        self.health.register("database", self._database_health)
        self.health.register("cache", self.parts.cache.health)
        self.parts.status.background = self._behind_the_scenes
        show_process(self.parts.database)
        self._prepare()
        if self._unprepared:
            self._preparation = Repeater("preparation", self._prepare, PREPARE_PAUSE_SECONDS)
            self._preparation.start()

    def stop(self) -> None:
        """End the background work; takes at most `SHUTDOWN_SECONDS`."""
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        if self._preparation is not None:
            self._preparation.stop()
        if self._intake is not None:
            self._intake.stop()
        if self._watches is not None:
            self._watches.stop()
        for repeater in self._repeaters:
            repeater.stop()
        self.parts.backtests.close(max(0.1, deadline - time.monotonic()))
        self.parts.ingest.stop(max(0.1, deadline - time.monotonic()))
        if self._intake is not None:
            self._intake.join(max(0.1, deadline - time.monotonic()))
        if self._watches is not None:
            self._watches.join(max(0.1, deadline - time.monotonic()))
        if self._preparation is not None:
            self._preparation.join(max(0.1, deadline - time.monotonic()))
        for repeater in self._repeaters:
            repeater.join(max(0.1, deadline - time.monotonic()))
        if self._repeaters:
            _hand_over(self.parts.deliverer)
        self.parts.cache.close()
        self.parts.database.dispose()

    def _prepare(self) -> bool:
        """Once the database is ready: the first administrator, and the background work."""
        problem = prepare_database(self.parts.settings, self.parts.database) or _nobody_may_sign_in(self.parts)
        if problem:
            if problem != self._unprepared:
                _log.error("%s NebuloViz keeps trying.", problem)
            self._unprepared = problem
            return False
        first_administrator(self.parts, self.say)
        self._refresh_settings()
        self._repeat("settings", self._refresh_settings, SETTINGS_PAUSE_SECONDS)
        self._start_background_work()
        self._unprepared = ""
        if self._preparation is not None:
            self._preparation.stop()
        if self.warm_up is not None:
            threading.Thread(target=self.warm_up, name="warm-up", daemon=True).start()
        return False

    def _repeat(self, name: str, step: Callable[[], bool], pause_seconds: float) -> None:
        self._repeaters.append(Repeater(name, step, pause_seconds))
        self._repeaters[-1].start()

    def _refresh_settings(self) -> bool:
        """Take up what another process has changed."""
        with self.parts.database.session() as session:
            self.parts.services.settings.refresh(session)
        return False

    def _start_background_work(self) -> None:
        self.parts.cache.invalidate(ROOT)  # what changed while nobody could say so
        self._intake = _intake(self.parts)
        if self.parts.settings.demo == "off" and is_started(self.parts.database):
            self.say(f"This database holds the sample's sales. {OWN_DATABASE}")
        if self._intake is not None:
            self.health.register("ingest", self._intake.health)
            self._intake.start()
        servers = self.parts.settings.kafka_bootstrap_servers
        if servers and not self.parts.settings.ingest_in_app:
            self.health.register("kafka", lambda: brokers_health(servers))
        self._watches = start_watching(self.parts.settings, self.parts.listeners)
        settings, live = self.parts.settings, self.parts.services.settings.live
        figures = InstallationFigures(self.parts.database, live, settings.data_dir, closed_days(settings))
        self._repeat("monitoring", figures.step, MONITORING_SECONDS)
        retention = Retention(self.parts.database, live)
        self._repeat("retention", retention.step, RETENTION_SECONDS)
        self._repeat("snoozes", Snoozes(self.parts.database).step, SNOOZES_SECONDS)
        self._repeat("notifications", self.parts.deliverer.collect, NOTIFICATION_SECONDS)
        for number in range(1, SENDERS + 1):
            self._repeat(f"sending {number}", self.parts.deliverer.deliver, NOTIFICATION_SECONDS)
        roll_off = RollOff(self.parts.database, live, self.parts.zone)
        self._repeat("roll-off", roll_off.step, RETENTION_SECONDS)

    def _behind_the_scenes(self) -> Mapping[str, Health]:
        """What `/readyz` tells, and whether the repeated work gets done."""
        _ready, report = self.health.readiness()
        found = {name: Health(part["ok"], part["detail"]) for name, part in report.items()}
        failures = {repeater.name: repeater.failures for repeater in self._repeaters}
        if self._watches is not None:
            failures["watch"] = self._watches.failures
        told = {name: Health(n == 0, f"Failed tries in a row: {n}. The log says why.") for name, n in failures.items()}
        return found | told

    def _database_health(self) -> Health:
        if self._unprepared:
            return Health(ok=False, detail=self._unprepared)
        return self.parts.database_health()


def _hand_over(deliverer: Deliverer) -> None:
    """Let another process send notifications at once, if the database still answers; otherwise the election expires by itself."""
    try:
        deliverer.stop()
    except DBAPIError as error:
        _log.info("The election could not be given up: %s", type(error).__name__)


def _nobody_may_sign_in(these: Parts) -> str:
    """What to do in production where there is neither a user nor a password for the first: a log is no place to hand one over."""
    if not these.settings.production or these.settings.admin_password is not None or _users(these):
        return ""
    return (
        "There is no user yet. Set NEBULOVIZ_ADMIN_PASSWORD (or NEBULOVIZ_ADMIN_PASSWORD_FILE), the first password of the user "
        f"{ADMIN}, or run: python -m nebuloviz user add {ADMIN} --role admin"
    )


def _users(these: Parts) -> bool:
    with these.database.session() as session:
        return session.scalar(select(User.id).limit(1)) is not None


def first_administrator(these: Parts, say: Callable[[str], None]) -> None:
    """Create the user `admin` where there is no user at all, and say the password if it was generated, as only an embedded one is.

    A generated one must be changed at the first sign-in. One of the environment was chosen by whoever installs, whose other
    programs sign in with it at once.
    """
    given = these.settings.admin_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(12)
    try:
        with these.database.transaction() as session:
            made = session.scalar(select(User.id).limit(1)) is None
            if made:
                these.auth.create_user(session, ADMIN, password, "admin", must_change_password=given is None)
    except Conflict:  # another process that starts as well was faster
        made = False
    if not made:
        say(f"Sign in as before. Forgotten the password? ./nv user password {ADMIN}")
        return
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


def build(settings: Settings, say: Callable[[str], None] = _quiet) -> ASGIApp:
    """The whole server as one ASGI application, whose lifespan runs the background work. `say` gets what its starter must know.

    Raises:
        ConfigurationError: a setting forbids the start; a page or callback declares no permission.
    """
    from nebuloviz.api.app import create_api  # noqa: PLC0415 - the command line's other commands serve nothing
    from nebuloviz.api.threads import InThreads  # noqa: PLC0415
    from nebuloviz.web.app import create_dash  # noqa: PLC0415
    from nebuloviz.web.warming import warm_up  # noqa: PLC0415

    _check(settings)
    process.share_arenas()
    process.take_short_turns()
    these = parts(settings)
    program = Program(these, HealthChecks(), say)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        process.settle()
        program.start()
        try:
            yield
        finally:
            program.stop()
            await these.database.dispose_async()

    dash = create_dash(services=these.services, database=these.database, settings=settings, counters=these.counters)
    program.warm_up = functools.partial(warm_up, dash.server)
    return create_api(
        services=these.services,
        database=these.database,
        settings=settings,
        health=program.health,
        counters=these.counters,
        dashboard=InThreads(dash.server, WEB_THREADS),
        lifespan=lifespan,
    )


def _check(settings: Settings) -> None:
    """What would be found out only by those who sign in.

    Raises:
        ConfigurationError: the first administrator's password is easily guessed; cookies would travel without TLS as well.
    """
    try:
        if settings.admin_password is not None:
            check_password(settings.admin_password.get_secret_value(), ADMIN)
    except InvalidInput as error:
        raise ConfigurationError(f"NEBULOVIZ_ADMIN_PASSWORD cannot be used. {error.message}") from error
    if settings.production and not settings.cookie_secure and settings.public_address.startswith("https:"):
        message = (
            "NEBULOVIZ_PUBLIC_ADDRESS says that people come by https, but cookies are sent without TLS as well: set "
            "NEBULOVIZ_COOKIE_SECURE to true."
        )
        raise ConfigurationError(message)
    if settings.production and not settings.cookie_secure:
        _log.warning(
            "Cookies are sent without TLS as well; set NEBULOVIZ_COOKIE_SECURE to true where people come by https."
        )
