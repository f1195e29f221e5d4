"""Which tests run in one process, and what begins: where pytest-xdist shares them out, as `./nv test` does.

Files stay whole. Those that share a running program stay together, so that it is started once and not in every process. What takes
longest begins, so that at the end no process works alone.
"""

import re
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
    "tests/faults/test_scale.py", "tests/ingest/test_sample_totals.py", "tests/deploy", "tests/security", "tests/e2e", "tests/faults",
    "tests/web", "tests/ingest", "tests/services", "tests/api", "tests/test_",
)  # fmt: skip


class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc]  # as xdist is untyped
    """Shares out files and `group_of` what shares more than a file."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling | None:
    return TogetherScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.nodeid))


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
