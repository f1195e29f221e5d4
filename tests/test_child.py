"""Processes of the program's own: what they tell, how they end, and that none outlives its parent."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest

from nebuloviz.child import Child, ChildLostError, Children, Parent
from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import Preferences, current, use
from nebuloviz.observability import log_context, log_names

PATIENCE_SECONDS = 60.0
PRIVATE = "no place for <anna@example.com> with password=hunter2"


def count(parent: Parent, up_to: int) -> None:
    for number in range(up_to):
        parent.tell(number)
    print("this is no message")  # noqa: T201 - what it must survive


def refuse(parent: Parent) -> None:
    parent.tell("read")
    raise InvalidInput("no such column")


def fail(_parent: Parent) -> None:
    raise ZeroDivisionError


def fail_everywhere(_parent: Parent) -> None:
    def work() -> None:
        raise ValueError(PRIVATE)

    thread = threading.Thread(target=work, name="a worker")
    thread.start()
    thread.join()
    warnings.warn(PRIVATE, stacklevel=1)
    raise ValueError(PRIVATE)


def die(_parent: Parent) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(parent: Parent) -> None:
    parent.tell(os.getpid())
    time.sleep(600)


def give_back(parent: Parent) -> None:
    stopped = threading.Event()
    parent.when_stopped(stopped.set)
    parent.when_sent(parent.tell)
    stopped.wait()


def wait_politely(parent: Parent) -> None:
    stopped: list[bool] = []
    parent.when_stopped(lambda: stopped.append(True))
    parent.tell("waiting")
    while not stopped:
        time.sleep(0.02)
    parent.tell("ended well")


def tell_names(parent: Parent) -> None:
    parent.tell((log_names(), current().language))


class TestMessages:
    def test_are_logged_for_the_request_that_began_the_task_and_speak_its_readers_language(self) -> None:
        with use(Preferences("ar")), log_context(request_id="r1", user_id="7"), Child(tell_names) as child:
            assert list(child.messages()) == [({"request_id": "r1", "user_id": "7"}, "ar")]

    def test_they_come_in_order_until_the_task_has_returned(self) -> None:
        with Child(count, 3) as child:
            assert list(child.messages()) == [0, 1, 2]

    def test_what_the_task_refuses_is_raised_here(self) -> None:
        with Child(refuse) as child:
            messages = child.messages()
            assert next(messages) == "read"
            with pytest.raises(InvalidInput, match="no such column"):
                next(messages)

    def test_they_go_to_the_task_as_well_of_any_size(self) -> None:
        with Child(give_back) as child:
            messages = child.messages()
            for sent in ("small", "large" * 100_000, "small again"):
                assert child.send(sent)
                assert next(messages) == sent

    def test_none_goes_to_a_process_that_is_lost(self) -> None:
        with Child(die) as child:
            with pytest.raises(ChildLostError):
                list(child.messages())
            assert not child.send("too late")

    @pytest.mark.parametrize("task", [fail, die])
    def test_a_process_that_dies_is_noticed(self, task: object) -> None:
        with Child(task) as child, pytest.raises(ChildLostError):  # type: ignore[arg-type]  # one of the functions above
            list(child.messages())

    def test_what_nobody_caught_in_it_is_a_line_of_the_log_like_any_other(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with log_context(request_id="r1", user_id="7"), Child(fail_everywhere) as child, pytest.raises(ChildLostError):
            list(child.messages())
        said = capfd.readouterr().err
        of_thread, warning, of_task = (json.loads(line) for line in said.splitlines())
        assert [each["level"] for each in (of_thread, warning, of_task)] == ["CRITICAL", "WARNING", "CRITICAL"]
        assert (of_thread["message"], of_task["message"]) == tuple(
            f"{name} ends: nobody foresaw this" for name in ("a worker", "MainThread")
        )
        assert all("ValueError: no place for <***@example.com>" in each["exception"] for each in (of_thread, of_task))
        assert "UserWarning: no place for" in warning["message"]
        assert (of_task["request_id"], of_task["user_id"]) == ("r1", "7")
        assert "anna" not in said
        assert "hunter2" not in said


class TestTheEnd:
    def test_a_task_told_to_stop_ends_in_its_own_way(self) -> None:
        with Child(wait_politely) as child:
            messages = child.messages()
            assert next(messages) == "waiting"
            child.stop()
            assert list(messages) == ["ended well"]

    def test_leaving_ends_a_task_that_knows_no_stopping(self) -> None:
        with Child(wait) as child:
            pid = next(child.messages())
            assert psutil.pid_exists(pid)
        assert not psutil.pid_exists(pid)

    def test_one_that_takes_nothing_in_is_ended_and_holds_nobody_up(self) -> None:
        with Child(give_back) as child:
            next_message = child.messages()
            assert child.send("awake")
            assert next(next_message) == "awake"
            os.kill(child.pid, signal.SIGSTOP)
            sent: list[bool] = []
            sender = threading.Thread(target=lambda: sent.append(child.send(b" " * 1_000_000)))
            sender.start()
            sender.join(0.2)
            assert sender.is_alive()
            child.stop()
            sender.join(PATIENCE_SECONDS)
            assert sent == [False]

    def test_the_program_s_end_ends_all(self) -> None:
        children = Children()
        with children.running(Child(wait)) as child:
            next(messages := child.messages())
            children.stop()
            with pytest.raises(ChildLostError):
                list(messages)
            assert not children.join(0)
        assert children.join(0)

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_it_does_not_outlive_its_parent(self, how: signal.Signals) -> None:
        program = (
            "import signal\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs are born without
            "from nebuloviz.child import Child\n"
            "from tests.test_child import wait\n"
            "messages = Child(wait).messages()\n"
            "print(next(messages), flush=True)\n"
            "next(messages)\n"
        )
        root = Path(__file__).resolve().parents[1]
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            parent.send_signal(how)
            parent.wait(PATIENCE_SECONDS)
        _await_end(pid)


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} has outlived its parent"
        time.sleep(0.05)
