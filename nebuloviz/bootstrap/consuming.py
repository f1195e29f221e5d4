"""`nebuloviz ingest`: one consumer, and the watches beside it."""

from __future__ import annotations

import gc
import logging
import signal
import time

from nebuloviz.bootstrap.core import PREPARE_PAUSE_SECONDS, SHUTDOWN_SECONDS, core, prepare_database
from nebuloviz.bootstrap.watches import watch_process
from nebuloviz.cache import ROOT
from nebuloviz.errors import ConfigurationError
from nebuloviz.settings import Settings

_log = logging.getLogger(__name__)


def consume(settings: Settings) -> int:
    """Consume in the foreground until SIGTERM; returns the process's exit code.

    Raises:
        ConfigurationError: no Kafka is configured.
    """
    if not settings.kafka_bootstrap_servers:
        raise ConfigurationError("There is nothing to ingest from: set NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS to host:port.")
    these = core(settings)
    consumer = these.consumer()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: consumer.stop())
    while (problem := prepare_database(settings, these.database)) and not consumer.stopping:
        _log.error("%s NebuloViz keeps trying.", problem)
        time.sleep(PREPARE_PAUSE_SECONDS)
    these.cache.invalidate(ROOT)
    watches = watch_process(settings)
    these.listeners.append(watches.on_written)
    watches.start()
    consumer.abandon_when_stalled()
    gc.freeze()  # what is loaded stays: the collector need not walk through it at every turn, nor at the end
    consumer.run()
    watches.stop()
    watches.join(SHUTDOWN_SECONDS)
    return 0
