"""For processes that run for weeks: what they never use is not loaded."""

from __future__ import annotations

import sys


def without_pyarrow() -> None:
    """Let pandas find no pyarrow, which it loads wherever it is installed, and works as well without: some 50 MB.

    To be called before pandas is loaded. Files that need pyarrow are read by child processes, see `ingest.child`.
    """
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]  # how Python is told that a module is not there
