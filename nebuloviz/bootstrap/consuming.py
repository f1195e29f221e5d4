"""`nebuloviz ingest`: one consumer, and the watches beside it."""

from __future__ import annotations

import logging
import signal
import time

from nebuloviz import process, tracing
from nebuloviz.bootstrap.core import (
    PREPARE_PAUSE_SECONDS,
    SHUTDOWN_SECONDS,
    Core,
    core,
    prepare_database,
    show_process,
)
from nebuloviz.bootstrap.watches import start_watching
from nebuloviz.cache import ROOT
from nebuloviz.endpoint import Endpoint
from nebuloviz.errors import ConfigurationError
from nebuloviz.ingest.consumer import Consumer
from nebuloviz.observability import Health, HealthChecks
from nebuloviz.settings import Settings

_log = logging.getLogger(__name__)


def consume(settings: Settings) -> int:
    """Consume in the foreground until SIGTERM; returns the process's exit code.

    Raises:
        ConfigurationError: no Kafka is configured, or the port of the metrics is taken.
    """
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError("There is nothing to ingest from: set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to host:port.")
    process.share_arenas()
    end_tracing = tracing.configure(settings, "ingest")
    these = core(settings)
    consumer = these.consumer()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: consumer.stop())
    health = HealthChecks()
    endpoint = None if settings.metrics_port is None else Endpoint(settings.host, settings.metrics_port, health)
    show_process(these.database)
    if endpoint is not None:
        endpoint.start()
    _prepare(these, consumer, health)
    watches = start_watching(settings, these.listeners)
    consumer.abandon_when_stalled()
    process.settle()
    consumer.run()
    if watches is not None:
        watches.stop()
        watches.join(SHUTDOWN_SECONDS)
    if endpoint is not None:
        endpoint.stop()
    end_tracing()
    return 0


def _prepare(these: Core, consumer: Consumer, health: HealthChecks) -> None:
    """Wait for a database that this version can use, unready meanwhile; then it is the consumer that says how it is."""
    health.register("database", lambda: Health(ok=False, detail="The process has just started."))
    while (problem := prepare_database(these.settings, these.database)) and not consumer.stopping:
        _log.error("%s NebuloViz keeps trying.", problem)
        unready = Health(ok=False, detail=problem)
        health.register("database", lambda unready=unready: unready)
        time.sleep(PREPARE_PAUSE_SECONDS)
    these.cache.invalidate(ROOT)
    health.register("database", these.database_health)
    health.register("cache", these.cache.health)
    health.register("ingest", consumer.health)
