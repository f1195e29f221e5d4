"""Records as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson


def json_bytes(value: object, default: Callable[[Any], Any] | None = None, option: int | None = None) -> bytes:
    """`orjson.dumps`, in no more memory than the text is long.

    orjson writes into a buffer of some kilobytes and shrinks it in place, so that thousands of its results kept at once hold
    twenty times their length; a copy lets go of the buffer, and is faster, as the same buffer is taken for the next.
    """
    return bytes(memoryview(orjson.dumps(value, default=default, option=option)))
