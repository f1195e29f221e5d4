"""The profile page with the real services behind it: the form, sessions, tokens, and what a browser may say."""

import re
from typing import Any

import pytest
from dash import Dash, no_update
from dash.exceptions import PreventUpdate
from flask import make_response
from flask_login import login_user

from nebuloviz.db import Database
from nebuloviz.i18n import Preferences, use
from nebuloviz.services.interfaces import SecondFactorState, SessionView, UserView, Visitor
from nebuloviz.web.context import SignedIn, ask, context, services
from nebuloviz.web.views import profile as views
from tests.fakes import NOW
from tests.pages.conftest import Browser, Drawn

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def user(browser: Browser) -> UserView:
    """A stored user, who is signed in here."""
    with context().database.transaction() as session:
        created = services().auth.create_user(session, "anna", "correct horse battery", "viewer")
        token = services().auth.start_session(session, created, Visitor("192.0.2.7", FIREFOX))
    again(token)
    return created


def again(token: str) -> None:
    """What the next request of this browser knows of its user."""
    with context().database.session() as session:
        found = services().auth.user_of_session(session, token)
    assert found
    login_user(SignedIn(found, token))


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import profile  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return profile


def form(**values: Any) -> tuple[list[dict[str, str]], list[Any]]:
    return [{"type": "profile-field", "of": name} for name in values], list(values.values())


def stored() -> UserView:
    with context().database.session() as session:
        return services().auth.users(session)[0]


@pytest.mark.usefixtures("user")
class TestForm:
    def test_has_what_is_stored_and_the_pages_that_there_are(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.layout())
        assert "Browser setting" in text
        assert "Installation default: UTC" in text
        assert '"/alerts"' in text
        assert '"/users"' not in text  # a viewer does not see it
        assert "/second-factor" in text

    def test_is_stored_and_draws_the_page_anew(self, page: Any, browser: Browser, drawn: Drawn) -> None:
        message = page.save(
            1,
            *form(
                display_name=" Anna ",
                language="de",
                time_zone="Europe/Berlin",
                format_region="CH",
                week_start="6",
                theme="dark",
                landing_page="/alerts",
            ),
        )
        assert "Saved" in drawn(message)
        found = stored()
        assert (found.display_name, found.language, found.time_zone) == ("Anna", "de", "Europe/Berlin")
        assert (found.format_region, found.week_start, found.theme) == ("CH", 6, "dark")
        assert found.landing_page == "/alerts"
        assert browser.props["shell-saved"]["data"]

    def test_that_changes_no_word_leaves_the_page(self, page: Any, browser: Browser) -> None:
        page.save(1, *form(landing_page="/alerts"))
        assert "shell-saved" not in browser.props

    def test_back_to_what_everybody_has(self, page: Any) -> None:
        page.save(1, *form(language="de", week_start="6", landing_page="/alerts"))
        page.save(1, *form(language=views.FOLLOW, week_start=views.FOLLOW, landing_page="/"))
        found = stored()
        assert (found.language, found.week_start, found.landing_page) == ("", None, "")

    @pytest.mark.parametrize(
        ("theme", "cookie"), [("dark", "nebuloviz_theme=dark"), ("light", "nebuloviz_theme=light")]
    )
    def test_tells_this_browser_of_the_colours(
        self, page: Any, dashboard: tuple[Dash, Any, Any], theme: str, cookie: str
    ) -> None:
        page.save(1, *form(theme=theme))
        assert cookie in dashboard[0].server.process_response(make_response("")).headers["Set-Cookie"]

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"language": "xx"}, "The language is one of"),
            ({"time_zone": "Mars"}, "no time zone"),
            ({"theme": "blue"}, "The theme is one of"),
            ({"format_region": "XX"}, "that of a country"),
            ({"display_name": "x" * 81}, "at most 80"),
        ],
    )
    def test_of_what_cannot_be_says_why(self, page: Any, drawn: Drawn, values: dict[str, str], words: str) -> None:
        assert words in drawn(page.save(1, *form(**values)))

    @pytest.mark.parametrize("junk", [None, 5, "x", [None], [{"of": 5}], [{"of": "role"}], {"of": "name"}])
    def test_survives_whatever_a_browser_says(self, page: Any, junk: Any) -> None:
        before = stored()
        page.save(1, junk, ["admin"])
        page.save(1, *form(role="admin", landing_page="/users", week_start="99", language=7))
        assert stored() == before

    def test_without_a_click_does_nothing(self, page: Any) -> None:
        with pytest.raises(PreventUpdate):
            page.save(None, *form(theme="dark"))

    @pytest.mark.parametrize(
        ("region", "language", "words"),
        [("DE", "en", "1.234,50"), ("CH", "de", "1’234.50"), ("-", "de", "1.234,50"), (None, None, "1,234.50")],
    )
    def test_shows_numbers_as_they_would_be(self, page: Any, region: Any, language: Any, words: str) -> None:
        assert words in page.show_sample(region, language)


@pytest.mark.usefixtures("user")
class TestSessions:
    def test_are_told_apart(self, page: Any, drawn: Drawn) -> None:
        text = drawn(page.show_sessions(None))
        assert "Firefox, Linux" in text
        assert "This one" in text
        assert "profile-session" not in text

    def test_end_by_the_button_of_their_row(self, page: Any, browser: Browser, user: UserView, drawn: Drawn) -> None:
        with context().database.transaction() as session:
            services().auth.start_session(session, user, Visitor("198.51.100.1", "till/1.0"))
        other = next(item for item in ask(services().profile.sessions) if item.user_agent == "till/1.0")
        browser.triggers(f'{{"of":"{other.id}","type":"profile-session"}}.n_clicks', 1)
        _changed, message = page.end_sessions([1], None)
        assert "1 session was ended" in drawn(message)
        assert "till" not in drawn(page.show_sessions(None))
        assert "no such session" in drawn(page.end_sessions([1], None)[1])

    def test_of_others_end_together(self, page: Any, browser: Browser, user: UserView, drawn: Drawn) -> None:
        with context().database.transaction() as session:
            for _ in range(3):
                services().auth.start_session(session, user)
        browser.triggers("profile-others.n_clicks", 1)
        assert "3 sessions were ended" in drawn(page.end_sessions([], 1)[1])
        assert len(ask(services().profile.sessions)) == 1

    @pytest.mark.parametrize(("clicks", "others"), [([None], None), ([], None), (None, None), ([0], 0)])
    def test_that_were_just_drawn_do_not_end(self, page: Any, browser: Browser, clicks: Any, others: Any) -> None:
        browser.triggers('{"of":"x","type":"profile-session"}.n_clicks', None)
        with pytest.raises(PreventUpdate):
            page.end_sessions(clicks, others)


@pytest.mark.usefixtures("user")
class TestTokens:
    def test_are_shown_once_and_listed_without_the_secret(self, page: Any, drawn: Drawn) -> None:
        _changed, made, name, _message = page.make_token(1, "notebook", ["data:read"], "30")
        (secret,) = set(re.findall(r"nvt_[\w-]+", drawn(made)))
        text = drawn(page.show_tokens(None))
        assert name == ""
        assert "notebook" in text
        assert "View figures" in text
        assert "never" in text
        assert secret not in text

    def test_that_there_are_none_of_say_what_they_are_for(self, page: Any, drawn: Drawn) -> None:
        assert "No token yet" in drawn(page.show_tokens(None))

    @pytest.mark.parametrize(
        ("name", "permissions", "days", "words"),
        [
            ("", ["data:read"], "30", "needs a name"),
            ("x", [], "30", "at least one permission"),
            ("x", None, "30", "at least one permission"),
            ("x", ["users:manage"], "30", "users:manage"),
            ("x", ["data:read"], "31", "lives for"),
            (None, "data:read", None, "needs a name"),
        ],
    )
    def test_that_cannot_be_say_why(
        self, page: Any, drawn: Drawn, name: Any, permissions: Any, days: Any, words: str
    ) -> None:
        changed, made, _name, message = page.make_token(1, name, permissions, days)
        assert (changed, made) == (no_update, no_update)
        assert words in drawn(message)

    def test_are_revoked(self, page: Any, browser: Browser, drawn: Drawn) -> None:
        page.make_token(1, "notebook", ["data:read"], "30")
        (token,) = ask(services().api_tokens.list)
        browser.triggers(f'{{"of":"{token.id}","type":"profile-token"}}.submit_n_clicks', 1)
        assert "Revoked" in drawn(page.revoke_token([1])[1])
        assert "No token yet" in drawn(page.show_tokens(None))
        assert "no such token" in drawn(page.revoke_token([1])[1])

    @pytest.mark.parametrize("clicks", [None, [], [None], "x"])
    def test_that_were_just_drawn_stay(self, page: Any, browser: Browser, clicks: Any) -> None:
        browser.triggers('{"of":"1","type":"profile-token"}.submit_n_clicks', None)
        with pytest.raises(PreventUpdate):
            page.revoke_token(clicks)


class TestViews:
    @pytest.mark.parametrize(
        ("agent", "words"),
        [
            (FIREFOX, "Firefox, Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
                "Safari, iOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36",
                "Samsung Internet, Android",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Chrome/140.0 Safari/537.36", "Chrome, macOS"),
            ("python-httpx/0.28.1", "python-httpx/0.28.1"),
            ("", "Unknown"),
            ("<b>x</b> y", "<b>x</b>"),
        ],
    )
    def test_browsers_are_called_by_their_names(self, agent: str, words: str) -> None:
        assert views.agent_words(agent) == words

    def test_names_of_programs_stay_literal(self, drawn: Drawn) -> None:
        odd = SessionView("a", "api", "", "<script>alert(1)</script>", NOW, NOW)
        with use(Preferences()):
            assert "<script>alert(1)</script>" in drawn(views.session_table([odd], "b", NOW))

    @pytest.mark.parametrize(("since", "words"), [(None, "Set up"), (NOW, "3 recovery codes are left")])
    def test_second_factor_says_where_it_stands(self, drawn: Drawn, since: Any, words: str) -> None:
        with use(Preferences()):
            assert words in drawn(views.security(SecondFactorState(since, 3), required=False))
