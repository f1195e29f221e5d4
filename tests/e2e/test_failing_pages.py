"""What readers of the pages about alerts see while there is no answer: what was said last and why that is all, or an outline."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, Route, expect

from nebuloviz.db import Database
from tests.servers import PostgresServer

pytestmark = pytest.mark.timeout(300)

Visit = Callable[..., Page]
CALLBACKS = re.compile("_dash-update-component")
pytestmark = pytest.mark.thorough  # a database that is gone is in test_failing and tests/faults, too

#: Page -> what shows that its parts are there.
PAGES = {
    "/alerts?range=all": "#alerts-list .nv-alert-row",
    "/incidents/1": "#incident-alerts li",
    "/alerts/1": "#alert-history li",
    "/insights": "#insights-range .nv-card:not(:has(> .nv-skeleton))",
    "/detectors": "#detectors-watches .nv-card",
    "/rules": "#rules-table .nv-state",
    "/rules/new": "#rule-form input",
    "/notifications": "#notifications-channels .nv-state",
    "/calendar": "#calendar-hours input",
    "/lessons": "#taught-list .nv-state",
}


@pytest.fixture
def over_postgres(environment: dict[str, str], migrated_postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """A program whose database is PostgreSQL, with two alerts in it; its address."""
    from tests.e2e.conftest import PASSWORD, add_alerts, served  # noqa: PLC0415 - pytest imports conftest files under its own rules

    database = Database(migrated_postgres_url)
    add_alerts(database)
    database.dispose()
    own = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": migrated_postgres_url,
        "SECRET_KEY": "x" * 8 + PASSWORD,
        "WATCH": "off",
    }
    with served(environment | {f"NEBULOVIZ_{name}": value for name, value in own.items()}) as url:
        yield url


class TestADatabaseThatIsGone:
    @pytest.mark.console_errors("status of 503", "Callback error")
    def test_leaves_each_page_with_what_it_showed_and_they_go_on_when_it_is_back(
        self, over_postgres: str, postgres: PostgresServer, new_page: Callable[..., Page]
    ) -> None:
        from tests.e2e.conftest import signed_in  # noqa: PLC0415 - see above

        first = signed_in(new_page(), f"{over_postgres}/alerts?range=all")
        opened = {path: first.context.new_page() for path in PAGES}
        for path, page in opened.items():
            page.goto(over_postgres + path)
        for path, page in opened.items():
            expect(page.locator(PAGES[path]).first).to_be_visible()
        postgres.crash()
        for path, page in opened.items():
            expect(page.locator(".nv-away")).to_be_visible()
            expect(page.locator(PAGES[path]).first).to_be_visible()
            expect(page.locator(".nv-page-title")).to_be_visible()
        postgres.start()
        for path, page in opened.items():
            expect(page.locator(".nv-away")).to_be_hidden()
            expect(page.locator(PAGES[path]).first).to_be_visible()


def hold(_route: Route) -> None:
    """Answers nothing."""


class TestAPageThatTakesItsTime:
    def test_has_an_outline_until_it_comes_and_so_have_its_parts(self, visit: Visit) -> None:
        page = visit("/alerts?range=all")
        expect(page.locator(".nv-alert-row").first).to_be_visible()
        for path, part in PAGES.items():
            page.route(CALLBACKS, hold)
            page.goto(urljoin(page.url, path))
            outline = page.locator("#_pages_content [aria-busy=true]").first
            expect(outline).to_be_visible()
            expect(outline).to_have_accessible_name("Loading")
            page.unroute(CALLBACKS)  # lets go of what was held
            expect(page.locator(part).first).to_be_visible()
            expect(page.locator("#_pages_content [aria-busy=true]:visible")).to_have_count(0)
