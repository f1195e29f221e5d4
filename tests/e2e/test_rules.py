"""From a setting that is tried on the past to the mail about what it found live, in a browser, by a German reader."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import delete, select

from nebuloviz.db import Database
from nebuloviz.models import Alert, AlertRule, User
from tests.browser import PATIENCE_MS
from tests.e2e.conftest import PASSWORD, Program
from tests.receivers import Mailbox, mailbox

NAME = "berta"
CALLBACKS = re.compile("_dash-update-component")
_MAKES_RULE = re.compile(r'"changedPropIds":\[[^]]*rule-use')
PATIENCE_SECONDS = 200  # a watch that has just begun learns first, and gives way to all others


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened


@pytest.fixture
def berta(program: Program, environment: dict[str, str], box: Mailbox) -> Iterator[httpx.Client]:
    """An analyst who reads German and has an address, as a program of hers; her alerts are gone afterwards."""
    database = Database(f"sqlite:///{Path(environment['NEBULOVIZ_DATA_DIR']) / 'nebuloviz.sqlite3'}")
    with database.transaction() as session:
        admin = session.scalars(select(User).where(User.name_key == "admin")).one()
        about = {"language": "de", "email": f"{NAME}@example.com", "created_at": admin.created_at}
        session.add(User(username=NAME, name_key=NAME, password_hash=admin.password_hash, role="analyst", **about))
    with _signed_in(program, "admin") as api:
        api.patch("/settings", json=box.settings).raise_for_status()
    with _signed_in(program, NAME) as api:
        yield api
    with _signed_in(program, "admin") as api:
        api.patch("/settings", json={"smtp_host": ""}).raise_for_status()
    with database.transaction() as session:
        session.execute(delete(AlertRule))
        session.execute(delete(Alert).where(Alert.detector.startswith("rule")))
        session.execute(delete(User).where(User.name_key == NAME))
    database.dispose()


def _signed_in(program: Program, name: str) -> httpx.Client:
    asked = {"username": name, "password": PASSWORD}
    token = httpx.post(f"{program.url}/api/v1/auth/token", json=asked).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=f"{program.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)


@pytest.mark.timeout(400)
def test_a_setting_that_was_tried_on_the_past_tells_by_mail_what_it_finds_live(
    program: Program, berta: httpx.Client, box: Mailbox, new_page: Callable[..., Page]
) -> None:
    channel = {"name": "Post", "kind": "mail", "group_minutes": 0}
    berta.post("/notifications/channels", json=channel).raise_for_status()
    page = new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{program.url}/rules/new")
    page.fill("input[name=username]", NAME)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")

    page.get_by_label("Name", exact=True).fill("Wenig Bestellungen")
    page.locator('[id*="rule-field"][id*="detector"]').first.click()
    page.get_by_role("option", name="Schwellenwert").click()
    page.get_by_label("Alarm unter").fill("1000000")
    page.get_by_role("button", name="An der Vergangenheit erproben").click()
    result = page.locator("#rule-backtest-result")
    expect(result).to_contain_text("Hätte 1-mal alarmiert")  # four weeks on end, so it is one
    expect(result.locator(".main-svg").first).to_be_visible()
    result.get_by_role("button", name="Echt").click()
    expect(result).to_contain_text("Echt: 1")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("html")).to_have_js_property("scrollWidth", 390)
    page.set_viewport_size({"width": 1280, "height": 900})

    held: list[Route] = []
    page.route(
        CALLBACKS,
        lambda route: held.append(route) if _MAKES_RULE.search(route.request.post_data or "") else route.continue_(),
    )
    result.get_by_role("button", name="Als laufende Regel speichern").click()
    page.get_by_role(
        "button", name="Hell oder dunkel"
    ).click()  # which draws the pressed button anew, and Dash asks again
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(held) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert len(held) == 2
    for route in held:
        route.continue_()
    page.unroute(CALLBACKS)
    expect(page.locator("#rule-message")).to_contain_text("beobachtet ab jetzt")
    expect(page).to_have_url(re.compile(r"/rules/\d+$"))  # which leads to it again
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not box.messages and time.monotonic() < deadline:
        page.wait_for_timeout(250)
    (message,) = box.messages
    assert message["To"] == f"{NAME}@example.com"
    text = message.get_body(("plain",))
    assert text is not None
    assert "Bestellungen" in text.get_content()

    page.goto(f"{program.url}/rules")
    expect(page.locator("#rules-table tbody tr")).to_contain_text("Alarm offen")
