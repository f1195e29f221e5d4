"""A process of the program's own for work that is heavy: loading history, reading files, watching sales.

What it needs is given back when it ends, the pages are not held up by it, and it uses another core. It cannot outlive its parent
by more than some seconds: it stops when the pipe that brought its task is closed, which happens however the parent ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, cast

from nebuloviz import process, settings
from nebuloviz.errors import NebuloVizError
from nebuloviz.i18n import current, set_current
from nebuloviz.observability import configure_logging, log_names, set_log_context

GRACE_SECONDS = 6.0  # for the batch under way, once the task is to stop
_DEAF_SECONDS = 1.0  # a child that takes nothing in for so long is past asking
_SIZE_BYTES = 8  # before each message to a child
#: A child takes one core, the pages keep theirs. Whoever wants it otherwise sets the variables.
_ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_MAIN = f"from {__name__} import main; main()"
_P = ParamSpec("_P")


class ChildLostError(Exception):
    """The process ended without a word: it was killed, or failed; its log says why."""


class Parent:
    """The process that started a task, as the task sees it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._telling = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._stopping = False
        self._take: Callable[[Any], None] | None = None
        self._untaken: list[Any] = []
        self._lock = threading.Lock()

    def tell(self, message: object) -> None:
        """Send something that can be pickled; from any thread."""
        with self._telling:
            pickle.dump(message, self._out)
            self._out.flush()

    def when_sent(self, take: Callable[[Any], None]) -> None:
        """Call `take`, which must not wait, with each message that the parent has sent or will send, in order."""
        with self._lock:
            for message in self._untaken:
                take(message)
            self._untaken.clear()
            self._take = take

    def when_stopped(self, stop: Callable[[], None]) -> None:
        """Call `stop` once the task is no longer wanted. Before this was called, the process would just end."""
        with self._lock:
            self._stop = stop
            stopping = self._stopping
        if stopping:
            stop()

    def watch(self, lifeline: BinaryIO) -> None:
        """Pass messages on until the task is no longer wanted, then see that it ends."""
        with contextlib.suppress(EOFError):
            while True:
                self._pass_on(_received(lifeline))
        with self._lock:
            self._stopping = True
            stop = self._stop
        if stop is not None:
            stop()
            time.sleep(GRACE_SECONDS)
        os._exit(1)

    def _pass_on(self, message: Any) -> None:
        with self._lock:
            (self._take or self._untaken.append)(message)


class Child:
    """Runs `task(parent, *arguments)` in a process of its own; the task is a module's function, its arguments can be pickled.

    Its log lines name the request and the user on whose behalf it was started, and what it says is in that user's language.

    A context manager: when it is left, the process has ended. `stop` may be called from any thread.
    """

    def __init__(self, task: Callable[Concatenate[Parent, _P], None], *arguments: _P.args, **named: _P.kwargs) -> None:
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
        environment = _ONE_CORE | os.environ | {"PYTHONPATH": path}
        command = [sys.executable, "-P", "-c", _MAIN]
        self._process = subprocess.Popen(  # noqa: S603 - nothing in it is from outside
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._lifeline = cast("BinaryIO", self._process.stdin)
        self._messages = cast("BinaryIO", self._process.stdout)
        self._sending = threading.Lock()
        self.send((task, arguments, named, log_names(), current()))

    @property
    def pid(self) -> int:
        return self._process.pid

    def messages(self) -> Iterator[Any]:
        """What the task tells, until it has returned.

        Raises:
            NebuloVizError: what the task itself raised of these.
            ChildLostError: the process ended otherwise.
        """
        while True:
            try:
                message = pickle.load(self._messages)  # noqa: S301 - from our own code in a process that we started
            except (EOFError, pickle.UnpicklingError):
                code = self._process.wait()
                raise ChildLostError(f"process {self.pid} ended with code {code} before its task did") from None
            if isinstance(message, _End):
                if message.error is not None:
                    raise message.error
                return
            yield message

    def send(self, message: object) -> bool:
        """Send the task something that can be pickled; waits while it takes nothing in. False where it is lost or told to stop."""
        body = pickle.dumps(message)
        try:
            with self._sending:
                self._lifeline.write(len(body).to_bytes(_SIZE_BYTES, "big") + body)
                self._lifeline.flush()
        except (OSError, ValueError):  # the pipe is broken, or closed
            return False
        return True

    def stop(self) -> None:
        """Tell the task to end after the step under way."""
        if not self._sending.acquire(timeout=_DEAF_SECONDS):
            self.kill()  # which lets go of whoever sends
            return
        try:
            with contextlib.suppress(OSError):
                self._lifeline.close()
        finally:
            self._sending.release()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._messages.close()
        try:
            self._process.wait(GRACE_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()


class Children:
    """The processes at work for one part of the program, which ends them when it ends."""

    def __init__(self) -> None:
        self._running: set[Child] = set()
        self._lock = threading.Lock()
        self.stopping = False

    @contextlib.contextmanager
    def running(self, child: Child) -> Iterator[Child]:
        """`child`, known here until it has ended."""
        with child:
            with self._lock:
                self._running.add(child)
            try:
                if self.stopping:
                    child.stop()
                yield child
            finally:
                with self._lock:
                    self._running.discard(child)

    def stop(self) -> None:
        """Tell all to end, those yet to come as well."""
        self.stopping = True
        with self._lock:
            for child in self._running:
                child.stop()

    def join(self, timeout_seconds: float) -> bool:
        """Wait until all have ended; those that have not are killed then, and it is False."""
        deadline = time.monotonic() + timeout_seconds
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._lock:
            for child in self._running:
                child.kill()
            return not self._running


class _End:
    """The last message of a task."""

    def __init__(self, error: NebuloVizError | None = None) -> None:
        self.error = error


def _received(lifeline: BinaryIO) -> Any:
    """The next message from the parent. Raises EOFError when there will be none."""
    size = int.from_bytes(_exactly(lifeline, _SIZE_BYTES), "big")
    return pickle.loads(_exactly(lifeline, size))  # noqa: S301 - from the process that started this one


def _exactly(lifeline: BinaryIO, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = lifeline.read(size - len(found))  # a pipe gives what it has
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def main() -> None:
    """The child: one task from standard input, its messages to standard output; what is printed goes to standard error."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or supervisor sends them to parent and child alike
        signal.signal(number, signal.SIG_IGN)  # the parent decides
    process.begin()
    lifeline = os.fdopen(0, "rb", buffering=0)  # unbuffered: a buffer's lock would hold up the end of the process
    parent = Parent(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    configure_logging(settings.load())
    try:
        task, arguments, named, names, reader = _received(lifeline)
    except EOFError:
        return
    process.settle()
    set_log_context(**names)
    set_current(reader)
    threading.Thread(target=parent.watch, args=(lifeline,), name="nebuloviz-lifeline", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        try:
            task(parent, *arguments, **named)
        except NebuloVizError as error:
            parent.tell(_End(error))
        else:
            parent.tell(_End())
