"""Names that are markup elsewhere, seen in a real browser: to the letter in chart, hover, axis, grid and alert, and never run.

Where they have PostgreSQL and Redis behind them: what pages are given by either database is looked at in `test_injection`, and
what a browser makes of it is the same.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from nebuloviz.models import Alert, AlertEvent
from tests.browser import PATIENCE_MS
from tests.security.conftest import NOW, Target, sale

NAMES = (
    "<b>bold</b>",
    "<img src=x onerror=window.ran=1>",
    '<a href="javascript:window.ran=1">x</a>',
    "javascript:window.ran=1",
    "<svg/onload=window.ran=1>",
)
pytestmark = pytest.mark.parametrize(
    "target", [pytest.param("postgresql", marks=pytest.mark.servers)], indirect=True, scope="session"
)


@pytest.fixture(scope="module")
def shop(target: Target) -> Target:
    """Sales of the last days whose every name is markup, and an alert on one."""
    sales = [
        sale(
            50_000 + 100 * day + number,
            sold_at=(NOW - timedelta(days=day, hours=1)).isoformat(),
            product=name,
            product_id=name,
            category=name,
            store=name,
            region=name,
            channel=name,
            country=name,
            amount=1_000 + 10 * number,
        )
        for day in range(6)
        for number, name in enumerate(NAMES)
    ]
    answer = target.api("data_scientist").post("/api/v1/sales", json=sales).json()
    assert answer["rejected"] == 0, answer
    hour = NOW.replace(minute=0, second=0)
    with target.database.transaction() as session:
        alert = Alert(
            detector="forest",
            series=f"revenue|category={NAMES[1]}",
            metric="revenue",
            dimensions=json.dumps({"category": NAMES[1]}),
            bucket_start=hour - timedelta(hours=3),
            bucket_end=hour - timedelta(hours=2),
            observed=10.0,
            expected=40.0,
            expected_low=25.0,
            expected_high=60.0,
            score=0.9,
            severity="high",
            created_at=hour,
            updated_at=hour,
        )
        session.add(alert)
        session.flush()
        alert.incident_id = alert.id
        session.add(AlertEvent(alert_id=alert.id, at=hour, kind="raised"))
        target.alert_id = alert.id
    manager, at = target.api("admin"), f"/api/v1/alerts/{target.alert_id}"
    day = (NOW + timedelta(days=1)).date().isoformat()
    entry = {"kind": "promotion", "name": NAMES[1], "first": day, "dimension": "category", "value": NAMES[0]}
    for said in (
        manager.post(f"{at}/comment", json={"text": NAMES[1]}),
        manager.post("/api/v1/calendar/entries", json=entry),
    ):
        assert said.is_success, said.text
    return target


@pytest.fixture
def visit(shop: Target, new_page: Callable[..., Page]) -> Callable[[str], Page]:
    """A page that an administrator looks at."""

    cookies = [{"name": name, "value": value, "url": shop.url} for name, value in shop.browser("admin").cookies.items()]

    def open_page(path: str) -> Page:
        page = new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.context.add_cookies(cookies)  # type: ignore[arg-type]  # a TypedDict, as Playwright takes it
        page.goto(shop.url + path)
        page.wait_for_selector(".nv-frame")
        return page

    return open_page


def check(page: Page) -> None:
    """No name has become an element, a link or a script."""
    assert page.evaluate("window.ran === undefined"), page.url
    assert page.locator("[onerror], [onload], img[src=x], .js-plotly-plot a[*|href]").count() == 0, page.url
    assert page.locator("a[href^='javascript:']").count() == 0, page.url
    assert page.locator(".js-plotly-plot :text-is('bold')").count() == 0, page.url


#: Each list is seen in one browser's context, which compiles the scripts of the pages once.
PATHS = {
    "overview and lists": ["/", "/alerts", "/alerts/{alert}", "/data"],
    "explore": [
        "/explore?m=revenue&by=category",
        "/explore?m=revenue&by=product&chart=treemap",
        "/explore?m=revenue&by=store&chart=stack&grain=day",
        "/explore?m=revenue&by=store&by=category&chart=heatmap",
        "/explore?m=revenue&by=category&chart=table",
    ],
}


@pytest.mark.parametrize(
    "paths", [PATHS["overview and lists"], pytest.param(PATHS["explore"], marks=pytest.mark.thorough)], ids=PATHS
)
def test_names_are_shown_to_the_letter(shop: Target, visit: Callable[[str], Page], paths: list[str]) -> None:
    page = visit(paths[0])
    for path in paths:
        page.goto(shop.url + path.format(alert=shop.alert_id))
        page.wait_for_selector(".nv-frame")
        if "explore" in path or path == "/":
            page.wait_for_selector(".js-plotly-plot .main-svg, .ag-row")
        page.wait_for_timeout(1500)
        check(page)
        if path != "/data":
            expect(page.locator("body")).to_contain_text(re.compile(r"<(b>bold|img src=x|a href|svg/onload)"))
        for mark in page.locator(".js-plotly-plot .bars .point, .js-plotly-plot .slice").all()[:3]:
            box = mark.bounding_box()
            if box:  # else it has been drawn again meanwhile
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(200)
            check(page)


def test_what_people_say_is_shown_to_the_letter(shop: Target, visit: Callable[[str], Page]) -> None:
    page = visit(f"/alerts/{shop.alert_id}")
    for path in (f"/alerts/{shop.alert_id}", f"/incidents/{shop.alert_id}", "/calendar"):
        page.goto(shop.url + path)
        expect(page.locator("main")).to_contain_text(re.compile(r"<(b>bold|img src=x|a href|svg/onload)"))
        check(page)
