"""Readers of Overview, for locust: each signs in, asks for the stamp as often as an open page does, and for the view on news.

`benchmarks.load` starts it in a process of its own, as locust puts gevent's ways of waiting in the place of Python's: a lock of
`threading` is one of gevent here. Statistics are named by who asked and what, so that it can be told how much one reader alone was
refused; what is refused is asked once more, as whoever reads would, under the name of `what, again`.
"""

from __future__ import annotations

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

VIEWS = ("", "?range=7d", "?range=90d", "?metric=orders", "?metric=units&range=7d")
_CALLBACK = "/_dash-update-component"
_REFRESH_SECONDS = float(Settings.model_fields["refresh_seconds"].default)
_PATIENCE_SECONDS = 300.0
_REFUSED = 400
_numbers = itertools.count()
_door, _all_are_there = Lock(), Event()

log = logging.getLogger(__name__)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust's own
def options(parser: LocustArgumentParser) -> None:
    """Beside locust's own."""
    parser.add_argument("--password", env_var="READERS_PASSWORD", is_secret=True, help="of admin")
    parser.add_argument("--marks", help="a file with the moments when a marked sale was sent, one a line")
    parser.add_argument("--category", help="of the marked sales")


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's own
def judged(environment: Environment, **_: object) -> None:
    """What a reader is refused is a figure; what is raised here is a mistake of this file."""
    environment.process_exit_code = int(bool(environment.runner and environment.runner.exceptions))


class Reader(FastHttpUser):
    """Somebody with Overview open, of which there are `VIEWS`: an answer can be shared by those who look at the same."""

    network_timeout = connection_timeout = _PATIENCE_SECONDS
    wait_time = constant_pacing(_REFRESH_SECONDS)

    def on_start(self) -> None:
        """One after the other comes in and opens the page; all begin to read together, spread over the time between two looks."""
        options = self.environment.parsed_options
        with _door:
            self.number = next(_numbers)
            self.search = self.view()
            self.stamp = ""
            self._sign_in()
            self.look("first page")
            if self.number + 1 == options.num_users:
                sys.stdout.write("all are there\n")
                sys.stdout.flush()
                _all_are_there.set()
        _all_are_there.wait()
        time.sleep(self.number / options.num_users * _REFRESH_SECONDS)

    def view(self) -> str:
        """The URL's query."""
        return VIEWS[self.number % len(VIEWS)]

    @task
    def read(self) -> None:
        """The stamp, and the page where that has changed."""
        answer = self._ask("stamp", "shell-stamp.data", n_intervals=1, data=self.stamp)
        found = answer.get("shell-stamp", {}).get("data", self.stamp)
        if found != self.stamp:
            self.stamp = found
            self.look("page")

    def look(self, what: str) -> dict[str, Any]:
        """The whole page."""
        return self._ask(what, "overview-content.children", search=self.search, data=self.stamp)

    def _sign_in(self) -> None:
        [csrf] = re.findall(r'name="csrf_token" value="([^"]+)"', self._get("/login"))
        form = {"username": "admin", "password": self.environment.parsed_options.password, "csrf_token": csrf}
        self.client.post("/login", data=form, name=f"{self.number} sign-in", allow_redirects=False)
        self._known = {each["output"]: each for each in json.loads(self._get("/_dash-dependencies"))}

    def _get(self, path: str) -> str:
        return str(self.client.get(path, name=f"{self.number} sign-in").text)

    def _ask(self, what: str, output: str, **values: Any) -> dict[str, Any]:
        known = next(each for name, each in self._known.items() if output in name)
        body = _asked(known, values)
        answer = self.client.post(_CALLBACK, json=body, name=f"{self.number} {what}")
        if not 0 < answer.status_code < _REFUSED:
            log.warning(
                "%s %s: %s %s", self.number, what, answer.status_code, getattr(answer, "error", None) or answer.text
            )
            answer = self.client.post(_CALLBACK, json=body, name=f"{self.number} {what}, again")
        found: dict[str, Any] = json.loads(answer.text or "")["response"] if answer.status_code == 200 else {}
        return found


class MarkReader(Reader):
    """A reader who looks at the marked sales alone, and tells how long each took from its sending to the page's answer."""

    fixed_count = 1

    def on_start(self) -> None:
        self.seen = 0
        super().on_start()

    def view(self) -> str:
        return f"?range=7d&f.category={self.environment.parsed_options.category}"

    def look(self, what: str) -> dict[str, Any]:
        page = super().look(f"marked {what}")  # which nobody shares: a figure of its own
        now = time.monotonic()
        [orders] = re.findall(
            r'"Orders", "className": "nv-tile-label".*?"children": "(\d+|–)"', json.dumps(page, ensure_ascii=False)
        ) or ["0"]
        sent = [float(line) for line in Path(self.environment.parsed_options.marks).read_text("ascii").splitlines()]
        for moment in sent[self.seen : int(orders) if orders.isdigit() else 0]:
            self._tell(now - moment)
        return page

    def _tell(self, seconds: float) -> None:
        self.seen += 1
        self.environment.events.request.fire(
            request_type="MARK",
            name=f"{self.number} mark",
            response_time=1000 * seconds,
            response_length=0,
            exception=None,
            context={},
        )


def _asked(known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What a browser sends to have a callback run."""
    ids = [part.rpartition(".") for part in known["output"].strip(".").split("...")]
    parts = [{"id": id, "property": prop} for id, _, prop in ids]
    inputs = [
        item | {"value": item["id"] if item["property"] == "id" else values.get(item["property"])}
        for item in known["inputs"]
    ]
    return {
        "output": known["output"],
        "outputs": parts if known["output"].startswith("..") else parts[0],
        "inputs": inputs,
        "state": [item | {"value": values.get(item["property"])} for item in known["state"]],
        "changedPropIds": [f"{item['id']}.{item['property']}" for item in inputs],
    }
