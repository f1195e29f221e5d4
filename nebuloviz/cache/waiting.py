"""Waiting without holding up others: in a thread by blocking it, inside `AsyncSession.run_sync` by yielding to the event loop.

Services are synchronous code that the API runs on its event loop. Were one such call to block on another's computation, the
loop could never finish that computation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy.util.concurrency import await_, in_greenlet

T = TypeVar("T")


def may_wait() -> bool:
    """False in a coroutine that calls us directly: there is no way to wait without stopping its event loop."""
    return in_greenlet() or not _on_event_loop()


def wait_for(future: Future[T], seconds: float) -> T:
    """The result of `future`, or its exception.

    Raises:
        TimeoutError: it is not there within `seconds`.
    """
    if in_greenlet():
        return await_(asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds))
    return future.result(seconds)


def pause(seconds: float) -> None:
    if in_greenlet():
        await_(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


def off_loop(call: Callable[[], T]) -> T:
    """The result of `call`, which blocks for a moment: in another thread if this one has an event loop to keep going."""
    return await_(asyncio.to_thread(call)) if in_greenlet() else call()


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
