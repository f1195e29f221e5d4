"""One look-up for all who ask for the same at the same time, and none that is older than the question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from nebuloviz.errors import NebuloVizError

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Looks up one at a time of each key. Whoever asks meanwhile gets the next answer, and shares it with all who do.

    So an answer was always looked up after it was asked for, and many requests at once do not cost as many look-ups.
    """

    def __init__(self) -> None:
        self._due: dict[str, asyncio.Task[_T]] = {}
        self._begun: dict[str, asyncio.Task[_T]] = {}

    async def ask(self, key: str, look_up: Callable[[], Awaitable[_T]]) -> _T:
        """What `look_up` returns, or raises, for this caller or another of the same key."""
        task = self._due.get(key)
        if task is None:
            task = self._due[key] = asyncio.create_task(self._in_turn(key, look_up))
            return await asyncio.shield(task)
        try:
            return await asyncio.shield(task)
        except NebuloVizError:
            return await look_up()  # what it says is in another caller's language

    async def _in_turn(self, key: str, look_up: Callable[[], Awaitable[_T]]) -> _T:
        if key in self._begun:
            await asyncio.wait([self._begun[key]])
        self._begun[key] = self._due.pop(key)
        try:
            return await look_up()
        finally:
            del self._begun[key]
