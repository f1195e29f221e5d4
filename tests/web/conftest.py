"""The real program, with one user of each role; and what it declares of itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dash_requests import callbacks_of
from tests.program import Program, add_users, environment_of, run, started

#: Prints what every callback needs, by the registry of the dashboard itself.
_DECLARED = """
import json
from nebuloviz import settings
from nebuloviz.bootstrap.parts import parts
from nebuloviz.permissions import required_permission
from nebuloviz.web.app import create_dash
loaded = settings.load()
these = parts(loaded)
app = create_dash(services=these.services, database=these.database, settings=loaded)
print(json.dumps({
    name: str(required_permission(entry["callback"])) for name, entry in app.callback_map.items() if "callback" in entry
}))
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment_of(tmp_path_factory.mktemp("guarded"), max_upload_mb="1")


@pytest.fixture(scope="session")
def program(environment: dict[str, str]) -> Iterator[Program]:
    with started(environment) as running:
        add_users(running)
        yield running


@pytest.fixture(scope="session")
def declared(program: Program) -> dict[str, str]:
    """Output of each callback -> the permission that it declares ('router' for Dash's own)."""
    found: dict[str, str] = json.loads(run(["-c", _DECLARED], program.environment).splitlines()[-1])
    return found


@pytest.fixture(scope="session")
def callbacks(program: Program) -> dict[str, Any]:
    """Output -> what Dash tells the browser of the callback; those that run in the browser are left out."""
    return callbacks_of(program.as_("admin"))
