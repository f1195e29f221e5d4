"""What a reader learns where the program cannot do what was asked: nothing that was pressed or typed is lost without a word."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.browser import PATIENCE_MS, NewPage
from tests.e2e.conftest import Visit, served, sign_in, signed_in
from tests.servers import PostgresServer

pytestmark = pytest.mark.timeout(300)

#: What a browser and Dash write down of a request that was refused.
FAILS = pytest.mark.console_errors("status of", "Callback error", "did not respond", "ERR_INTERNET_DISCONNECTED")
CALLBACKS = re.compile("_dash-update-component")
_MAKES_ROLE = re.compile(r'"changedPropIds":\["role-save')
NAME = '[id*="user-field"][id*="name"]'
REFUSED, UNANSWERED, ENDED = "#shell-refused", "#shell-unanswered", "#shell-ended"


@pytest.fixture
def on_postgresql(environment: dict[str, str], postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a program whose database is a server of its own."""
    own = {"NEBULOVIZ_DATA_DIR": str(tmp_path), "NEBULOVIZ_DATABASE_URL": postgres_url, "NEBULOVIZ_WATCH": "off"}
    with served(environment | own | {"NEBULOVIZ_ENVIRONMENT": "embedded"}) as url:
        yield url


def opened(context: BrowserContext, url: str, button: str) -> Locator:
    """A button of a page in a tab of its own, once it can be pressed."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    found = page.locator(button).first
    found.wait_for()
    return found


class TestWithoutItsDatabase:
    @FAILS
    def test_each_button_says_so_and_does_its_work_afterwards(
        self, on_postgresql: str, new_page: NewPage, postgres: PostgresServer
    ) -> None:
        page = signed_in(new_page(), f"{on_postgresql}/users/new")
        page.fill(NAME, "zoe")
        buttons = [
            opened(page.context, on_postgresql + path, button)
            for path, button in (
                ("/roles/new", "#role-save"),
                ("/settings", '[id*="settings-save"]'),
                ("/users/1", '[id*="sessions"]'),
            )
        ]
        postgres.stop()
        for button in [page.locator("#user-save"), *buttons]:
            button.click()
            expect(button.page.locator(REFUSED)).to_contain_text("The database is not responding")
            expect(button).to_be_focused()
        expect(page.locator(NAME)).to_have_value("zoe")

        postgres.start()
        page.locator("#user-save").click()
        expect(page.locator("#user-message")).to_contain_text("zoe was created.")
        expect(page.locator(REFUSED)).to_be_hidden()

    @FAILS
    def test_who_signs_in_sees_a_page_and_need_not_type_the_name_again(
        self, on_postgresql: str, new_page: NewPage, postgres: PostgresServer
    ) -> None:
        page = new_page()
        page.goto(f"{on_postgresql}/login")
        postgres.stop()
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", "whatever it is")
        page.click("button[type=submit]")
        expect(page.get_by_role("alert")).to_contain_text("The database is not responding")
        expect(page.locator("input[name=username]")).to_have_value("admin")
        postgres.start()
        page.set_default_timeout(PATIENCE_MS)
        sign_in(page)

    @FAILS
    def test_neither_a_form_nor_a_download_leads_to_anything_but_a_page(
        self, on_postgresql: str, new_page: NewPage, postgres: PostgresServer
    ) -> None:
        page = signed_in(new_page(), f"{on_postgresql}/audit")
        download = opened(page.context, f"{on_postgresql}/audit", "#audit-download a")
        page.goto(f"{on_postgresql}/password")
        for field in ("current", "new", "again"):
            page.fill(f"#{field}", "words that nobody guesses")
        postgres.stop()
        page.click("button[type=submit]")
        expect(page.locator("main")).to_contain_text("What you sent was not stored.")
        download.click()
        expect(download.page.locator("main")).to_contain_text("The database is not responding")
        postgres.start()
        with download.page.expect_download() as file:
            download.page.get_by_role("link", name="Try again").click()
        assert file.value.suggested_filename.endswith(".csv")


def refuse(status: int, detail: str = "", **headers: str) -> Callable[[Route], None]:
    """What answers every callback so."""
    kind, body = ("application/problem+json", f'{{"detail": "{detail}"}}') if detail else ("text/html", "<h1>Oh</h1>")
    return lambda route: route.fulfill(status=status, content_type=kind, body=body, headers=headers)


class TestARefusal:
    @FAILS
    def test_of_too_many_requests_is_told_and_what_was_chosen_comes_by_itself(self, visit: Visit) -> None:
        page = visit("/users")
        expect(page.locator("#users-list table")).to_be_visible()
        page.route(CALLBACKS, refuse(429, "Not so fast.", **{"Retry-After": "1"}))
        page.fill("#users-search", "nobody is called so")
        expect(page.locator(REFUSED)).to_contain_text("Not so fast.")
        page.unroute(CALLBACKS)
        expect(page.locator("#users-list")).to_contain_text("No user was found")

    @FAILS
    def test_without_words_is_told_all_the_same_until_it_is_done(self, visit: Visit) -> None:
        page = visit("/roles/new")
        page.fill("#role-name", "Buyers")
        page.route(CALLBACKS, refuse(500))
        # What the page asks by itself is refused as well; a press that is not answered yet would be carried out with the next
        with page.expect_response(lambda answer: _MAKES_ROLE.search(answer.request.post_data or "") is not None):
            page.click("#role-save")
        expect(page.locator(UNANSWERED)).to_contain_text("What you typed is still here")
        page.unroute(CALLBACKS)
        page.click("#role-save")
        expect(page.locator("#role-message")).to_contain_text("Buyers was created.")
        expect(page.locator(UNANSWERED)).to_be_hidden()

    @FAILS
    def test_by_the_network_is_told_and_nothing_is_done_later_unasked(self, visit: Visit) -> None:
        page = visit("/profile")
        page.fill("#profile-token-name", "till")
        page.context.set_offline(True)
        page.get_by_role("button", name="Create token").click()
        expect(page.locator(UNANSWERED)).to_be_visible()
        page.context.set_offline(False)
        expect(page.get_by_text("The server is not responding. You are")).to_be_hidden()
        expect(page.locator("#profile-token-name")).to_have_value("till")
        expect(page.locator("#profile-tokens")).to_contain_text("No token yet")


class TestASessionThatEnds:
    @FAILS
    def test_leaves_what_was_typed_and_goes_on_after_signing_in_beside_it(self, visit: Visit) -> None:
        page = visit("/users/new")
        page.fill(NAME, "yann")
        page.context.clear_cookies()
        expect(page.locator(ENDED)).to_be_visible()
        with page.context.expect_page() as beside:
            page.locator(ENDED).get_by_role("link", name="Sign in").click()
        beside.value.set_default_timeout(PATIENCE_MS)
        sign_in(beside.value)
        expect(page.locator(ENDED)).to_be_hidden()
        page.click("#user-save")
        expect(page.locator("#user-message")).to_contain_text("yann was created.")


class TestAButton:
    def test_that_is_pressed_twice_asks_once_and_keeps_the_focus(self, visit: Visit) -> None:
        page = visit("/users/new")
        held: list[Route] = []
        page.fill(NAME, "two words")
        asks_to_save = re.compile(r'"changedPropIds":\["user-save')

        def hold(route: Route) -> None:
            held.append(route) if asks_to_save.search(route.request.post_data or "") else route.continue_()

        page.route(CALLBACKS, hold)
        button = page.locator("#user-save")
        button.press("Enter")
        expect(button).to_have_attribute("aria-busy", "true")
        button.press("Enter")
        expect(button).to_be_focused()
        assert len(held) == 1
        held[0].continue_()
        page.unroute(CALLBACKS, hold)
        expect(page.locator("#user-problem-username")).to_contain_text("no spaces")
        expect(button).not_to_have_attribute("aria-busy", "true")

    def test_that_is_drawn_anew_with_its_form_has_the_focus_again(self, visit: Visit) -> None:
        page = visit("/users/new")
        page.fill(NAME, "xenia")
        page.locator("#user-save").press("Enter")
        expect(page.locator("#user-link-address")).to_be_visible()
        expect(page.locator("#user-save")).to_be_focused()

    @pytest.mark.parametrize("width", [390, 1280])
    def test_far_down_the_page_is_answered_where_it_is_seen(self, visit: Visit, width: int) -> None:
        page = visit("/profile", viewport={"width": width, "height": 600})
        expect(page.locator("#profile-tokens")).to_contain_text("No token yet")
        expect(page.locator("#profile-sessions tbody tr").first).to_be_visible()  # above it, and so moves it
        page.get_by_role("button", name="Create token").click()
        expect(page.locator("#profile-message [role=alert]")).to_be_in_viewport()

    def test_whose_work_draws_everything_anew_says_so_afterwards(self, visit: Visit) -> None:
        page: Page = visit("/profile")
        page.locator('[id*="display_name"]').fill("Ann of the shop")
        page.click("#profile-save")
        expect(page.locator("#shell-saved-words")).to_be_visible()
        expect(page.locator('[id*="display_name"]')).to_have_value("Ann of the shop")
