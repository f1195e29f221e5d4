"""By keyboard alone, and by what a screen reader is told: from an alert to what was taught, and from a setting to a live rule."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import delete

from nebuloviz.db import Database
from nebuloviz.models import Alert, AlertRule

pytestmark = pytest.mark.timeout(400)

Visit = Callable[..., Page]
LONG_MS = 150_000  # for what a process of its own works out, or a chart that is drawn for the first time
MAX_STOPS = 80  # of Tab on one page; more would be a trap

pytestmark = pytest.mark.thorough  # what each page is by keyboard is in test_journeys


def tab_to(page: Page, wanted: Locator, *, key: str = "Tab") -> None:
    """Press Tab until `wanted` has the focus, which by the keyboard alone is the only way there."""
    expect(wanted).to_be_visible()
    handle = wanted.element_handle()
    for _stop in range(MAX_STOPS):
        page.keyboard.press(key)
        if handle.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{wanted} is not reached by {key}")


def choose(page: Page, control: Locator, words: str) -> None:
    """Open a list by keyboard, and take the entry that `words` find."""
    tab_to(page, control)
    page.keyboard.press("Enter")
    option = page.get_by_role("option", name=words, exact=True)
    expect(option).to_be_visible()
    for _step in range(20):
        if option.evaluate("element => element.contains(document.activeElement) || element === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(control).to_contain_text(words)


class TestAnAlert:
    def test_is_found_understood_and_answered(self, watched: Any, new_page: Callable[..., Page]) -> None:
        from tests.e2e.conftest import signed_in  # noqa: PLC0415 - pytest imports conftest files under its own rules

        page = signed_in(new_page(), f"{watched.url}/alerts?range=7d")
        rows = page.locator(".nv-alert-row")
        expect(rows).to_have_count(1)
        expect(page.get_by_role("status").filter(has_text="1 incident is shown.")).to_have_count(1)
        page.keyboard.press("j")
        expect(rows.first).to_be_focused()
        self._another(watched)
        expect(rows).to_have_count(2)  # news came in by the interval
        reading = rows.filter(has_text="south")
        expect(reading).to_be_focused()
        expect(page.get_by_role("status").filter(has_text="2 incidents are shown.")).to_have_count(1)
        page.keyboard.press("Enter")

        expect(page.get_by_role("heading", level=1)).to_have_text("Alert 1")
        chart = page.get_by_role("group", name="Around that time")
        expect(chart.locator(".main-svg").first).to_be_visible(timeout=LONG_MS)
        tab_to(page, page.get_by_role("button", name="Show as table: Around that time"))
        page.keyboard.press("Enter")
        behind = page.get_by_role("region", name="Around that time")
        expect(behind).to_be_focused()
        expect(behind.get_by_role("gridcell").first).to_be_visible()
        tab_to(page, behind.get_by_role("columnheader").first)
        page.keyboard.press("ArrowDown")
        expect(behind.get_by_role("gridcell").first).to_be_focused()
        why = page.locator("#alert-segments").get_by_role("row").nth(1)
        expect(why.get_by_role("rowheader")).to_contain_text("south")

        choose(page, page.locator("#alert-until"), "For a week")
        expected = page.get_by_role("button", name="Expected", exact=True)
        tab_to(page, expected, key="Shift+Tab")
        expect(expected).to_have_accessible_description(
            "It was planned. These hours no longer alert and do not count as normal."
        )
        page.keyboard.press("Enter")
        said = page.get_by_role("status").filter(has_text="Done. The alert is now:")
        expect(said).to_contain_text("Expected")
        expect(page.locator("#alert-history").get_by_role("listitem").first).to_contain_text("Promotion by admin")
        tab_to(page, page.get_by_role("link", name="All feedback"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Feedback to the detectors")
        taught = page.get_by_role("table", name="Feedback to the detectors").get_by_role("row").nth(1)
        expect(taught).to_contain_text("No alerts, and not counted as normal, until")

    @staticmethod
    def _another(watched: Any) -> None:
        """An alert that comes while somebody is in the list."""
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        figures = {
            "score": 0.9,
            "severity": "high",
            "observed": 1.0,
            "expected": 4.0,
            "expected_low": 2.0,
            "expected_high": 6.0,
        }
        times = {
            "bucket_start": start,
            "bucket_end": start + timedelta(hours=1),
            "created_at": start,
            "updated_at": start,
        }
        what = {
            "detector": "forest",
            "series": "revenue|channel=web",
            "metric": "revenue",
            "dimensions": '{"channel": "web"}',
        }
        with watched.shop.database.transaction() as session:
            alert = Alert(**what, **times, **figures)
            session.add(alert)
            session.flush()
            alert.incident_id = alert.id


class TestASetting:
    @pytest.fixture(autouse=True)
    def _none_left(self, program: object, environment: dict[str, str]) -> Iterator[None]:
        yield
        database = Database(f"sqlite:///{Path(environment['NEBULOVIZ_DATA_DIR']) / 'nebuloviz.sqlite3'}")
        with database.transaction() as session:
            session.execute(delete(AlertRule))
            session.execute(delete(Alert).where(Alert.detector.startswith("rule")))
        database.dispose()

    def test_is_tried_on_the_past_and_made_a_live_rule(self, visit: Visit) -> None:
        page = visit("/rules/new")
        tab_to(page, page.get_by_label("Name", exact=True))
        page.keyboard.type("Few orders")
        choose(page, page.locator('[id*="rule-field"][id*="detector"]').first, "Threshold")
        tab_to(page, page.get_by_label("Alert below"))
        page.keyboard.type("1000000")
        tab_to(page, page.get_by_role("button", name="Run the backtest"))
        page.keyboard.press("Enter")
        result = page.get_by_role("region", name="Would have alerted 1 time")
        expect(result).to_be_visible(timeout=LONG_MS)
        assert page.evaluate(
            "() => document.querySelector('#rule-backtest-result').closest('[aria-live=polite]') !== null"
        )

        show = result.get_by_role("button", name="Show as table").first
        tab_to(page, show)
        page.keyboard.press("Enter")
        expect(show).to_have_attribute("aria-expanded", "true")
        expect(result.get_by_role("region").get_by_role("gridcell").first).to_be_visible()
        real = result.get_by_role("button", name="Real")
        tab_to(page, real)
        page.keyboard.press("Enter")
        expect(real).to_have_attribute("aria-pressed", "true")
        expect(result).to_contain_text("Real: 1")
        tab_to(page, result.get_by_role("button", name="Save as the live rule"), key="Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#rule-message[role=status]")).to_contain_text("Few orders is active from now on.")
