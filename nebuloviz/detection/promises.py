"""How checks of contracts fail."""

from __future__ import annotations


def promise(kept: bool, words: str) -> None:  # noqa: FBT001 - the condition, as in `assert`
    """Raises AssertionError with the promise that was broken."""
    if not kept:
        raise AssertionError(f"A detector promises: {words}.")
