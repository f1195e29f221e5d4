"""The program's processes, `python app.py` and `nebuloviz ingest`, for the benchmarks that use them as people do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from sqlalchemy import func, select

from benchmarks.sales import fill
from benchmarks.servers import DeployedPostgres
from nebuloviz import migrate
from nebuloviz.db import Database
from nebuloviz.models import IngestOffset, SaleRow
from tests.servers.base import free_port

PASSWORD = "a password for the benchmark"  # noqa: S105 - guards a database of made-up sales
SALES = 5_000_000
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def filled_program(database: str = "", **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A program with made-up sales: its process, its address, and the password of `admin`. Of `database` see `filled`."""
    with filled(database) as url, running(NEBULOVIZ_DATABASE_URL=url, **environment) as (process, address, _folder):
        yield process, address, PASSWORD


@contextmanager
def filled(url: str = "") -> Iterator[str]:
    """The URL of a database with made-up sales: on a server of its own, or `url`, which is filled where it is empty, and stays."""
    with ExitStack() as stack:
        if not url:
            server = DeployedPostgres.started()
            stack.callback(server.close)
            url = server.url
        database = Database(url)
        stack.callback(database.dispose)
        migrate.upgrade(database)
        with database.session() as session:
            empty = session.scalar(select(SaleRow.key).limit(1)) is None
        if empty:
            fill(database, SALES)
        yield url


@contextmanager
def running(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """`python app.py`, ended by its process id, with its address and data folder; yields once its first page has answered."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "NEBULOVIZ_PORT": str(port),
            "NEBULOVIZ_DATA_DIR": folder,
            "NEBULOVIZ_SECRET_KEY": "a key for the benchmark, of sufficient length",
            "NEBULOVIZ_ADMIN_PASSWORD": PASSWORD,
        }
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | settings | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _answers(address)
            yield process, address, Path(folder)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def ingesting(database_url: str, kafka_url: str, topic: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m nebuloviz ingest`, ended by its process id."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "NEBULOVIZ_DATABASE_URL": database_url,
            "NEBULOVIZ_KAFKA_BOOTSTRAP_SERVERS": kafka_url,
            "NEBULOVIZ_KAFKA_TOPIC": topic,
            "NEBULOVIZ_DATA_DIR": folder,
            "NEBULOVIZ_SECRET_KEY": "a key for the benchmark, of sufficient length",
        }
        command = [sys.executable, "-m", "nebuloviz", "ingest"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | settings | environment, stderr=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def stored(database: Database, topic: str) -> int:
    """How many records of a topic are stored."""
    with database.session() as session:
        return int(session.scalar(select(func.sum(IngestOffset.next_offset)).where(IngestOffset.topic == topic)) or 0)


def _answers(address: str) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/login", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{address} did not answer")
