"""What all servers of the tests have in common: a port, a folder, and a process that is started, stopped and killed."""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, ClassVar, Self

import httpx
import psutil

HOST = "127.0.0.1"
#: Whom a client trusts: read once, as it takes longer than most requests.
TRUSTED = httpx.create_ssl_context()
#: Below the range that systems take outgoing ports from: a client that keeps knocking at a stopped server's port could
#: otherwise be given that very port and connect to itself. Each process of pytest-xdist has its own, so that none is given the
#: port of a server that another one has stopped and will start again.
PORTS = range(20_000, 30_000)[
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
]


class MissingServerError(Exception):
    """The machine lacks a program that a test needs; the message says which."""


def find_program(*names: str, folders: tuple[str, ...] = ()) -> Path:
    """Path of the first of these programs, in one of `folders` (glob patterns, highest version first), beside Python, or on PATH.

    Raises:
        MissingServerError: none is installed.
    """
    beside = sysconfig.get_path("scripts")  # where the test tools are, whether the environment is active or not
    places = [
        *_expanded(folders),
        beside,
        *(os.environ.get("PATH") or os.defpath).split(os.pathsep),
        "/usr/sbin",
        "/sbin",
    ]
    for name in names:
        if found := shutil.which(name, path=os.pathsep.join(places)):
            return Path(found)
    message = f"{' or '.join(names)} is not installed"
    raise MissingServerError(message)


def _expanded(patterns: tuple[str, ...]) -> list[str]:
    folders = [folder for pattern in patterns for folder in Path("/").glob(pattern.lstrip("/"))]
    return [str(folder) for folder in sorted(folders, key=lambda path: [(len(p), p) for p in path.parts], reverse=True)]


def find_chromium() -> Path:
    """The system's Chromium or Chrome; first the build of it that only ever runs without a window, in half the time."""
    return find_program(
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "Google Chrome",
        "Chromium",
        folders=("/Applications/*.app/Contents/MacOS",),
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that this function has not given away before."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _given_ports:
            _given_ports.add(port)
            return port


_given_ports: set[int] = set()


class Reaper:
    """Ends the registered servers and removes their folders when this process ends, however it ends (SIGKILL too)."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("reaper.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        atexit.register(self._close)

    def tell(self, verb: str, what: object) -> None:
        """`watch PID`, `forget PID` or `folder PATH`."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.write(f"{verb} {what}\n")
            self._process.stdin.flush()

    def _close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=30)


class Server(ABC):
    """One server process (and its children) with a port and a folder that stay the same over restarts."""

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 180
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    _reaper: ClassVar[Reaper | None] = None

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"nebuloviz-{self.name}-")).resolve()
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False  # to look for its children takes longer than to ask it whether it answers
        if Server._reaper is None:
            Server._reaper = Reaper()
        Server._reaper.tell("folder", self.folder)

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client connects to."""

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and empty data into `folder`; called once, before the first start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server, staying in the foreground."""

    @abstractmethod
    def check(self) -> None:
        """Return when the server answers, raise any exception as long as it does not."""

    def user(self) -> str | None:
        """The account to run under; None keeps ours."""
        return None

    def environment(self) -> Mapping[str, str]:
        return os.environ

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            message = f"{self.name} is not running"
            raise RuntimeError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @classmethod
    def started(cls) -> Self:
        """A new server, prepared and answering."""
        server = cls()
        server.prepare()
        server.start()
        return server

    def start(self) -> None:
        """Start on the same port and data as before, and wait until it answers; a paused server goes on."""
        if not self.running:
            with self.log.open("ab") as log:
                self._process = self.spawn(self.command(), log)
            assert Server._reaper
            Server._reaper.tell("watch", self.pid)
        elif self._paused:
            self.resume()
        self.wait_until_ready()

    def spawn(self, command: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
        user = self.user()
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )

    def run(self, *command: object) -> None:
        """Run a preparing command under the server's account, in its folder.

        Raises:
            RuntimeError: it failed; the message has its output.
        """
        with self.log.open("ab") as log:
            code = self.spawn([str(part) for part in command], log).wait(timeout=120)
        if code != 0:
            message = f"{command[0]} ended with {code}:\n{self.log_tail()}"
            raise RuntimeError(message)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while True:
            if not self.running:
                message = f"{self.name} ended at its start:\n{self.log_tail()}"
                raise RuntimeError(message)
            try:
                self.check()
            except Exception as error:
                if time.monotonic() > deadline:
                    message = f"{self.name} does not answer after {self.start_seconds} s ({error}):\n{self.log_tail()}"
                    raise RuntimeError(message) from error
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Shut down in an orderly way; clients are disconnected."""
        self.end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL the server and its children: no goodbye, nothing flushed."""
        if self._process is None:
            return
        if self.running:
            server = psutil.Process(self.pid)
            server.suspend()  # it must not react to its children's death, or have new ones
            for process in [*self._children(), server]:
                _quietly(process.kill)
        self._ended(timeout=60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP the server and its children: connections stay open, nothing answers."""
        self._paused = True
        for process in [psutil.Process(self.pid), *self._children()]:
            _quietly(process.suspend)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        for process in [*self._children(), psutil.Process(self.pid)]:
            _quietly(process.resume)
        self._paused = False

    def end(self, how: signal.Signals) -> None:
        """Send `how`, and wait until the process has gone."""
        if self._process is None:
            return
        if self.running:
            self.resume()
            self._process.send_signal(how)
        try:
            self._ended(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()

    def close(self) -> None:
        """End the server and remove its folder."""
        self.end(self.stop_signal)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-30:])

    def _children(self) -> list[psutil.Process]:
        children: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
        return children

    def _ended(self, timeout: float) -> None:
        assert self._process
        self._process.wait(timeout=timeout)
        assert Server._reaper
        Server._reaper.tell("forget", self.pid)
        self._process = None


def _quietly(act: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):  # it was faster than we
        act()
