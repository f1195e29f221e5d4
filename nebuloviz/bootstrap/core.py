"""What every process stands on: the database, the cache, a way in for sales, and who is told of them."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nebuloviz import __version__, extensions, migrate
from nebuloviz.bootstrap.storage import database
from nebuloviz.cache import Cache, day_node
from nebuloviz.db import Database
from nebuloviz.detection import registry
from nebuloviz.ingest import installation
from nebuloviz.ingest.announce import OnWritten
from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.observability import BUILD, DB_CONNECTIONS, Health
from nebuloviz.services.stored_settings import DatabaseSettings
from nebuloviz.settings import Settings

SHUTDOWN_SECONDS = 4.5  # of the ten that a process may take to end; requests under way have had five before
#: Of a steady stream: what a sale waits for at most, so that storing leaves the processor to others.
GATHER_SECONDS = 0.2
PREPARE_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Core:
    """What every way of running the program shares."""

    settings: Settings
    database: Database
    cache: Cache
    listeners: list[OnWritten]  # told of every stored batch, whatever brought it, by `sales_written`
    sales_written: OnWritten

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.time_zone)

    def database_health(self) -> Health:
        """Well when it answers; raises when it does not."""
        with self.database.session() as session:
            session.execute(text("SELECT 1"))
        return Health(ok=True)

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
        horizon = timedelta(days=settings.late_horizon_days)
        options = ConsumerOptions(horizon, settings.dead_letter_limit, GATHER_SECONDS)
        return Consumer(source, self.sink(), options, [self.sales_written])


def core(settings: Settings) -> Core:
    """As the settings have it, extensions included. Opens no connection yet.

    Raises:
        ConfigurationError: production without a proper secret; an extension cannot be loaded; no such detector.
    """
    extensions.load(settings.extensions_dir)
    registry.detector(settings.detector)  # a slip of the pen is told now
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    cache = Cache(redis_url, secret=settings.secret())
    listeners: list[OnWritten] = [lambda written: cache.invalidate(*(day_node(day) for day in written.days))]

    def sales_written(written: Written) -> None:
        for listener in listeners:  # those as well that come later
            listener(written)

    return Core(settings, database(settings), cache, listeners, sales_written)


def show_process(database: Database) -> None:
    """Let the metrics show this process's version and its connections to the database."""
    BUILD.labels(__version__, platform.python_version()).set(1)
    for pool in database.connections():
        for place, state in enumerate(("in_use", "idle")):
            DB_CONNECTIONS.labels(pool, state).set_function(functools.partial(_connections, database, pool, place))


def _connections(database: Database, pool: str, place: int) -> float:
    return database.connections()[pool][place]


def _settle(settings: Settings, where: Database) -> str:
    """Settle what administrators have decided on for the first sale to come; ''."""
    with where.transaction() as session:
        DatabaseSettings(settings).settle_currency(session)
    return ""


def prepare_database(settings: Settings, where: Database) -> str:
    """'' once an embedded database is brought to this version, a production one is at it, and its sales were stored by these settings.

    Otherwise what is wrong, and what to do.
    """
    try:
        if not settings.production:
            migrate.upgrade(where)
        found = migrate.current(where)
        if found == migrate.head():
            return installation.settle(where, settings.time_zone, settings.currency) or _settle(settings, where)
    except DBAPIError as error:
        reason = str(error.orig or error).strip().splitlines()[0]
        return f"The database at {where.where} does not answer ({reason}). Check NEBULOVIZ_DATABASE_URL and the server."
    return (
        f"The database at {where.where} is at revision {found or 'none'}, this version needs {migrate.head()}. "
        "Run: python -m nebuloviz migrate"
    )
