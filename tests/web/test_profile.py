"""The profile over real HTTP: what is chosen holds from the next request on, and what is ended is over at once."""

from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.dash_requests import UPDATE, post
from tests.program import PASSWORD, Program


@pytest.fixture(scope="module")
def chooser(program: Program) -> str:
    program.add_user("chooser")
    return "chooser"


def api(program: Program, name: str) -> httpx.Client:
    client = program.client()
    given = client.post("/api/v1/auth/token", json={"username": name, "password": PASSWORD}).json()
    client.headers["Authorization"] = f"Bearer {given['access_token']}"
    return client


class TestFirstPage:
    @pytest.mark.parametrize(
        ("chosen", "place"),
        [("/explore", "/explore"), ("/alerts", "/alerts"), ("", "/"), ("/users", "/"), ("/nope", "/"), ("/data", "/")],
    )
    def test_is_the_chosen_one_if_it_is_there_for_the_user(
        self, program: Program, chooser: str, chosen: str, place: str
    ) -> None:
        with closing(api(program, chooser)) as client:
            assert client.patch("/api/v1/me", json={"landing_page": chosen}).status_code == 200
        with program.client() as client:
            assert program.sign_in(client, chooser, PASSWORD).headers["location"] == place

    def test_gives_way_to_what_was_asked_for(self, program: Program, chooser: str) -> None:
        with closing(api(program, chooser)) as client:
            client.patch("/api/v1/me", json={"landing_page": "/alerts"})
        with program.client() as client:
            assert program.sign_in(client, chooser, PASSWORD, "/explore").headers["location"] == "/explore"


class TestForms:
    def test_follow_language_and_region(self, program: Program, chooser: str) -> None:
        with closing(api(program, chooser)) as client, closing(program.signed_in(chooser)) as browser:
            client.patch("/api/v1/me", json={"language": "en", "format_region": "DE", "week_start": 6})
            address = browser.get("/explore").text.split('src="/locale/')[1].split('"')[0].replace("&amp;", "&")
            script = browser.get(f"/locale/{address}").text
            client.patch("/api/v1/me", json={"language": "", "format_region": "", "week_start": None})
        assert address.startswith("en.js?currency=&week=6&form=DE&v=")
        assert '"decimal": ","' in script
        assert '"weekStartsOn": 0' in script

    @pytest.mark.parametrize("form", ["XX", "../x", "%00", "DE" * 500, "Shaw"])
    def test_that_there_are_not_are_the_languages_own(self, program: Program, form: str) -> None:
        with program.client() as client:
            usual, odd = client.get("/locale/de.js"), client.get(f"/locale/de.js?form={form}")
        assert odd.status_code in {200, 400}
        assert odd.text == usual.text or odd.status_code == 400


class TestColours:
    @pytest.mark.parametrize(("theme", "tells"), [("auto", 'data-nv-theme="auto"'), ("dark", 'data-bs-theme="dark"')])
    def test_are_those_of_the_user(self, program: Program, chooser: str, theme: str, tells: str) -> None:
        with closing(api(program, chooser)) as client, closing(program.signed_in(chooser)) as browser:
            client.patch("/api/v1/me", json={"theme": theme})
            assert tells in browser.get("/explore").text


class TestSessions:
    def test_that_is_ended_on_the_page_is_over_at_once(
        self, program: Program, chooser: str, callbacks: dict[str, Any]
    ) -> None:
        with closing(program.signed_in(chooser)) as own, closing(program.signed_in(chooser)) as other:
            assert other.get("/explore").status_code == 200
            entry = next(
                each for each in callbacks.values() if any(item["id"] == "profile-others" for item in each["inputs"])
            )
            ended = post(own, end_others(entry), Origin=str(own.base_url).rstrip("/"))
            assert ended.status_code == 200, ended.text
            assert "ended" in ended.text
            assert other.get("/explore").status_code == 302
            assert other.post(UPDATE, json={}).status_code == 401
            assert own.get("/explore").status_code == 200


def end_others(entry: dict[str, Any]) -> dict[str, Any]:
    outputs = [
        {"id": part.rpartition(".")[0], "property": part.rpartition(".")[2]}
        for part in entry["output"].strip(".").split("...")
    ]
    return {
        "output": entry["output"],
        "outputs": outputs,
        "inputs": [[], {"id": "profile-others", "property": "n_clicks", "value": 1}],
        "state": [],
        "changedPropIds": ["profile-others.n_clicks"],
    }
