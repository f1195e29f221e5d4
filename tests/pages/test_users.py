"""The pages of users, with the real service behind them: the list, the form, links, and what is refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.permissions import ROLES, SYSTEM
from nebuloviz.services.interfaces import UserDraft, UserRecord
from nebuloviz.web.context import services
from nebuloviz.web.filterbar import NOT_GIVEN
from nebuloviz.web.views.users import draft_of, scope_words, user_actions, user_table
from tests.fakes import NOW
from tests.pages.conftest import Browser, Drawn

ANNA = UserRecord(3, "anna", "", "viewer", "", (("store", ("1", "")),), "active", NOW, None, 1)

FRESH: tuple[Any, ...] = (None, None, [], None)  # a list of which no page has been turned


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def listing(browser: Browser) -> Any:
    from pages import users  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return users


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import user  # noqa: PLC0415 - as above

    return user


def form(**values: Any) -> tuple[list[dict[str, str]], list[Any]]:
    return [{"type": "user-field", "of": name} for name in values], list(values.values())


def created(page: Any, name: str = "anna", role: str = "viewer", **scope: list[str]) -> int:
    user_id, *_rest = page.save(1, *form(name=name, email="", role=role, **scope), 0, None)
    assert isinstance(user_id, int)
    return user_id


@contextmanager
def stored() -> Iterator[list[UserRecord]]:
    from nebuloviz.web.context import context  # noqa: PLC0415 - only inside a request

    with context().database.session() as session:
        yield list(services().users.list(session, SYSTEM).items)


class TestList:
    def test_shows_each_user_with_role_rows_and_state(self, listing: Any, page: Any, drawn: Drawn) -> None:
        created(page, "anna", store=["S1", NOT_GIVEN])
        created(page, "root", "admin")
        text = drawn(listing.show("", "any", "name", *FRESH))
        assert "anna" in text
        assert "Store: Not given, S1" in text
        assert "Everything" in text
        assert "Administrator" in text
        assert text.count("Invited") == 2

    def test_is_narrowed_down(self, listing: Any, page: Any, drawn: Drawn) -> None:
        created(page, "anna")
        assert "anna" in drawn(listing.show("ANN", "invited", "created", *FRESH))
        assert "No user was found" in drawn(listing.show("ben", "any", "name", *FRESH))
        assert "No user was found" in drawn(listing.show("", "active", "name", *FRESH))

    def test_is_turned_page_by_page(
        self, listing: Any, page: Any, drawn: Drawn, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        created(page, "anna")
        _table, *_turning, alone = listing.show("", "any", "name", *FRESH)
        assert alone, "the buttons of one page lead nowhere"
        created(page, "ben")
        monkeypatch.setattr(listing, "_PAGE", 1)
        first, trail, following, no_back, no_on, alone = listing.show("", "any", "name", *FRESH)
        assert ("anna" in drawn(first), no_back, no_on, alone) == (True, True, False, False)
        browser.triggers("users-on.n_clicks", 1)
        second, trail, following, *turning = listing.show("", "any", "name", None, 1, trail, following)
        assert ("ben" in drawn(second), turning) == (True, [False, True, False])
        browser.triggers("users-back.n_clicks", 1)
        assert drawn(listing.show("", "any", "name", 1, 1, trail, following)[0]) == drawn(first)

    @pytest.mark.parametrize("value", [None, 5, [], {"a": 1}, "\x00", "x" * 5_000])
    def test_survives_whatever_a_browser_says(self, listing: Any, value: Any) -> None:
        assert listing.show(value, value, value, value, value, value, value) is not None

    def test_takes_names_literally(self, drawn: Drawn, browser: Browser) -> None:
        text = json.loads(drawn(user_table([ANNA], filtered=False)))
        assert text["type"] == "Div"
        assert scope_words(ANNA.scope) == "Store: 1, Not given"
        assert scope_words((("store", ("1", "2", "3", "4")),)) == "Store: 4 selected"


class TestForm:
    def test_of_a_new_user_is_empty(self, page: Any, drawn: Drawn) -> None:
        _head, shown, rest, version = page.show(0, None)
        assert '"of": "store"' in drawn(shown)
        assert rest is None
        assert version is None

    def test_of_a_user_has_what_is_stored(self, page: Any, drawn: Drawn) -> None:
        user_id = created(page, role="analyst", store=["gone since"])
        _head, shown, rest, version = page.show(user_id, None)
        assert "gone since" in drawn(shown)
        assert "New invitation link" in drawn(rest)
        assert version == 1

    def test_of_nobody_says_so(self, page: Any, drawn: Drawn) -> None:
        for user_id in (99, -1, None, "x", True, 2**70):
            assert "no such user" in drawn(page.show(user_id, None)[1])

    @pytest.mark.parametrize(("path", "known"), [("new", 0), ("7", 7), ("x", -1), ("٣", 3), ("9" * 30, -1), ("", -1)])
    def test_is_that_of_the_address(self, page: Any, drawn: Drawn, path: str, known: int) -> None:
        assert f'"data": {known}' in drawn(page.layout(user_id=path))


class TestSaving:
    def test_creates_a_user_and_shows_the_link_once(self, page: Any, drawn: Drawn) -> None:
        user_id, _changed, message, link, *_problems = page.save(
            1, *form(name=" anna ", email="a@b.example", role="analyst", store=["S1", NOT_GIVEN], region=[]), 0, None
        )
        assert "anna was created" in drawn(message)
        assert drawn(link).count("/welcome/") == 2  # to read and to copy
        with stored() as users:
            assert [(user.id, user.email, user.scope) for user in users] == [
                (user_id, "a@b.example", (("store", ("", "S1")),))
            ]
        assert "/welcome/" not in drawn(page.show(user_id, None))

    def test_changes_a_user(self, page: Any, drawn: Drawn) -> None:
        user_id = created(page)
        _id, changed, message, link, *_problems = page.save(
            1, *form(name="ignored", email="", role="analyst"), user_id, 1
        )
        assert "Saved" in drawn(message)
        assert changed is not no_update
        assert link is None
        with stored() as users:
            assert (users[0].username, users[0].role, users[0].version) == ("anna", "analyst", 2)

    @pytest.mark.parametrize(
        ("values", "version", "words"),
        [
            ({"role": "viewer"}, 7, "somebody else"),
            ({"role": "viewer"}, None, "somebody else"),
            ({"role": "root"}, 1, "no role"),
            ({"role": "viewer", "sale_id": ["1"]}, 1, "confined"),
            ({}, 1, "no role"),
        ],
    )
    def test_of_what_cannot_be_says_why(
        self, page: Any, drawn: Drawn, values: dict[str, Any], version: Any, words: str
    ) -> None:
        user_id = created(page)
        unchanged, _changed, message, _link, *problems = page.save(1, *form(**values), user_id, version)
        assert unchanged is no_update
        assert problems == [None, None, None]
        assert words in drawn(message)

    @pytest.mark.parametrize(
        ("values", "place", "words"),
        [
            ({"name": "two words", "role": "viewer"}, 0, "no spaces"),
            ({"name": "ANNA", "role": "viewer"}, 0, "already"),
            ({"name": "ben", "role": "viewer", "email": "x"}, 1, "not an e-mail"),
            ({"name": "ben", "role": "admin", "store": ["1"]}, 2, "sees everything"),
        ],
    )
    def test_says_beside_the_field_what_is_wrong_with_it(
        self, page: Any, values: dict[str, Any], place: int, words: str
    ) -> None:
        created(page)
        unchanged, _changed, message, _link, *problems = page.save(1, *form(**values), 0, None)
        assert (unchanged, message) == (no_update, None)
        assert [number for number, problem in enumerate(problems) if problem] == [place]
        assert words in problems[place]

    @pytest.mark.parametrize("junk", [None, 5, "x", [None], [{"of": 5}], {"of": "name"}])
    def test_survives_whatever_a_browser_says(self, page: Any, junk: Any) -> None:
        assert page.save(1, junk, junk, junk, junk)[0] is no_update

    def test_without_a_click_does_nothing(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.save(None, *form(name="anna", role="admin"), 0, None)


class TestButtons:
    @pytest.mark.parametrize(
        ("what", "words"),
        [
            ("disable", "signed out everywhere"),
            ("unlock", "can sign in again"),
            ("sessions", "0 sessions were ended"),
            ("link", "older ones no longer work"),
        ],
    )
    def test_do_what_they_say(self, page: Any, browser: Browser, drawn: Drawn, what: str, words: str) -> None:
        user_id = created(page)
        browser.triggers(f'{{"do":"{what}","type":"user-act"}}.n_clicks', 1)
        _changed, message, link = page.do([1], user_id, 1)
        assert words in drawn(message)
        assert ("/welcome/" in drawn(link)) is (what == "link")

    @pytest.mark.parametrize("own", [False, True])
    def test_to_shut_out_are_not_for_oneself(self, drawn: Drawn, own: bool) -> None:
        text = drawn(user_actions(ANNA, own=own, may_look=False, mails=False))
        assert [words in text for words in ("Disable", "Delete", "End sessions")] == [not own, not own, True]

    def test_let_in_again(self, page: Any, browser: Browser, drawn: Drawn) -> None:
        user_id = created(page)
        for version, what, state in ((1, "disable", "Disabled"), (2, "enable", "Invited")):
            browser.triggers(f'{{"do":"{what}","type":"user-act"}}.n_clicks', 1)
            page.do([1], user_id, version)
            assert state in drawn(page.show(user_id, None)[2])

    def test_that_there_are_not_do_nothing(self, page: Any, browser: Browser) -> None:
        browser.triggers('{"do":"everything","type":"user-act"}.n_clicks', 1)
        with pytest.raises(PreventUpdate):
            page.do([1], created(page), 1)

    def test_delete_and_go_back_to_the_list(self, page: Any, browser: Browser) -> None:
        page.delete(1, created(page), 1)
        assert browser.props["_pages_location"]["pathname"] == "/users"
        with stored() as users:
            assert users == []

    def test_do_not_delete_the_last_administrator(self, page: Any, drawn: Drawn) -> None:
        from nebuloviz.web.context import context  # noqa: PLC0415 - only inside a request

        with context().database.transaction() as session:
            offer = services().users.create(session, SYSTEM, "root", UserDraft("admin"))
            services().users.accept_password(session, offer.token, "correct horse battery")
        assert "last administrator" in drawn(page.delete(1, offer.user.id, 1))


def test_fields_that_no_form_has_are_left_out() -> None:
    name, draft = draft_of(*form(name="a", role=["x"], email=None, store=["1", 2, None], region="north", country=[]))
    assert (name, draft) == ("a", UserDraft("", "", {"store": ["1"]}))
    assert set(ROLES) >= {"viewer", "admin"}
