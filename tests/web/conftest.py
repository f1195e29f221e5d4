"""The real program, as a user starts it, with one user of each role; and what it declares of itself."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from nebuloviz.permissions import ROLES

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')

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


def run(arguments: list[str], environment: dict[str, str], given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        input=given,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Program:
    """The running program. It trusts one proxy, so that each client here can come from an address of its own."""

    url: str
    environment: dict[str, str]
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 60_000)))

    def address(self) -> str:
        number = next(self._addresses)
        return f"198.18.{number // 256}.{number % 256}"

    def client(self, **headers: str) -> httpx.Client:
        """A browser that nobody has used yet."""
        return httpx.Client(base_url=self.url, timeout=60, headers={"X-Forwarded-For": self.address()} | headers)

    def signed_in(self, role: str, password: str = PASSWORD) -> httpx.Client:
        """A new browser, signed in as the user named like `role`."""
        client = self.client()
        answer = self.sign_in(client, role, password)
        assert answer.status_code == 303, answer.text
        return client

    def as_(self, role: str) -> httpx.Client:
        """A browser signed in as `role` that all tests share."""
        if role not in self._clients:
            self._clients[role] = self.signed_in(role)
        return self._clients[role]

    def sign_in(self, client: httpx.Client, username: str, password: str, target: str = "") -> httpx.Response:
        address = f"/login?next={target}" if target else "/login"
        return client.post(
            address, data={"username": username, "password": password, "csrf_token": csrf_token(client.get("/login"))}
        )

    def add_user(self, name: str, role: str = "viewer") -> None:
        run(["-m", "nebuloviz", "user", "add", name, "--role", role], self.environment, PASSWORD + "\n")

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def csrf_token(page: httpx.Response) -> str:
    found = _CSRF.search(page.text)
    assert found, page.text
    return found[1]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEBULOVIZ_")}
    return kept | {
        "NEBULOVIZ_DATA_DIR": str(tmp_path_factory.mktemp("guarded")),
        "NEBULOVIZ_DEMO": "off",
        "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        "NEBULOVIZ_PORT": "0",
        "NEBULOVIZ_TRUSTED_PROXIES": "1",
        "NEBULOVIZ_REQUESTS_PER_MINUTE": "0",
        "NEBULOVIZ_MAX_UPLOAD_MB": "1",
    }


@pytest.fixture(scope="session")
def program(environment: dict[str, str]) -> Iterator[Program]:
    log = Path(environment["NEBULOVIZ_DATA_DIR"]) / "program.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "nebuloviz", "serve"],
            env=environment,
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        running = Program(_address(process, log), environment)
        for role in ROLES:
            if role != "admin":
                running.add_user(role, role)
        yield running
        running.close()
        assert "a request failed" not in log.read_text(), "something failed in the program; see its log"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"ready: (http\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the program is not ready:\n{log.read_text()}")


@pytest.fixture(scope="session")
def declared(program: Program) -> dict[str, str]:
    """Output of each callback -> the permission that it declares ('router' for Dash's own)."""
    found: dict[str, str] = json.loads(run(["-c", _DECLARED], program.environment).splitlines()[-1])
    return found


@pytest.fixture(scope="session")
def callbacks(program: Program) -> dict[str, Any]:
    """Output -> what Dash tells the browser of the callback; those that run in the browser are left out."""
    found = program.as_("admin").get("/_dash-dependencies").json()
    return {entry["output"]: entry for entry in found if not entry["clientside_function"]}
