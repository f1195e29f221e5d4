"""A person's whole way through an installation, in a left-to-right and a right-to-left language.

An administrator invites an analyst for one department; the analyst signs in with a second factor, sees that department alone in
tile, chart, table, XLSX, API and alert, and is shut out while looking at a page.
"""

import io
import re
from contextlib import suppress
from dataclasses import dataclass

import httpx
import openpyxl
import pandas as pd
import pytest
from playwright.sync_api import Error, Page, expect

from nebuloviz.i18n import Preferences, use
from nebuloviz.i18n import gettext as _
from tests.browser import PATIENCE_MS, NewPage
from tests.e2e.conftest import PASSWORD, Program, Visit
from tests.program import app_code

DEPARTMENT = "Dairy"
ENDED = "Your session has ended. Sign in again; if that is refused, your account may be disabled: ask an administrator."


@dataclass
class Analyst:
    """The invited person: name, browser, and once it is set up the secret of the second factor."""

    name: str
    page: Page
    url: str
    secret: str = ""

    def accept(self, link: str) -> None:
        """Set a password by the one-time link, which signs in."""
        self.page.goto(link)
        self.page.fill("#new", PASSWORD)
        self.page.fill("#again", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector(".nv-frame")

    def set_up_second_factor(self) -> None:
        self.page.goto(f"{self.url}/second-factor")
        self.page.fill("#password", PASSWORD)
        self.page.click("button[value=begin]")
        self.page.locator("summary").click()
        self.secret = self.page.locator("#secret").inner_text().replace(" ", "")
        self.page.fill("#code", app_code(self.secret, -1))
        self.page.click("button[value=confirm]")
        expect(self.page.locator(".nv-recovery code")).to_have_count(8)

    def sign_in(self, path: str) -> None:
        self.page.context.clear_cookies()
        self.page.goto(self.url + path)
        self.page.fill("input[name=username]", self.name)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(_("One more step"))
        self.page.fill("#code", app_code(self.secret))
        self.page.click("button[type=submit]")
        self.page.wait_for_selector(".nv-frame")

    def api(self) -> httpx.Client:
        """A program of the analyst's own."""
        asked = {"username": self.name, "password": PASSWORD, "code": app_code(self.secret, 1)}
        answer = httpx.post(f"{self.url}/api/v1/auth/token", json=asked)
        token = answer.raise_for_status().json()["access_token"]
        return httpx.Client(base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)


def invite(admin: Page, name: str) -> str:
    """Create an analyst who sees one department; the one-time link."""
    admin.locator('[id*="user-field"][id*="name"]').fill(name)
    choose(admin, "role", _("Analyst"))
    choose(admin, "category", DEPARTMENT)
    admin.keyboard.press("Escape")
    admin.click("#user-save")
    link = admin.locator("#user-link-address")
    expect(link).to_be_visible()
    return link.input_value()


def choose(page: Page, name: str, option: str) -> None:
    page.locator(f'[id*="user-field"][id*="{name}"]').first.click()
    page.locator(".dash-dropdown-option", has_text=re.compile(f"^{option}$")).click()


def tile(page: Page) -> str:
    """The first figure of Overview, of all time."""
    figure = page.locator(".nv-tile-figure").first
    expect(figure).to_contain_text("$")
    return figure.inner_text()


def other_alerts(admin: Page, url: str) -> list[str]:
    """The ids of the alerts that are of no single department, or of another one."""
    admin.goto(f"{url}/alerts?range=all")
    rows = admin.locator(".nv-alert-row")
    expect(rows).to_have_count(2)
    others = rows.filter(has_not_text=DEPARTMENT)
    expect(others).to_have_count(1)
    return [(others.get_attribute("href") or "").rpartition("/")[2].partition("?")[0]]


def sees_one_department(analyst: Analyst, total: float, others: list[str]) -> None:
    """Chart, the table behind it, its XLSX, the API and the alerts: the department, and the total is the department's.

    `others`: alerts that the analyst is to know nothing of.
    """
    page = analyst.page
    page.goto(f"{analyst.url}/explore?range=all&axis=value&by=category&vs=none")
    page.locator("#explore-chart-body.nv-ready .main-svg").first.wait_for()
    expect(page.locator("#explore-chart-figure .barlayer .point path")).to_have_count(1)
    page.click("#explore-chart-view")
    expect(page.locator("#explore-chart-table tbody tr")).to_have_count(1)
    expect(page.locator("#explore-chart-table tbody tr")).to_contain_text(DEPARTMENT)
    page.locator(".nv-card", has=page.locator("#explore-chart-body")).hover()
    with page.expect_download() as download:
        page.locator("#explore-chart-head a[href^='/export/xlsx']").click()
    rows = list(openpyxl.load_workbook(io.BytesIO(download.value.path().read_bytes())).active.values)
    assert [(row[0], row[1]) for row in rows[1:]] == [(DEPARTMENT, pytest.approx(total))]

    with analyst.api() as api:
        asked = {"metrics": "revenue", "dimensions": "department", "start": "2020-01-01", "end": "2100-01-01"}
        assert api.get("/query", params=asked).json()["rows"] == [[DEPARTMENT, pytest.approx(total)]]
        total_alone = {key: value for key, value in asked.items() if key != "dimensions"}
        assert api.get("/query", params=total_alone).json()["rows"] == [[pytest.approx(total)]]
        alerts = api.get("/alerts").json()["items"]
        assert [api.get(f"/alerts/{id_}").status_code for id_ in others] == [404] * len(others)
    assert [alert["dimensions"] for alert in alerts] == [{"category": DEPARTMENT}]

    page.goto(f"{analyst.url}/alerts?range=all")
    expect(page.locator(".nv-alert-row")).to_have_count(1)
    expect(page.locator(".nv-alert-row")).to_contain_text(DEPARTMENT)
    page.goto(f"{analyst.url}/alerts/{others[0]}")
    expect(page.locator("main .nv-state")).to_be_visible()
    expect(page.locator("#alert-head")).to_have_count(0)


@pytest.mark.timeout(300)
@pytest.mark.console_errors("status of 401")
@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.thorough), "ar"])
def test_sees_one_department_and_is_shut_out_while_looking(
    program: Program, visit: Visit, new_page: NewPage, language: str
) -> None:
    with use(Preferences(language)):
        admin = visit("/users/new", locale=language)
        page = new_page(locale=language)
        page.set_default_timeout(PATIENCE_MS)
        analyst = Analyst(f"rania-{language}", page, program.url)
        analyst.accept(invite(admin, analyst.name))
        own = admin.url
        assert re.search(r"/users/\d+$", own)

        analyst.set_up_second_factor()
        analyst.sign_in("/?range=all")
        assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
        admin.goto(f"{program.url}/?range=all&f.category={DEPARTMENT}")
        assert tile(page) == tile(admin)
        admin.goto(f"{program.url}/?range=all")
        assert tile(page) != tile(admin)

        sales = pd.read_csv(program.sales)
        total = sales.loc[sales["category"] == DEPARTMENT, "amount"].sum()
        sees_one_department(analyst, total, other_alerts(admin, program.url))

        admin.goto(own)
        admin.get_by_role("button", name=_("Disable"), exact=True).click()
        expect(admin.get_by_role("button", name=_("Enable"), exact=True)).to_be_visible()
        # Unless the page itself has noticed by its next look for news
        with suppress(Error):  # it is on its way already
            page.evaluate("""document.querySelector('.nv-rail a[href^="/explore"]')?.click()""")
        expect(page).to_have_url(re.compile(r"/login\?next="))
        expect(page.get_by_role("alert")).to_contain_text(_(ENDED))
