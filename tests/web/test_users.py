"""Users over real HTTP: an administrator invites somebody who sees two regions' rows, in figures, file and API, until shut out."""

import json
import re
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.dash_requests import ask
from tests.program import PASSWORD, Program, csrf_token

OTHER = "another long password"
_LINK = re.compile(r"http://[^\"\\]+/welcome/([\w-]+)")
_RANGE = "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z"


@pytest.fixture(scope="module")
def _sales(program: Program) -> None:
    """Three sales of 10 in each of three stores, posted by a program."""
    with program.client() as client:
        given = client.post("/api/v1/auth/token", json={"username": "data_scientist", "password": PASSWORD}).json()
        items = [
            {
                "sale_id": f"scoped-{store}-{number}",
                "order_id": f"o-{store}-{number}",
                "sold_at": "2026-03-05T12:00:00Z",
                "product_id": "p1",
                "category": "Dairy",
                "store": store,
                "quantity": 1,
                "unit_price": 10,
                "currency": "USD",
            }
            for store in ("A1", "A2", "A3")
            for number in range(3)
        ]
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        answer = client.post("/api/v1/sales", json=items, headers=headers)
        assert answer.json()["accepted"] + answer.json()["duplicates"] == len(items)


@dataclass
class Page:
    """The pages' callbacks, as an administrator's browser asks them."""

    client: httpx.Client
    callbacks: dict[str, Any]

    def ask(self, trigger: str, changed: str = "n_clicks", /, **values: Any) -> httpx.Response:
        """Call the callback that `trigger`'s property `changed` sets off; `values` are what the page's components hold, by id."""
        return ask(self.client, self.callbacks, trigger, changed, **values)

    def save(self, name: str, role: str, user_id: int = 0, version: int | None = None, **scope: Any) -> str:
        """Press Save; the answer."""
        fields = {"name": name, "email": "", "role": role, **scope}
        values = {"user-save": 1, "user-id": user_id, "user-version": version}
        answer = self.ask("user-save", fields=fields, **values)
        assert answer.status_code == 200, answer.text
        return json.dumps(answer.json())

    def overview(self) -> str:
        """The whole of Overview, tiles, charts and newest sales, of the month that the sales are in."""
        answer = self.ask(
            "overview-content", "id", **{"_pages_location": "?from=2026-03-01&to=2026-03-31", "shell-theme": "light"}
        )
        assert answer.status_code == 200, answer.text
        return json.dumps(answer.json())

    def invite(self, name: str, role: str, **scope: Any) -> tuple[int, str]:
        """The new user's id, and the secret of the link."""
        text = self.save(name, role, **scope)
        link = _LINK.search(text)
        assert link, text
        return json.loads(text)["sideUpdate"]["user-id"]["data"], link[1]


@pytest.fixture
def page(program: Program, callbacks: dict[str, Any]) -> Page:
    return Page(program.as_("admin"), callbacks)


def welcome(client: httpx.Client, token: str, password: str = PASSWORD, again: str | None = None) -> httpx.Response:
    shown = client.get(f"/welcome/{token}")
    data = {"csrf_token": csrf_token(shown), "new": password, "again": password if again is None else again}
    return client.post(f"/welcome/{token}", data=data)


def stores(client: httpx.Client) -> list[str]:
    answer = client.get(f"/export/csv?m=revenue&by=store&{_RANGE}")
    assert answer.status_code == 200, answer.text
    return sorted(re.findall(r"^(A\d),30", answer.content.decode("utf-8-sig"), re.MULTILINE))


def revenue(program: Program, name: str) -> Any:
    """What the API says of the range, to the user of that name."""
    body = {"metrics": ["revenue"], "start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}
    with program.client() as client:
        given = client.post("/api/v1/auth/token", json={"username": name, "password": PASSWORD}).json()
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        return client.post("/api/v1/query", json=body).json()["rows"][0][0]


@pytest.mark.usefixtures("_sales")
def test_an_invited_user_sees_the_own_rows_everywhere_until_shut_out(program: Program, page: Page) -> None:
    user_id, token = page.invite("scoped", "analyst", store=["A1", "A2"])
    with program.client() as client:
        assert welcome(client, token).status_code == 303
        assert stores(client) == ["A1", "A2"]
        assert revenue(program, "scoped") == 60
        assert revenue(program, "viewer") == 90
        seen = Page(client, page.callbacks).overview()
        assert "60.00" in seen
        assert "90.00" not in seen
        assert "A3" not in seen
        assert client.get("/data").status_code == 403  # rejected records of other stores would be there

        page.save("scoped", "analyst", user_id, 1, store=["A3"])
        assert stores(client) == ["A3"]
        assert revenue(program, "scoped") == 30

        assert "somebody else" in page.save("scoped", "admin", user_id, 1)
        page.save("scoped", "analyst", user_id, 2)
        assert stores(client) == ["A1", "A2", "A3"]
        assert client.get("/data").status_code == 200

        ended = page.ask(
            "user-delete", "submit_n_clicks", **{"user-delete": 1, "user-id": user_id, "user-version": 3}, fields={}
        )
        assert ended.status_code == 200
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 302
        assert program.sign_in(client, "scoped", PASSWORD).status_code == 401


class TestWelcome:
    def test_needs_the_same_password_twice_and_a_good_one(self, program: Program, page: Page) -> None:
        _user_id, token = page.invite("welcomed", "viewer")
        with program.client() as client:
            assert welcome(client, token, PASSWORD, OTHER).status_code == 422
            assert welcome(client, token, "password").status_code == 422
            assert client.post(f"/welcome/{token}", data={"new": PASSWORD, "again": PASSWORD}).status_code == 403
            assert client.get("/").status_code == 302
            assert welcome(client, token).status_code == 303
            assert client.get("/").status_code == 200
            assert client.get(f"/welcome/{token}").status_code == 404

    @pytest.mark.parametrize("path", ["x", "%00", "%F0%9F%A6%86", "a" * 5000, "<script>", "%27%20OR%201=1"])
    def test_of_no_link_is_404(self, program: Program, path: str) -> None:
        with program.client() as client:
            for answer in (client.get(f"/welcome/{path}"), client.post(f"/welcome/{path}", data={"new": "x"})):
                assert answer.status_code in {400, 404}
                assert "<script>" not in answer.text

    def test_is_kept_by_no_cache_and_named_to_no_other_site(self, program: Program, page: Page) -> None:
        _user_id, token = page.invite("uncached", "viewer")
        with program.client() as client:
            headers = client.get(f"/welcome/{token}").headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"

    def test_signs_out_whoever_was_there_before(self, program: Program, page: Page) -> None:
        _user_id, token = page.invite("successor", "viewer")
        with closing(program.signed_in("analyst")) as client:
            before = dict(client.cookies)
            assert welcome(client, token).status_code == 303
            assert client.get("/users").status_code == 403
            with program.client() as thief:
                thief.cookies.update(before)
                assert thief.get("/").status_code == 302


def test_links_are_under_the_address_that_the_administrator_uses(program: Program, page: Page) -> None:
    page.client.headers["X-Forwarded-Host"] = "evil.example"
    try:
        text = page.save("addressed", "viewer")
    finally:
        del page.client.headers["X-Forwarded-Host"]
    assert f"{program.url}/welcome/" in text
    assert "evil.example" not in text
