"""The real program, as a user starts it: a process of its own, and browsers and programs that speak to it over HTTP."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyotp

from nebuloviz.bootstrap.storage import database
from nebuloviz.permissions import ROLES
from nebuloviz.services.auth import DatabaseAuth
from nebuloviz.settings import load
from tests.servers.base import TRUSTED

ROOT = Path(__file__).parents[1]
PASSWORD = "correct horse battery"
_STEP_SECONDS, _SPARE_SECONDS = 30, 12  # of a code; for what there is to do before it is given
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def environment_of(data_dir: Path, **settings: str) -> dict[str, str]:
    """For a program that shows no sample, watches nothing and trusts one proxy, so that each client has an address of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEBULOVIZ_")}
    usual = {"demo": "off", "admin_password": PASSWORD, "port": "0", "trusted_proxies": "1", "requests_per_minute": "0"}
    usual["watch"] = "off"  # it takes seconds of a processor to load, and has tests of its own
    given = {"data_dir": str(data_dir)} | usual | settings
    return kept | {f"NEBULOVIZ_{name.upper()}": value for name, value in given.items()}


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
    """The running program; `log` is what it says."""

    url: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path
    _clients: dict[str, httpx.Client] = field(default_factory=dict)
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(1, 60_000)))

    def address(self) -> str:
        number = next(self._addresses)
        return f"198.18.{number // 256}.{number % 256}"

    def client(self, **headers: str) -> httpx.Client:
        """A browser that nobody has used yet."""
        own = {"X-Forwarded-For": self.address()}
        return httpx.Client(base_url=self.url, timeout=60, verify=TRUSTED, headers=own | headers)

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

    def add_user(self, name: str, role: str = "viewer", rounds: int = 4) -> int:
        """A user who may sign in with `PASSWORD`, hashed in the cheapest way; their id."""
        given = {name[10:].lower(): value for name, value in self.environment.items() if name.startswith("NEBULOVIZ_")}
        settings = load(**given)
        where = database(settings)
        with where.transaction() as session:
            user_id = DatabaseAuth(settings, rounds=rounds).create_user(session, name, PASSWORD, role).id
        where.dispose()
        return user_id

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def app_code(secret: str, steps: int = 0) -> str:
    """What an app shows for a second factor in this half minute, or so many later.

    One of the half minute before is good until this one ends: if that is near, it is waited for.
    """
    left = _STEP_SECONDS - time.time() % _STEP_SECONDS
    if steps < 0 and left < _SPARE_SECONDS:
        time.sleep(left + 0.1)
    return pyotp.TOTP(secret).generate_otp(int(time.time()) // _STEP_SECONDS + steps)


def csrf_token(page: httpx.Response) -> str:
    found = _CSRF.search(page.text)
    assert found, page.text
    return found[1]


@contextmanager
def started(environment: dict[str, str]) -> Iterator[Program]:
    """The program, serving between `with` and its end. What failed in it while it did fails whoever started it."""
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
        running = Program(_address(process, log), environment, process, log)
        yield running
        running.close()
        assert "a request failed" not in log.read_text(), "something failed in the program; see its log"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def add_users(program: Program) -> None:
    """A user of each role, named like it; there is an admin already."""
    for role in ROLES:
        if role != "admin":
            program.add_user(role, role)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'ready: (http[^\s"]+)', log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the program is not ready:\n{log.read_text()}")
