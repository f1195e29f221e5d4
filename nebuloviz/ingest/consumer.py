"""The loop that stores sales: source -> `parse` -> sink, as a thread in the app or in the foreground of `nebuloviz ingest`.

One batch is being stored while the next is read and parsed. After any failure the positions are read from the sink again and the
source is sent back to them: the database alone knows how far each partition is stored.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nebuloviz.clock import utc_now
from nebuloviz.errors import InvalidInput
from nebuloviz.ingest.announce import OnWritten, announce
from nebuloviz.ingest.batch import Batch, Item, Written
from nebuloviz.ingest.monitoring import ConsumerFigures
from nebuloviz.ingest.sale import Record, parse_record
from nebuloviz.ingest.sinks import Sink, StaleOffset
from nebuloviz.ingest.sources import OutOfRange, Partition, Source, Undecodable
from nebuloviz.ingest.writer_thread import WriterThread, batch_log_context
from nebuloviz.observability import Health

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
COMMIT_SECONDS_APART = 1.0
STALLED_SECONDS = 30.0
ABANDON_SECONDS = 120.0  # more than the longest statement and the longest call of the Kafka client together
STALLED_EXIT_CODE = 3
HALTED_CHECK_SECONDS = 3.0
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 1.0  # so long a server that is back may have to wait for its consumers
DECODE_ATTEMPTS = 3

_FEW_RECORDS = 500  # after a poll that gave no more, it is worth waiting until more have gathered
_BEYOND_ALL = 1 << 63  # larger than any offset: of a partition without a position, every record is skipped


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """`horizon`: how old a sale may be, None for any age. `dead_letter_limit`: so many rejections in a row halt a partition.

    `gather_seconds`: the least time between the starts of two polls while few records arrive, so that more of them share a batch.
    """

    horizon: timedelta | None = None
    dead_letter_limit: int = 100_000
    gather_seconds: float = 0.0


class Consumer:
    """Moves records from a source to a sink until it is stopped, or the source is exhausted.

    `on_written` are called in order after each stored batch, on the consumer's thread (see `announce`). Failures are retried,
    for ever or until nothing has been stored for `give_up_seconds`.
    `start`, `stop`, `join` and `health` may be called from any thread.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        options: ConsumerOptions | None = None,
        on_written: Sequence[OnWritten] = (),
        now: Callable[[], datetime] = utc_now,
        *,
        give_up_seconds: float | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options or ConsumerOptions()
        self._on_written = tuple(on_written)
        self._now = now
        self._give_up_seconds = give_up_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer = WriterThread(sink)
        self._figures = ConsumerFigures()
        self._next: dict[Partition, int] = {}  # offset after the last batch handed to the writer
        self._displaced: set[Partition] = set()  # assigned, but their positions must be read again
        self._stored: dict[Partition, int] = {}  # what may be committed to the source
        self._rejected_in_row: dict[Partition, int] = {}
        self._undecodable: dict[tuple[Partition, int], int] = {}
        self._halted: dict[Partition, str] = {}
        self._polled, self._polled_at = 0, time.monotonic()  # records of the last poll, and when it began
        self.exhausted = False  # whether it ended because nothing was left to do
        self._trouble = ""
        self._backoff = FIRST_BACKOFF_SECONDS
        self._beat = self._progress = self._committed_at = self._halted_checked = time.monotonic()

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="nebuloviz-consumer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the pending batch. Safe in a signal handler."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it has been asked to end."""
        return self._stop.is_set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait until it has ended; False if it has not within `timeout_seconds`."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            return not self._thread.is_alive()
        return True

    def run(self) -> None:
        """Consume in this thread."""
        self._writer.start()
        try:
            while not self._stop.is_set() and not self._all_done():
                self._beat = time.monotonic()
                self._guarded_step()
            self._finish_write()
            self._commit(at_once=True)
            self.exhausted = self._source.exhausted
        except Exception:
            _log.exception("The consumer ends")
            raise
        finally:
            self._writer.stop()
            self._source.close()

    def _all_done(self) -> bool:
        return self._source.exhausted and self._writer.idle and not self._displaced

    def _guarded_step(self) -> None:
        try:
            self._step()
        except OutOfRange as error:
            self._record_gap(error)
        except Undecodable as error:
            self._count_undecodable(error)
        except StaleOffset as error:
            _log.warning("Another process has taken over a partition: %s", error)
            self._forget_positions()
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is to go back and try again
            self._back_off(error)

    def _step(self) -> None:
        self._recheck_halted()
        waiting = {*self._source.waiting(), *self._displaced}
        if waiting:
            self._finish_write()  # its batch may move a position that is about to be read
        for partition in sorted(waiting):
            self._locate(partition)
            self._displaced.discard(partition)
        self._gather()
        self._polled_at = time.monotonic()
        polled = self._source.poll(POLL_SECONDS if self._writer.idle else 0.0)
        self._polled = sum(map(len, polled.values()))
        for partition, records in polled.items():
            # A source may repeat records from before its position, which must not move the position back
            fresh = [record for record in records if record.offset >= self._next.get(partition, _BEYOND_ALL)]
            if fresh:
                self._hand_over(partition, fresh)
        if not polled:
            self._finish_write()
        self._commit()
        self._figures.show(self._source.lag(), len(self._halted_here()))

    def _gather(self) -> None:
        """Let records gather after a poll of few: storing a batch of 20 takes half as long as storing one of 250."""
        if 0 < self._polled < _FEW_RECORDS and self._options.gather_seconds > 0:
            self._finish_write()
            self._stop.wait(max(0.0, self._polled_at + self._options.gather_seconds - time.monotonic()))

    # ---------------------------------------------------------------- positions

    def _locate(self, partition: Partition) -> None:
        """Seek the source to the position in the sink; a halted partition is paused there."""
        position = self._sink.position(*partition)
        if position is None:
            position = self._sink.begin(*partition, self._source.beginning(partition))
        self._next[partition] = position.next_offset
        self._source.seek(partition, position.next_offset)
        if position.halted_reason:
            self._halted[partition] = position.halted_reason
            self._source.pause(partition)
        else:
            self._halted.pop(partition, None)

    def _forget_positions(self) -> None:
        """After a failure: drop the pending batch; the next step reads every position from the sink again."""
        self._writer.drain()
        self._displaced.update(self._next)
        self._next.clear()
        self._stored.clear()

    def _recheck_halted(self) -> None:
        """Continue with halted partitions that an operator has resumed since."""
        if self._halted and time.monotonic() - self._halted_checked > HALTED_CHECK_SECONDS:
            self._halted_checked = time.monotonic()
            for partition in list(self._halted):
                position = self._sink.position(*partition)
                if position is not None and not position.halted_reason:
                    self._rejected_in_row.pop(partition, None)
                    self._locate(partition)

    # ---------------------------------------------------------------- a batch

    def _hand_over(self, partition: Partition, records: list[Record]) -> None:
        now, horizon = self._now(), self._options.horizon
        items = [Item(record, parse_record(record, now, horizon)) for record in records]
        self._finish_write()
        if partition in self._halted:
            return
        next_offset = records[-1].offset + 1
        self._writer.submit(Batch(*partition, self._next[partition], next_offset, items))
        self._next[partition] = next_offset

    def _finish_write(self) -> None:
        """Wait for the pending batch, if any, and announce it. Raises what storing it raised."""
        written = self._writer.result()
        if written is None:
            return
        self._progress = time.monotonic()
        self._backoff, self._trouble = FIRST_BACKOFF_SECONDS, ""
        partition = Partition(written.topic, written.partition)
        self._stored[partition] = written.next_offset
        self._figures.progress(partition)
        with batch_log_context(written):
            announce(written, self._on_written)
        self._limit_rejections(partition, written)

    def _limit_rejections(self, partition: Partition, written: Written) -> None:
        useful = written.rejected < len(written.outcomes)
        in_row = 0 if useful else self._rejected_in_row.get(partition, 0) + written.rejected
        self._rejected_in_row[partition] = in_row
        if in_row >= self._options.dead_letter_limit:
            self._halt(partition, f"{in_row:,} records in a row were rejected, with none accepted")

    def _commit(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._stored and (at_once or now - self._committed_at >= COMMIT_SECONDS_APART):
            self._committed_at = now
            self._source.commit(self._stored)
            self._stored.clear()

    # ---------------------------------------------------------------- trouble

    def _back_off(self, error: Exception) -> None:
        if isinstance(error, InvalidInput) or self._patience_is_over():
            raise error
        self._trouble = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        self._figures.failure()
        _log.warning("Ingest retries in %.1f s after a failure: %s", self._backoff, self._trouble)
        self._stop.wait(self._backoff * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the retries of many processes
        self._backoff = min(self._backoff * 2, LAST_BACKOFF_SECONDS)
        self._forget_positions()

    def _patience_is_over(self) -> bool:
        return self._give_up_seconds is not None and time.monotonic() - self._progress > self._give_up_seconds

    def _record_gap(self, error: OutOfRange) -> None:
        """Retention has removed records before they were read: record the gap, and continue after it."""
        self._writer.drain()
        if error.offset > error.end:
            reason = f"offset {error.offset:,} is stored, but the topic ends at {error.end:,}: was it deleted and created again?"
            self._halt(error.partition, reason)
            return
        _log.error("Records were lost before they could be read: %s", error)
        self._sink.skip(*error.partition, error.offset, error.beginning)
        self._forget_positions()

    def _count_undecodable(self, error: Undecodable) -> None:
        where = (error.partition, self._next.get(error.partition, -1))
        self._undecodable[where] = self._undecodable.get(where, 0) + 1
        _log.error("A record cannot be decoded (attempt %d): %s", self._undecodable[where], error)
        if self._undecodable[where] >= DECODE_ATTEMPTS:
            self._halt(error.partition, f"the records from offset {where[1]:,} on cannot be decoded: {error.detail}")
        else:
            self._back_off(error)

    def _halt(self, partition: Partition, reason: str) -> None:
        _log.error("Partition %s is halted: %s", partition, reason)
        self._sink.halt(*partition, reason)
        self._halted[partition] = reason
        self._source.pause(partition)

    def _halted_here(self) -> dict[Partition, str]:
        """Partition -> reason, of those that wait for an operator and are still assigned to this process."""
        assigned = self._source.assigned()
        return {partition: reason for partition, reason in dict(self._halted).items() if partition in assigned}

    # ---------------------------------------------------------------- health

    def health(self) -> Health:
        """Not ok when the loop hangs, nothing is stored although records wait, a server does not answer, or all partitions are halted.

        While only some are halted it is ok, and names them.
        """
        now = time.monotonic()
        if self._thread is not None and not self._thread.is_alive() and not self._stop.is_set():
            return Health(ok=False, detail="The consumer has ended. Restart the process; its log says why.")
        if now - self._beat > STALLED_SECONDS:
            return Health(
                ok=False, detail=f"The consumer has not answered for {now - self._beat:.0f} s. Restart the process."
            )
        if self._trouble and now - self._progress > STALLED_SECONDS / 2:
            return Health(ok=False, detail=f"Nothing can be stored: {self._trouble}")
        lag = sum(lag for partition, lag in self.lag().items() if partition not in self._halted)
        if lag and now - self._progress > STALLED_SECONDS:
            return Health(
                ok=False, detail=f"{lag:,} records wait and none was stored for {now - self._progress:.0f} s."
            )
        halted = self._halted_here()
        halted_words = "; ".join(f"partition {partition} is halted: {reason}" for partition, reason in halted.items())
        if halted and len(halted) == len(self._source.assigned()):
            return Health(
                ok=False, detail=f"All partitions wait for an operator to resume them (command resume): {halted_words}"
            )
        return Health(ok=True, detail=halted_words)

    def lag(self) -> Mapping[Partition, int]:
        """Partition -> records that wait, as far as known."""
        return self._source.lag()

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the loop last began a step: what a watchdog should look at."""
        return time.monotonic() - self._beat

    def abandon_when_stalled(self, seconds: float = ABANDON_SECONDS) -> None:
        """End the process with `STALLED_EXIT_CODE` once the loop has hung for `seconds`, so that its supervisor starts another.

        Only for a process that does nothing else. A thread that hangs inside a library cannot be ended; a process can.
        """
        watchdog = threading.Thread(target=self._watch, args=(seconds,), name="nebuloviz-watchdog", daemon=True)
        watchdog.start()

    def _watch(self, seconds: float) -> None:
        while not self._stop.wait(min(seconds / 4, 5.0)):
            if self.stalled_seconds > seconds:
                _log.critical("The consumer has not answered for %.0f s; the process ends", self.stalled_seconds)
                logging.shutdown()
                os._exit(STALLED_EXIT_CODE)
