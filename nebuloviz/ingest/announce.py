"""What happens once a batch is stored, whoever stored it: it is counted, and those who asked for it are called."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from nebuloviz.ingest.batch import Written
from nebuloviz.ingest.monitoring import observe

#: Called with each batch after its transaction has committed.
OnWritten = Callable[[Written], None]

_log = logging.getLogger(__name__)


def announce(written: Written, listeners: Sequence[OnWritten]) -> None:
    """Count a stored batch and call the listeners in order. What one raises is logged, and the others are called all the same."""
    observe(written)
    for listener in listeners:
        try:
            listener(written)
        except Exception:  # noqa: BLE001 - the batch is stored, whatever a listener makes of it
            _log.exception("A listener failed after a batch of %s/%s was stored", written.topic, written.partition)
