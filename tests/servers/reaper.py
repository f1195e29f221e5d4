"""Ends what a test run has left behind.

Started by the run with a pipe as its input; reads `watch PID`, `forget PID` and `folder PATH` line by line. When the pipe
closes, the run is over, in whatever way: the processes still watched are killed and the folders removed.
"""

import shutil
import sys
import time

import psutil


def main() -> None:
    watched: dict[int, psutil.Process] = {}
    folders: list[str] = []
    for line in sys.stdin:
        verb, what = line.rstrip("\n").split(" ", 1)
        if verb == "watch":
            watched[int(what)] = psutil.Process(int(what))
        elif verb == "forget":
            watched.pop(int(what), None)
        else:
            folders.append(what)
    for process in watched.values():
        _kill_family(process)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _kill_family(process: psutil.Process) -> None:
    """Kill the process and its children; psutil makes sure that the id has not passed to another process."""
    try:
        process.suspend()
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    deadline = time.monotonic() + 10
    while any(_alive(member) for member in family) and time.monotonic() < deadline:
        time.sleep(0.05)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # a zombie waits for its parent, not for us
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
