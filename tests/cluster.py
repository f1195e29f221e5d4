"""An installation that is scaled out: processes that serve behind a real nginx, and processes that ingest, as operators run them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.program import PASSWORD, ROOT, csrf_token
from tests.servers.base import HOST, TRUSTED, free_port
from tests.servers.nginx import NginxServer

START_SECONDS = 300.0
WATCHING = 3  # of all processes: those that serve, and then those that ingest
SECRET = "a secret that all processes of the cluster share"
_CHECKED = re.compile(r"^nebuloviz_detector_checked_timestamp_seconds (\S+)", re.MULTILINE)


@dataclass(eq=False)
class Member:
    """One process; `url` is where it answers itself, which nginx hides."""

    kind: str
    port: int
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, on the same port as before; `ready` waits for it."""
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nebuloviz", self.kind],
                env=self.environment,
                cwd=ROOT,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{self.kind} is not ready:\n{self.log.read_text()}"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, verify=TRUSTED).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def watches_series(self) -> bool:
        """Whether its own figures say that it has been elected."""
        found = _CHECKED.search(httpx.get(f"{self.url}/metrics", timeout=60, verify=TRUSTED).text)
        return found is not None and float(found[1]) > 0


@dataclass
class Cluster:
    """`serving` and `ingesting` are the processes; people come through `nginx`."""

    nginx: NginxServer
    serving: list[Member]
    ingesting: list[Member]

    @property
    def url(self) -> str:
        return self.nginx.url

    @property
    def members(self) -> list[Member]:
        return [*self.serving, *self.ingesting]

    def signed_in(self) -> httpx.Client:
        """A browser, signed in as `admin` through nginx."""
        client = httpx.Client(base_url=self.url, timeout=60)
        data = {"username": "admin", "password": PASSWORD, "csrf_token": csrf_token(client.get("/login"))}
        answer = client.post("/login", data=data)
        assert answer.status_code == 303, answer.text
        return client


@contextmanager
def scaled_out(
    folder: Path, database_url: str, redis_url: str, kafka_url: str, topic: str, *, serving: int = 2, ingesting: int = 3
) -> Iterator[Cluster]:
    """All of it ready, between `with` and its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEBULOVIZ_")}
    shared = {
        "data_dir": str(folder),
        "database_url": database_url,
        "redis_url": redis_url,
        "kafka_bootstrap_servers": kafka_url,
        "kafka_topic": topic,
        "kafka_group": f"group-{topic}",
        "secret_key": SECRET,
        "admin_password": PASSWORD,
        "ingest_in_app": "false",
        "access_token_minutes": "240",  # so that none ends before the test that was given it
        "trusted_proxies": "1",
    }
    members: list[Member] = []

    def member(kind: str, port_name: str) -> Member:
        port = free_port()
        watch = "auto" if len(members) < WATCHING else "off"
        settings = shared | {port_name: str(port), "watch": watch}
        given = kept | {f"NEBULOVIZ_{name.upper()}": value for name, value in settings.items()}
        members.append(Member(kind, port, given, folder / f"{kind}-{len(members)}.log"))
        return members[-1]

    try:
        apps = [member("serve", "port") for _ in range(serving)]
        consumers = [member("ingest", "metrics_port") for _ in range(ingesting)]
        for each in members:
            each.ready()
        with _proxy(apps) as nginx:
            yield Cluster(nginx, apps, consumers)
    finally:
        for each in members:
            each.process.terminate()
        for each in members:
            each.process.wait(60)


@contextmanager
def _proxy(apps: list[Member]) -> Iterator[NginxServer]:
    nginx = NginxServer([f"{HOST}:{app.port}" for app in apps])
    nginx.prepare()
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.close()
