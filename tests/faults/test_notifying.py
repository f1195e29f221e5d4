"""A process killed at every place between an alert and the message that tells of it: it is told once, or again with the same key."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from nebuloviz.bootstrap.parts import Parts, parts
from nebuloviz.ingest.failpoints import NOTIFICATION_FAILPOINTS, VARIABLE
from nebuloviz.models import Alert, AlertOutbox
from nebuloviz.services.delivery import CLAIMED
from nebuloviz.settings import load
from tests.faults.conftest import ROOT
from tests.receivers import Hooked, hook
from tests.services.newsroom import Newsroom


@pytest.fixture
def taken() -> Iterator[Hooked]:
    with hook() as opened:
        yield opened


@pytest.fixture
def program(_sqlite_template: Path, tmp_path: Path, taken: Hooked) -> Iterator[Parts]:
    """With somebody who wants to know."""
    shutil.copy(_sqlite_template, tmp_path / "nebuloviz.sqlite3")
    made = parts(load(data_dir=tmp_path, demo="off"))
    room = Newsroom(made)
    room.settings(webhook_private_hosts="127.0.0.1")
    room.channel(room.user("anna"), "webhook", target=taken.url)
    yield made
    made.database.dispose()


def notifier(folder: Path, minutes_ahead: int, task: str, failpoint: str = "") -> int:
    command = [sys.executable, "-m", "tests.faults.notifier", str(folder), str(minutes_ahead), task]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {VARIABLE: failpoint}, check=False, timeout=120
    ).returncode


@pytest.mark.parametrize("failpoint", NOTIFICATION_FAILPOINTS)
def test_sigkill(program: Parts, taken: Hooked, tmp_path: Path, failpoint: str) -> None:
    assert notifier(tmp_path, 0, "raise", failpoint) == -signal.SIGKILL
    with program.database.session() as session:
        raised = session.scalar(select(func.count()).select_from(Alert)) or 0
    assert raised == (
        failpoint not in {"before_outbox", "after_outbox"}
    )  # the alert and its news are there together, or neither
    later = CLAIMED // timedelta(minutes=1) + 2
    assert notifier(tmp_path, later, "tell" if raised else "raise") == 0
    assert len(set(taken.keys)) == 1
    assert len(taken.keys) == (2 if failpoint == "after_send" else 1)
    with program.database.session() as session:
        assert session.scalar(select(func.count()).select_from(AlertOutbox)) == 0
