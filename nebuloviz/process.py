"""What a process of the program asks of Python and of the C library: less time for the collector, short turns, little memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import sys
from typing import Any, cast

_THRESHOLDS = (50_000, 20, 50)
_M_ARENA_MAX = -8  # of malloc.h
_ARENAS = 2
_TURN_SECONDS = 0.001  # Python's own: 0.005


def begin() -> None:
    """Call it before modules are loaded: the collector looks for cycles less often than Python would.

    Modules stay, and sales come by the ten thousand and none refers to itself; but at Python's own pace the collector walked
    through each of them several times, for a fifth of the time that a start took, and a third of what storing sales did. And
    pandas keeps texts as Python does: Arrow's are for millions of them, and cost the small tables of a page a tenth of its time.
    """
    gc.set_threshold(*_THRESHOLDS)
    os.environ.setdefault("PANDAS_FUTURE_INFER_STRING", "0")


def spare_arrow() -> None:
    """Call it before modules are loaded: pandas would load pyarrow wherever that is installed, which takes 35 MB.

    Reading a file of that kind is asked for once in a while, and loads it then.
    """
    modules = cast("dict[str, Any]", sys.modules)
    if "pandas" not in modules and "pyarrow" not in modules:
        modules["pyarrow"] = None  # as if it were not there
        try:
            importlib.import_module("pandas")
        finally:
            del modules["pyarrow"]


def settle() -> None:
    """Call it once all modules are loaded: what is there stays, and the collector walks through it no more."""
    begin()  # for who did not come by the command line or app.py
    gc.freeze()


def share_arenas() -> None:
    """Glibc gives each thread memory of its own, which keeps all it ever needed: with many threads, 150 MB more. Others do not."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def take_short_turns() -> None:
    """Python computes in one thread at a time, which may go on for so long once another wants to; a small request wants to often."""
    sys.setswitchinterval(_TURN_SECONDS)


def bound_memory(most_bytes: int) -> None:
    """What asks for more than `most_bytes` fails in this process, and takes nothing from the rest of the machine."""
    try:
        import resource  # noqa: PLC0415 - Windows has no such thing
    except ImportError:
        return
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(hard, most_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
