"""The tree that cached answers hang on, and which of its generations an answer depends on.

A node is a path such as `("sales", "2026", "11", "22")`, the root is `()`. Each node has two generations:

- its *branch* generation changes when the node itself is invalidated, and all below depends on it;
- its *content* generation changes when the node or anything below it is invalidated, and what summarises it depends on it.

So invalidating a day writes a handful of keys (its branch, and the content of the day, its month, its year and up to the
root), whatever lies below; and an answer about October, which depends on October's content, never notices November's sales.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

Path = tuple[str, ...]

ROOT: Path = ()
SALES: Path = ("sales",)
# A longer range depends on its whole branch: listing decades day by day costs more than a few needless recomputations.
_MAX_YEARS = 30


def branch_generation(node: Path) -> str:
    return f"b:{_name(node)}"


def content_generation(node: Path) -> str:
    return f"c:{_name(node)}"


@lru_cache(maxsize=4096)
def generations_below(path: Path, depends: tuple[Path, ...]) -> tuple[str, ...]:
    """The generations that an answer filed below `path`, computed from the contents of `depends`, stands or falls with."""
    wanted = {branch_generation(node) for node in _lineage(path)}
    for node in depends:
        wanted.add(content_generation(node))
        wanted.update(branch_generation(ancestor) for ancestor in _lineage(node[:-1]) if node)
    return tuple(sorted(wanted))


def generations_changed(node: Path) -> tuple[str, ...]:
    """The generations that change when `node` is invalidated."""
    return (branch_generation(node), *(content_generation(ancestor) for ancestor in _lineage(node)))


@lru_cache(maxsize=4096)
def day_nodes(start: date, end: date, branch: Path = SALES) -> tuple[Path, ...]:
    """The fewest nodes (years, months, days) that cover the days from `start` up to, not including, `end`.

    Days are those of the installation's zone; for a range of moments pass the first day it touches and the day after the last.
    """
    if end.year - start.year > _MAX_YEARS:
        return (branch,)
    return tuple((*branch, *parts) for parts in _cover(start, end))


def day_node(day: date, branch: Path = SALES) -> Path:
    """The node of one day, to invalidate when its sales change."""
    return (*branch, f"{day.year:04}", f"{day.month:02}", f"{day.day:02}")


def _cover(start: date, end: date) -> Iterator[Path]:
    day = start
    while day < end:
        if (day.month, day.day) == (1, 1) and (after := _first_of(day.year + 1, 1)) <= end:
            yield (f"{day.year:04}",)
        elif day.day == 1 and (after := _first_of(day.year + day.month // 12, day.month % 12 + 1)) <= end:
            yield f"{day.year:04}", f"{day.month:02}"
        else:
            after = day + timedelta(days=1)
            yield day_node(day, ROOT)
        day = after


def _first_of(year: int, month: int) -> date:
    return date(year, month, 1) if year <= date.max.year else date.max


def _lineage(node: Path) -> list[Path]:
    """The root, every ancestor of `node`, and `node`."""
    return [node[:depth] for depth in range(len(node) + 1)]


def _name(node: Path) -> str:
    if any(not part or "/" in part for part in node):
        raise ValueError(f"A cache path's parts are non-empty and hold no slash: {node!r}.")
    return "/".join(node)
