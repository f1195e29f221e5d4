"""Makes the sets of customers that questions ask for, behind the scenes: readers wait for facts once, and never for a write."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError

from nebuloviz.db import Database
from nebuloviz.metrics.customer_sets import DAYS_AT_ONCE, Missing, build

_PAUSE_SECONDS = 60.0  # those of the present day are old after each arrival: not worth making again at once

_log = logging.getLogger(__name__)


class CustomerSetBuilder:
    """Builds the daily sets of customers that were found missing or old, in one thread of its own, each at most once a minute."""

    def __init__(self, database: Database, zone: ZoneInfo, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._zone = zone
        self._clock = clock
        self._asked_at: dict[Missing, float] = {}
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="customer-sets")

    def want(self, missing: Iterable[Missing]) -> None:
        """Have these sets made, soon. Returns at once."""
        due: dict[str, list[date]] = {}
        with self._lock:
            now = self._clock()
            for column, day in sorted(missing):
                if now - self._asked_at.get((column, day), -_PAUSE_SECONDS) >= _PAUSE_SECONDS:
                    self._asked_at[column, day] = now
                    due.setdefault(column, []).append(day)
        for column, days in due.items():
            for first in range(0, len(days), DAYS_AT_ONCE):
                self._executor.submit(self._build, column, days[first : first + DAYS_AT_ONCE])

    def close(self) -> None:
        """Finish the set under way, drop the others."""
        self._executor.shutdown(cancel_futures=True)

    def _build(self, column: str, days: list[date]) -> None:
        try:
            with self._database.transaction() as session:
                build(session, column, days, self._zone)
        except DBAPIError:  # they are only missing still: facts answer meanwhile, and the next question asks again
            _log.warning("Sets of customers could not be made", exc_info=True)
