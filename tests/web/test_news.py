"""News over real HTTP: a page hears of a sale once what it shows of it is there."""

import json
import re
import time
from typing import Any

import httpx

from nebuloviz.web.live import _OPEN_NEWS
from tests.program import PASSWORD, Program
from tests.web.test_users import Page

_COUNTED = re.compile(r"^nebuloviz_query_seconds_count\{.*\} (\S+)$", re.MULTILINE)
_QUIET_SECONDS = 4.0
_MONTH = "?from=2026-04-01&to=2026-04-30"


def shown(page: Page) -> str:
    answer = page.ask("overview-content", "id", **{"_pages_location": _MONTH, "shell-theme": "light"})
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json())


def stamp(page: Page, known: str) -> str:
    answer = page.ask("shell-interval", "n_intervals", **{"shell-stamp": known})
    found: str = answer.json()["response"].get("shell-stamp", {}).get("data", known) if answer.text else known
    return found


def told(page: Page, known: str) -> str:
    """The first stamp that is another than `known`."""
    end = time.monotonic() + 60
    while (heard := stamp(page, known)) == known:
        assert time.monotonic() < end, "no news came"
        time.sleep(0.1)
    return heard


def settled(page: Page) -> str:
    """The stamp once no news has come for longer than any is kept back."""
    known, since = stamp(page, ""), time.monotonic()
    while time.monotonic() < since + _QUIET_SECONDS:
        time.sleep(0.1)
        if (heard := stamp(page, known)) != known:
            known, since = heard, time.monotonic()
    return known


def sell(client: httpx.Client, name: str, sold_at: str = "2026-04-05T12:00:00Z") -> None:
    sale: dict[str, Any] = {"sale_id": name, "order_id": name, "product_id": "p1", "quantity": 1, "unit_price": 43.21}
    sale |= {"sold_at": sold_at}  # no currency, which all of the installation would have from then on
    assert client.post("/api/v1/sales", json=[sale]).json()["accepted"] == 1


def questions(client: httpx.Client) -> float:
    """How many questions were answered by the database."""
    counted = _COUNTED.findall(client.get("/metrics").text)
    assert counted
    return sum(map(float, counted))


def test_a_page_hears_of_sales_once_what_it_shows_of_them_is_drawn(program: Program, callbacks: dict[str, Any]) -> None:
    page = Page(program.as_("admin"), callbacks)
    with program.client() as client:
        given = client.post("/api/v1/auth/token", json={"username": "data_scientist", "password": PASSWORD}).json()
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        sell(client, "news-1")
        known = ""
        for number in range(_OPEN_NEWS + 1):  # after which whatever other tests have looked at is taken for closed
            sell(client, f"news of another month {number}", "2026-01-05T12:00:00Z")
            known = told(page, known)
        known = settled(page)
        assert "43.21" in shown(page)
        sell(client, "news-2")
        assert told(page, known)
        answered = questions(client)
        assert "86.42" in shown(page)
        assert questions(client) == answered, "the page was drawn for whoever looked, and not ahead"
