"""Places where a test can make the program die, to prove that nothing is lost or counted twice there.

`NEBULOVIZ_FAILPOINT`, read once at start, is for tests only: the name of a place, after a colon how many times to pass it
first. There the process kills itself with SIGKILL, as a crash would; with `:stop` at the end it stops itself instead, and goes
on when it is told to (SIGCONT), as a machine does that slept. Without the variable `reach` does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

VARIABLE = "NEBULOVIZ_FAILPOINT"

#: In the order in which a batch passes them.
FAILPOINTS = ("before_tx", "after_offset", "after_keys", "after_facts", "after_rollup", "before_commit", "after_commit")

#: From an alert that is raised to the message that tells of it.
NOTIFICATION_FAILPOINTS = (
    "before_outbox", "after_outbox", "after_fan_out", "after_gather", "before_send", "after_send", "after_mark",
)  # fmt: skip


def _nowhere(_name: str) -> None:
    """The failpoint of a program that is not under test."""


def _killer(setting: str) -> Callable[[str], None]:
    name, *how = setting.split(":")
    left = int(how[0]) if how else 0
    fatal = signal.SIGSTOP if how[1:] == ["stop"] else signal.SIGKILL

    def die_at(reached: str) -> None:
        nonlocal left
        if reached != name:
            return
        if left == 0:
            os.kill(os.getpid(), fatal)
        left -= 1

    return die_at


reach: Callable[[str], None] = _killer(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else _nowhere
