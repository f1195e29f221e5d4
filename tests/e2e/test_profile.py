"""The profile in a browser: how one sees things, a second factor from its picture to signing in without scripts, and its end."""

import re
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.browser import PATIENCE_MS, NewPage
from tests.e2e.conftest import PASSWORD, ROOT, Program, command
from tests.program import app_code

NAME = "anna"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def made(program: Program, environment: dict[str, str]) -> None:
    """A user of this module's own: what happens to the administrator would concern all other tests."""
    subprocess.run(
        command("user", "add", NAME, "--role", "analyst"),
        env=environment,
        cwd=ROOT,
        input=PASSWORD + "\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def anna(program: Program, new_page: NewPage, made: None) -> Page:
    """The user's browser, on the sign-in page."""
    page = new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{program.url}/login")
    return page


def sign_in(page: Page) -> None:
    page.fill("input[name=username]", NAME)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")


def open_profile(page: Page) -> None:
    page.locator("#user-menu summary").click()
    page.get_by_role("link", name="Profile").click()
    expect(page.get_by_role("heading", name="Profile", level=1)).to_be_visible()
    expect(page.locator("#profile-sessions table")).to_be_visible()
    expect(page.locator("#user-menu .nv-menu-body")).to_be_hidden()


def choose(page: Page, name: str, option: str) -> None:
    """Of a long list only what is seen is drawn, so it is searched first."""
    page.locator(f'[id*="profile-field"][id*="{name}"]').first.click()
    if name in {"time_zone", "format_region"}:
        page.locator(".dash-dropdown-search").fill(option)
    page.locator(".dash-dropdown-option", has_text=re.compile(f"^{option}$")).click()


class TestPreferences:
    def test_draw_the_page_anew_in_language_form_and_colours(self, anna: Page) -> None:
        sign_in(anna)
        open_profile(anna)
        choose(anna, "format_region", "Germany")
        expect(anna.locator("#profile-sample")).to_contain_text("1.234,50")
        choose(anna, "theme", "Dark")
        choose(anna, "landing_page", "Alerts")
        anna.get_by_role("button", name="Save", exact=True).click()
        expect(anna.locator("html")).to_have_attribute("data-bs-theme", "dark")
        expect(anna.locator("#profile-sample")).to_contain_text("1.234,50")
        anna.locator("#user-menu summary").click()
        anna.get_by_role("button", name="Sign out").click()
        sign_in(anna)
        expect(anna).to_have_url(re.compile("/alerts"))
        open_profile(anna)
        choose(anna, "theme", "System setting")
        anna.get_by_role("button", name="Save", exact=True).click()
        expect(anna.locator("html")).to_have_attribute("data-bs-theme", "light")
        anna.emulate_media(color_scheme="dark")
        expect(anna.locator("html")).to_have_attribute("data-bs-theme", "dark")


class TestTokens:
    def test_are_made_shown_once_and_revoked(self, anna: Page, program: Program) -> None:
        sign_in(anna)
        open_profile(anna)
        anna.fill("#profile-token-name", "till <7>")
        anna.get_by_role("button", name="Create token").click()
        secret = anna.locator("#profile-token-made").input_value()
        expect(anna.locator("#profile-tokens")).to_contain_text("till <7>")
        answer = anna.request.get(f"{program.url}/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status == 200
        anna.reload()
        expect(anna.locator("#profile-tokens")).to_contain_text("till <7>")
        expect(anna.locator("#profile-token-made")).to_have_count(0)
        anna.on("dialog", lambda dialog: dialog.accept())
        anna.get_by_role("button", name="Revoke").click()
        expect(anna.locator("#profile-tokens")).to_contain_text("No token yet")
        answer = anna.request.get(f"{program.url}/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status == 401


class TestSecondFactor:
    @pytest.mark.console_errors("status of 401")
    def test_from_the_picture_to_signing_in_without_scripts(
        self, anna: Page, program: Program, new_page: NewPage
    ) -> None:
        sign_in(anna)
        open_profile(anna)
        anna.get_by_role("link", name="Set up").click()
        anna.fill("#password", PASSWORD)
        anna.get_by_role("button", name="Set up").click()
        picture = anna.get_by_role("img", name="QR code")
        assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
        anna.locator("summary").click()
        secret = anna.locator("#secret").inner_text().replace(" ", "")
        anna.fill("#code", app_code(secret, -1))
        anna.get_by_role("button", name="Turn on").click()
        expect(anna.locator(".nv-recovery code")).to_have_count(8)
        anna.get_by_role("link", name="I have saved them").click()
        expect(anna.locator(".nv-security").last).to_contain_text("8 recovery codes are left")

        plain = new_page(java_script_enabled=False)
        plain.goto(f"{program.url}/explore")
        sign_in(plain)
        expect(plain.get_by_role("heading", name="One more step")).to_be_visible()
        plain.fill("#code", "000000")
        plain.click("button[type=submit]")
        expect(plain.get_by_role("alert")).to_contain_text("incorrect")
        plain.fill("#code", app_code(secret))
        plain.click("button[type=submit]")
        expect(plain).to_have_url(re.compile("/explore"))

        anna.reload()
        expect(anna.locator("#profile-sessions tbody tr").nth(1)).to_be_visible()
        anna.get_by_role("button", name="End all others").click()
        expect(anna.locator("#profile-sessions tbody tr")).to_have_count(1)
        plain.goto(f"{program.url}/explore")
        expect(plain).to_have_url(re.compile("/login"))

        anna.get_by_role("link", name="Change", exact=True).click()
        anna.fill("#password", PASSWORD)
        anna.get_by_role("button", name="Turn off").click()
        expect(anna.locator(".nv-security").last).to_contain_text("Set up")


class TestOnAPhone:
    @pytest.mark.usefixtures("made")
    @pytest.mark.parametrize("locale", ["en-US", "ar"])
    def test_nothing_scrolls_sideways(self, program: Program, new_page: NewPage, locale: str) -> None:
        page = new_page(viewport={"width": 390, "height": 844}, locale=locale)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{program.url}/login?next=/profile")
        sign_in(page)
        expect(page.locator("#profile-sessions table")).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
