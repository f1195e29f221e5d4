"""One ingesting process for the fault tests: the program's own consumer, source and sink, with small batches and short timeouts.

`python -m tests.faults.worker DATABASE_URL KAFKA TOPIC GROUP [mutant] [patient]`; ends on SIGTERM.
`patient`: the group takes it for dead as late as the program's own.
"""

import logging
import signal
import sys
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from nebuloviz.db import Database
from nebuloviz.ingest import kafka_source, writer
from nebuloviz.ingest.batch import Batch, Written
from nebuloviz.ingest.consumer import Consumer, ConsumerOptions
from nebuloviz.ingest.kafka_source import KafkaSource
from nebuloviz.ingest.sinks import DatabaseSink
from nebuloviz.ingest.tally import Tally

SESSION_TIMEOUT_MS = 1_500
BATCH = 100


class TwoTransactionSink(DatabaseSink):
    """The mutant: rollups follow in a second transaction. It survives most random kills, and must not survive the failpoints."""

    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        super().__init__(database, zone)
        self._held: list[Tally] = []
        self._add = writer._add_to_rollups
        setattr(writer, "_add_to_rollups", self._hold)  # noqa: B010 - mypy would not have it assigned

    def _hold(self, _connection: Connection, counted: Tally) -> None:
        self._held.append(counted)

    def write(self, batch: Batch) -> Written:
        written = super().write(batch)
        with self._database.transaction() as session:
            for counted in self._held:
                self._add(session.connection(), counted)
        self._held.clear()
        return written


def main(arguments: list[str]) -> None:
    url, kafka, topic, group, *how = arguments
    logging.basicConfig(level=logging.WARNING, format="%(process)d %(message)s")
    database = Database(url)
    kind: Any = TwoTransactionSink if "mutant" in how else DatabaseSink
    session_timeout_ms = kafka_source.SESSION_TIMEOUT_MS if "patient" in how else SESSION_TIMEOUT_MS
    source = KafkaSource(kafka, topic, group, BATCH, session_timeout_ms)
    consumer = Consumer(source, kind(database, ZoneInfo("UTC")), ConsumerOptions())
    signal.signal(signal.SIGTERM, lambda *_: consumer.stop())
    consumer.run()


if __name__ == "__main__":
    main(sys.argv[1:])
