"""Readers of Overview, for locust: each signs in, asks for the stamp as often as an open page does, and for the view on news.

`benchmarks.load` starts it in a process of its own, as locust puts gevent's ways of waiting in the place of Python's: a lock of
`threading` is one of gevent here. Statistics are named by who asked and what, so that it can be told how much one reader alone was
refused; what is refused is asked once more, as whoever reads would, under the name of `what, again`.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import re
import sys
import time
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from locust import FastHttpUser, constant_pacing, events, task

from nebuloviz.settings import Settings

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

VIEWS = ("", "?range=7d", "?range=90d", "?m=orders", "?m=units&range=7d")
_CALLBACK = "/_dash-update-component"
_REFRESH_SECONDS = float(Settings.model_fields["refresh_seconds"].default)
_PATIENCE_SECONDS = 300.0
_REFUSED = 400
#: The whole number behind the tile of orders, in English; there is none where nothing is known.
_ORDERS = re.compile(r'"Orders", "className": "nv-tile-label".*?"title": "([\d,]+)"')
_numbers = itertools.count()
_door, _all_are_there = Lock(), Event()

log = logging.getLogger(__name__)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust's own
def options(parser: LocustArgumentParser) -> None:
    """Beside locust's own."""
    parser.add_argument("--password", env_var="READERS_PASSWORD", is_secret=True, help="of admin")
    parser.add_argument(
        "--sent", help="a file with the moments when orders were sent, one a line, marked ones among them"
    )
    parser.add_argument("--marks", help="the same of marked ones alone")
    parser.add_argument("--category", help="of the marked sales")
    parser.add_argument("--pages", type=int, default=len(VIEWS), help="so many different ones are looked at")


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's own
def judged(environment: Environment, **_: object) -> None:
    """What a reader is refused is a figure; what is raised here is a mistake of this file."""
    environment.process_exit_code = int(bool(environment.runner and environment.runner.exceptions))


class Moments:
    """Those in a file to which others write, one a line; what is new is read each time."""

    def __init__(self, path: str) -> None:
        self._path, self._read = Path(path), 0
        self._rest = ""
        self._found: list[float] = []

    def read(self) -> list[float]:
        with self._path.open(encoding="ascii") as file:
            file.seek(self._read)
            *lines, self._rest = (self._rest + file.read()).split("\n")
            self._read = file.tell()
        self._found += map(float, lines)
        return self._found


_moments_in = functools.cache(Moments)


class Reader(FastHttpUser):
    """Somebody with Overview open, or with another of `VIEWS`: an answer can be shared by those who look at the same.

    Of each look it tells, as a `sale`, how long ago the oldest of the orders was sent (its first line) that the page counts for
    the first time: the longest wait stands for all that have waited with it. What it still waits for in the end is told of where
    that has taken longer than all before.
    """

    sold = "sale"  # what orders are called that the page counts
    before = -1  # so many orders the page counted when it was opened
    counted = 0  # so many since
    longest = 0.0
    network_timeout = connection_timeout = _PATIENCE_SECONDS
    wait_time = constant_pacing(_REFRESH_SECONDS)

    def on_start(self) -> None:
        """One after the other comes in, opens the page and reads; it counts once all are there, spread over the time between looks."""
        options = self.environment.parsed_options
        with _door:
            self.number = next(_numbers)
            self.search = self.view()
            self.stamp = ""
            self.sent = _moments_in(self.ledger()) if self.ledger() else None
            self._sign_in()
            self.look("first page")
            if self.number + 1 == options.num_users:
                sys.stdout.write("all are there\n")
                sys.stdout.flush()
                _all_are_there.set()
        while not _all_are_there.wait(_REFRESH_SECONDS):
            self.read("early ")
        time.sleep(self.number / options.num_users * _REFRESH_SECONDS)

    def view(self) -> str:
        """The URL's query."""
        return VIEWS[self.number % self.environment.parsed_options.pages]

    def ledger(self) -> str:
        """The file with the moments when what the page counts was sent; '' where nobody tells."""
        return self.environment.parsed_options.sent or ""

    def on_stop(self) -> None:
        """What has not come."""
        sent = self.sent.read() if self.sent else []
        if len(sent) > self.counted and time.monotonic() - sent[self.counted] > self.longest:
            self._tell(time.monotonic() - sent[self.counted])

    @task
    def go_on(self) -> None:
        self.read()

    def read(self, when: str = "") -> None:
        """The stamp, and the page where that has changed; `when` stands before what is told of it."""
        answer = self._ask(f"{when}stamp", "shell-stamp.data", {"n_intervals": 1})
        found = answer.get("shell-stamp", {}).get("data", self.stamp)
        if found != self.stamp:
            self.stamp = found
            self.look(f"{when}page")

    def look(self, what: str) -> dict[str, Any]:
        """The whole page."""
        page = self._ask(what, "overview-content.children", {"search": self.search})
        if self.sent:
            self._count(page, self.sent.read(), time.monotonic())
        return page

    def _count(self, page: dict[str, Any], sent: list[float], now: float) -> None:
        found = _ORDERS.search(json.dumps(page, ensure_ascii=False))
        orders = int(found[1].replace(",", "")) if found else 0
        if self.before < 0:
            self.before = orders
        since = min(orders - self.before, len(sent))
        if since > self.counted:
            self._tell(now - sent[self.counted])
            self.counted = since

    def _tell(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.environment.events.request.fire(
            request_type="SALE",
            name=f"{self.number} {self.sold}",
            response_time=1000 * seconds,
            response_length=0,
            exception=None,
            context={},
        )

    def _sign_in(self) -> None:
        [csrf] = re.findall(r'name="csrf_token" value="([^"]+)"', self._get("/login"))
        form = {"username": "admin", "password": self.environment.parsed_options.password, "csrf_token": csrf}
        self.client.post("/login", data=form, name=f"{self.number} sign-in", allow_redirects=False)
        self._known = {each["output"]: each for each in json.loads(self._get("/_dash-dependencies"))}

    def _get(self, path: str) -> str:
        return str(self.client.get(path, name=f"{self.number} sign-in").text)

    def _ask(self, what: str, output: str, values: dict[str, Any]) -> dict[str, Any]:
        known = next(each for name, each in self._known.items() if output in name)
        body = _asked(known, values | {"shell-stamp.data": self.stamp, "shell-theme.data": "light"})
        answer = self.client.post(_CALLBACK, json=body, name=f"{self.number} {what}")
        if not 0 < answer.status_code < _REFUSED:
            log.warning(
                "%s %s: %s %s", self.number, what, answer.status_code, getattr(answer, "error", None) or answer.text
            )
            answer = self.client.post(_CALLBACK, json=body, name=f"{self.number} {what}, again")
        found: dict[str, Any] = json.loads(answer.text or "")["response"] if answer.status_code == 200 else {}
        return found


class MarkReader(Reader):
    """A reader of a page that nobody else looks at, and that counts the marked orders alone."""

    fixed_count = 1
    sold = "mark"

    def view(self) -> str:
        return f"?range=7d&f.category={self.environment.parsed_options.category}"

    def ledger(self) -> str:
        return str(self.environment.parsed_options.marks)

    def look(self, what: str) -> dict[str, Any]:
        return super().look(f"marked {what}")  # a figure of its own


def _asked(known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What a browser sends to have a callback run; `values` by property, or by component and property."""
    ids = [part.rpartition(".") for part in known["output"].strip(".").split("...")]
    parts = [{"id": id, "property": prop} for id, _, prop in ids]

    def filled(item: dict[str, Any]) -> dict[str, Any]:
        name = item["property"]
        return item | {"value": item["id"] if name == "id" else values.get(f"{item['id']}.{name}", values.get(name))}

    inputs = [filled(item) for item in known["inputs"]]
    return {
        "output": known["output"],
        "outputs": parts if known["output"].startswith("..") else parts[0],
        "inputs": inputs,
        "state": [filled(item) for item in known["state"]],
        "changedPropIds": [f"{item['id']}.{item['property']}" for item in inputs],
    }
