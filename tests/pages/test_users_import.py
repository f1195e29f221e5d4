"""The page that imports users, with the real services behind it."""

import base64
import re
from typing import Any
from urllib.parse import unquote

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.web.context import act, ask, services
from tests.pages.conftest import Browser, Drawn

FILE = "username,email,role,store\nben,ben@x.example,analyst,305\ncat,=1+1@x.example,viewer,\ndan,-x@y.example,viewer,\nanna,,boss,\n"


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import users_import  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return users_import


def contents(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return f"data:text/csv;base64,{base64.b64encode(data).decode()}"


def users() -> list[str]:
    return [user.username for user in ask(services().users.list).items]


class TestPage:
    def test_offers_a_template(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.layout())
        assert "data:text/csv;charset=utf-8,username%2Cemail%2Crole%2Cregion" in text
        assert "users-file" in text

    def test_shows_first_what_it_would_do(self, page: Any, drawn: Drawn) -> None:
        message, rows = page.look(contents(FILE), "people.csv")
        text = drawn(rows)
        assert message is None
        assert "people.csv" in text
        assert "Create 3 users" in text
        assert "1 row is refused." in text
        assert "no role called boss" in text
        assert "Store: 305" in text
        assert users() == []

    def test_then_creates_and_shows_the_links_once(self, page: Any, drawn: Drawn) -> None:
        page.look(contents(FILE), "people.csv")
        text = drawn(page.create(1, contents(FILE))[1])
        assert users() == ["ben", "cat", "dan"]
        links = re.findall(r"http://localhost/welcome/[\w-]{43}", text)
        assert len(links) == 3
        assert "3 users were created" in text
        again = drawn(page.create(1, contents(FILE))[1])
        assert "/welcome/" not in again
        assert again.count("already") == 3

    def test_links_to_the_public_address_where_one_is_decided_on(self, page: Any, drawn: Drawn) -> None:
        record = ask(services().settings.get)
        act(services().settings.change, record.version, {"public_address": "https://sales.example.com/"})
        text = drawn(page.create(1, contents(FILE))[1])
        assert len(re.findall(r"https://sales\.example\.com/welcome/[\w-]{43}", text)) == 3
        assert "http://localhost" not in text

    def test_gives_a_file_of_links_that_no_spreadsheet_takes_for_formulas(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.create(1, contents(FILE))[1])
        found = re.search(r"data:text/csv;charset=utf-8,([^\"]+)", text)
        assert found
        lines = unquote(found[1]).lstrip("\ufeff").splitlines()
        assert lines[0] == "Name,E-mail,Role,One-time link,Valid until"
        assert [line.split(",")[1] for line in lines[1:]] == ["ben@x.example", "'=1+1@x.example", "'-x@y.example"]
        assert all("http://localhost/welcome/" in line for line in lines[1:])

    @pytest.mark.parametrize(
        "given", ["", "data:,", "data:text/csv;base64,%%%", "x", 5, [], {"a": 1}, True, contents(b"\x00"), contents("")]
    )
    def test_survives_whatever_a_browser_says(self, page: Any, drawn: Drawn, given: Any) -> None:
        message, rows = page.look(given, given)
        assert "This was not done" in drawn(message)
        assert rows is None
        message, rows = page.create(1, given)
        assert "This was not done" in drawn(message)
        assert rows is no_update

    def test_waits_for_a_file_and_a_click(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.look(None, None)
        with pytest.raises(PreventUpdate):
            page.create(None, contents(FILE))
