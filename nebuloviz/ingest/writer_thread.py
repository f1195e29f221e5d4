"""The thread in which a consumer's batches are stored, so that the next one is read and parsed meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import AbstractContextManager
from queue import SimpleQueue

from nebuloviz.ingest.batch import Batch, Written
from nebuloviz.ingest.sinks import Sink
from nebuloviz.observability import COMMIT_SECONDS, log_context, timed
from nebuloviz.tracing import span


class WriterThread:
    """Stores one batch at a time. All methods are for the consumer's thread alone.

    The thread is a daemon: a database that hangs must not keep the process from ending.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._queue: SimpleQueue[tuple[Batch, Future[Written]] | None] = SimpleQueue()
        self._pending: Future[Written] | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="nebuloviz-writer", daemon=True).start()

    def stop(self) -> None:
        self._queue.put(None)

    @property
    def idle(self) -> bool:
        """Whether no batch is pending: none was submitted since the last `result` or `drain`."""
        return self._pending is None

    def submit(self, batch: Batch) -> None:
        """Hand over a batch. The one before must have been taken with `result` or `drain`."""
        self._pending = Future()
        self._queue.put((batch, self._pending))

    def result(self) -> Written | None:
        """Wait for the pending batch; None where there is none. Raises what `Sink.write` raised."""
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def drain(self) -> None:
        """Wait for the pending batch, and ignore whether it was stored."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.exception()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            batch, future = job
            try:
                with batch_log_context(batch), _traced(batch), timed(COMMIT_SECONDS):
                    written = self._sink.write(batch)
            except BaseException as error:  # noqa: BLE001 - travels to the consumer through the future
                future.set_exception(error)
            else:
                future.set_result(written)


def batch_log_context(batch: Batch | Written) -> AbstractContextManager[None]:
    """Give log lines the batch's name in place of a request id: topic, partition, and the offset after its last record."""
    return log_context(request_id=f"{batch.topic}/{batch.partition}@{batch.next_offset}")


def _traced(batch: Batch) -> AbstractContextManager[None]:
    return span(
        f"store {batch.topic}",
        messaging__destination__name=batch.topic,
        messaging__destination__partition__id=str(batch.partition),
        messaging__batch__message_count=len(batch.items),
    )
