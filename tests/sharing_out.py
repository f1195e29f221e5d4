"""Which tests run in one process, and what begins: where pytest-xdist shares them out, as `./nv test` does.

Files stay whole. Those that share a running program stay together, so that it is started once and not in every process. What takes
longest begins, so that at the end no process works alone; and what mostly waits is spread among what computes, so that the cores are
never idle because all processes wait.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

#: The folders whose files share one running program ...
_TOGETHER = ("tests/e2e", "tests/web")
#: ... or one for each kind of database.
_BY_DATABASE = "tests/security"
_KIND = re.compile(r"[\[-](sqlite|postgresql)[\]-]")
#: What takes longest, in this order; the rest fills up.
_FIRST = (
    "tests/faults/test_scale.py", "tests/faults/test_watching.py", "tests/faults/test_kills.py", "tests/faults/test_outages.py",
    "tests/faults/test_shortage.py",
    "tests/ingest/test_sample_totals.py", "tests/deploy/test_image.py", "tests/e2e", "tests/web/test_", "tests/security",
    "tests/faults", "tests/deploy/test_observed.py", "tests/ingest", "tests/services", "tests/api", "tests/test_",
)  # fmt: skip
#: What mostly waits, for servers and processes that are killed and come back.
_WAITING = "tests/faults/"


class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc]  # as xdist is untyped
    """Shares out files and `group_of` what shares more than a file."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling | None:
    return TogetherScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    together = defaultdict(list)
    for item in sorted(items, key=lambda item: _turn(item.nodeid)):
        together[group_of(item.nodeid)].append(item)
    items[:] = [item for group in spread(together) for item in together[group]]


def spread(groups: Iterable[str]) -> list[str]:
    """The groups in their order, but with two that compute between any two that wait, as long as there are such."""
    given = list(groups)
    waiting = [group for group in given if group.startswith(_WAITING)]
    order = [group for group in given if not group.startswith(_WAITING)]
    for number, group in enumerate(waiting):
        order.insert(3 * number, group)
    return order


def group_of(nodeid: str) -> str:
    """Name of what runs in one process with this test."""
    path = nodeid.split("::", maxsplit=1)[0]
    folder = str(PurePath(path).parent)
    if folder in _TOGETHER:
        return folder
    if folder == _BY_DATABASE and (kind := _KIND.search(nodeid)):
        return f"{folder} on {kind[1]}"
    return path


def _turn(nodeid: str) -> int:
    path = nodeid.split("::", maxsplit=1)[0]
    return next((number for number, beginning in enumerate(_FIRST) if path.startswith(beginning)), len(_FIRST))
