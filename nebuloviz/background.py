"""Threads that do one step again and again, survive whatever a step raises, and stop when asked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import InterfaceError, OperationalError

from nebuloviz.clock import utc_now
from nebuloviz.observability import log_context

MAX_PAUSE_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Repeater:
    """Calls `step` in a thread of its own: again at once while it returns true, else after `pause_seconds`.

    A step that raises is logged and tried again after a pause that doubles each time, up to `MAX_PAUSE_SECONDS`. All lines of
    one step, that of its failure included, are logged for one `request_id`: its name and when it began.
    """

    def __init__(self, name: str, step: Callable[[], bool], pause_seconds: float) -> None:
        self.name = name
        self.failures = 0  # in a row, up to now
        self._step = step
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the step under way; `join` waits for that."""
        self._stopping.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end; whether it has."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with log_context(request_id=f"{self.name.replace(' ', '-')}@{utc_now():%Y-%m-%dT%H:%M:%S.%fZ}"):
                again = self._try()
            if not again:
                pause = self._pause_seconds * 2**self.failures if self.failures else self._pause_seconds
                self._stopping.wait(min(pause, MAX_PAUSE_SECONDS))

    def _try(self) -> bool:
        try:
            again = self._step()
        except (OperationalError, InterfaceError) as error:  # the database is away, which passes: no news of the code
            self.failures += 1
            _log.warning("%s waits for the database: %s", self.name, type(error).__name__)
        except Exception:  # noqa: BLE001 - a step may raise anything, and the next one must still come
            self.failures += 1
            _log.exception("%s failed; it tries again", self.name)
        else:
            self.failures = 0
            return again
        return False
