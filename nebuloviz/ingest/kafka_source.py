"""Sales from Kafka, by kafka-python, held with long tongs.

After `poll` has raised, the library's consumer may spin for ever: it is thrown away and built anew. Deserializers are not used
(one bad record would take its neighbours along), nor automatic commits and resets: the position is the database's. Rebalance
listeners run on the library's own thread, so they only pause the new partitions; the consumer's thread places them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from nebuloviz.ingest.sale import MAX_RECORD_BYTES, Record
from nebuloviz.ingest.sources import OutOfRange, Partition, Source, SourceFailed, Undecodable

_log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS = 10_000
ADVISORY_TIMEOUT_MS = 1_000
CLOSE_TIMEOUT_MS = 2_000
SESSION_TIMEOUT_MS = 6_000  # a killed member keeps its partitions for so long
METADATA_MAX_AGE_MS = 3_000  # a topic or partition made later is noticed within so long
_UNREADABLE = (kafka_errors.CorruptRecordError, kafka_errors.UnsupportedCodecError)


class KafkaSource(Source):
    """One member of a consumer group that shares a topic. Opens its connections at the first poll."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        group: str,
        limit: int = 5000,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
    ) -> None:
        self._servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
        self._topic = topic
        self._group = group
        self._limit = limit
        self._session_timeout_ms = session_timeout_ms
        self._consumer: Any = None
        self._assignment = _Assignment()
        self._active: set[Partition] = set()
        self._probing: list[
            Partition
        ] = []  # while it is unclear which partition cannot be read, they are polled one by one
        self._assigned: frozenset[Partition] = frozenset()
        self._lag: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}

    def waiting(self) -> Collection[Partition]:
        return self._assignment.waiting()

    def assigned(self) -> Collection[Partition]:
        return self._assigned

    def beginning(self, partition: Partition) -> int:
        return self._offsets(partition)[0]

    def _offsets(self, partition: Partition) -> tuple[int, int]:
        name = TopicPartition(*partition)
        try:
            beginning = self._consumer.beginning_offsets([name], timeout_ms=REQUEST_TIMEOUT_MS)[name]
            end = self._consumer.end_offsets([name], timeout_ms=REQUEST_TIMEOUT_MS)[name]
        except Exception as error:
            raise self._broken(error) from error
        return int(beginning), int(end)

    def seek(self, partition: Partition, offset: int) -> None:
        name = TopicPartition(*partition)
        if self._consumer is None or name not in self._consumer.assignment():
            return
        # First of all: a rebalance from here on, on the library's thread, makes the partition wait again
        self._assignment.placed(partition)
        self._next[partition] = offset
        self._active.add(partition)
        self._consumer.seek(name, offset)
        self._consumer.resume(name)

    def pause(self, partition: Partition) -> None:
        self._active.discard(partition)
        self._probing = []
        name = TopicPartition(*partition)
        if self._consumer is not None and name in self._consumer.assignment():
            self._consumer.pause(name)

    def poll(self, timeout_seconds: float) -> Mapping[Partition, list[Record]]:
        try:
            if self._consumer is None:
                self._consumer = self._build()
            polled_alone = self._poll_alone()
            timeout_ms = min(int(timeout_seconds * 1000), 500)
            polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=self._limit)
        except kafka_errors.OffsetOutOfRangeError as error:
            raise self._out_of_range(error) from error
        except _UNREADABLE as error:
            raise self._undecodable(error) from error
        except kafka_errors.KafkaError as error:
            raise self._broken(error) from error
        except Exception as error:  # what a broken batch makes of the library's decoder
            raise self._undecodable(error) from error
        if polled_alone:
            self._probing = self._probing[1:]
        delivered = {
            Partition(name.topic, name.partition): [
                Record(record.topic, record.partition, record.offset, record.value) for record in records
            ]
            for name, records in polled.items()
            if Partition(name.topic, name.partition) in self._active
        }
        self._note_lag(delivered)
        return delivered

    def lag(self) -> Mapping[Partition, int]:
        return self._lag

    def commit(self, positions: Mapping[Partition, int]) -> None:
        if self._consumer is None:
            return
        mine = self._consumer.assignment()
        offsets = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
            if TopicPartition(*partition) in mine
        }
        try:
            if offsets:
                self._consumer.commit(offsets, timeout_ms=ADVISORY_TIMEOUT_MS)
        except kafka_errors.KafkaError as error:  # the database has the truth; this only informs Kafka's own tools
            _log.debug("Kafka did not take the advisory offsets: %s", error)

    def close(self) -> None:
        self._discard()

    # ---------------------------------------------------------------- the library's consumer

    def _build(self) -> Any:
        self._assignment = _Assignment()
        self._active.clear()
        consumer = KafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            client_id="nebuloviz",
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            max_poll_records=self._limit,
            max_partition_fetch_bytes=4 * MAX_RECORD_BYTES,
            fetch_max_bytes=16 * MAX_RECORD_BYTES,
            fetch_max_wait_ms=200,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 4,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            bootstrap_timeout_ms=5_000,
            reconnect_backoff_max_ms=2_000,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            metrics_enabled=False,
        )
        self._assignment.consumer = consumer
        consumer.subscribe([self._topic], listener=self._assignment)
        _log.info("Reading topic %s of %s as group %s", self._topic, ",".join(self._servers), self._group)
        return consumer

    def _discard(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._assignment = _Assignment()
        self._active.clear()
        if consumer is None:
            return
        # In a thread: what has failed once may also hang when it is asked to leave
        closing = threading.Thread(target=_close_quietly, args=(consumer,), name="nebuloviz-kafka-close", daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT_MS / 1000 + 0.5)

    def _note_lag(self, delivered: Mapping[Partition, list[Record]]) -> None:
        self._next.update((partition, records[-1].offset + 1) for partition, records in delivered.items())
        assignment = {Partition(name.topic, name.partition): name for name in self._consumer.assignment()}
        lag = {}
        for partition, name in assignment.items():
            end = self._consumer.highwater(name)
            if end is not None and partition in self._active:
                lag[partition] = max(int(end) - self._next[partition], 0)
        self._lag, self._assigned = lag, frozenset(assignment)  # replaced whole: another thread may be reading

    # ---------------------------------------------------------------- failures

    def _broken(self, error: Exception) -> SourceFailed:
        self._discard()
        servers = ",".join(self._servers)
        return SourceFailed(
            f"Kafka at {servers} cannot be read ({type(error).__name__}: {error}). Check NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS"
            " and that the broker runs; it will be tried again."
        )

    def _out_of_range(self, error: Exception) -> SourceFailed:
        """Which partition, and what there is instead."""
        positions = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        for name, position in positions.items():
            offset: Any = getattr(position, "offset", position)
            partition = Partition(name.topic, name.partition)
            beginning, end = self._offsets(partition)
            self._discard()
            return OutOfRange(partition, int(offset), beginning, end)
        return self._broken(error)

    def _undecodable(self, error: Exception) -> SourceFailed:
        candidates = self._probing[:1] or sorted(self._active)
        self._discard()
        if len(candidates) == 1:
            return Undecodable(candidates[0], f"{type(error).__name__}: {error}")
        self._probing = candidates * 3
        return SourceFailed(f"A partition of {self._topic} cannot be decoded: {type(error).__name__}: {error}")

    def _poll_alone(self) -> bool:
        """While probing: let only the next suspect deliver. Returns whether that is so."""
        if not self._probing or self._assignment.waiting() or not self._active:
            return False
        for partition in self._active:
            name = TopicPartition(*partition)
            if name in self._consumer.assignment():
                (self._consumer.resume if partition == self._probing[0] else self._consumer.pause)(name)
        return True


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # the library is untyped
    """Notes which partitions came and went. Its methods are called on the library's thread."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self._lock = threading.Lock()
        self._waiting: set[Partition] = set()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        # Called as the group forms anew. Where that is because the leader has seen other partitions, the library counts it as
        # done once it has shared them out; a poll that ends before the group has agreed would leave this member outside, silent
        # for ever. Asked to join, it goes on until it has.
        self.consumer._coordinator.request_rejoin()  # noqa: SLF001 - there is no other way to ask
        with self._lock:
            self._waiting -= {Partition(*name) for name in revoked}

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        for name in assigned:
            # A position of any kind keeps the library from looking for one itself; paused, it is not used
            self.consumer.pause(name)
            self.consumer.seek(name, 0)
        with self._lock:
            self._waiting |= {Partition(*name) for name in assigned}

    def waiting(self) -> list[Partition]:
        with self._lock:
            return sorted(self._waiting)

    def placed(self, partition: Partition) -> None:
        with self._lock:
            self._waiting.discard(partition)


def _close_quietly(consumer: Any) -> None:
    try:
        consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_MS)
    except Exception as error:  # noqa: BLE001 - it is gone either way
        _log.debug("The Kafka consumer did not close cleanly: %s", error)
