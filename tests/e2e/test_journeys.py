"""A reader's way through the real program, in a real browser. No page may ask another host, log an error or throw."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import func, select

from nebuloviz.db import Database
from nebuloviz.i18n import Preferences, use
from nebuloviz.i18n import gettext as _
from nebuloviz.metrics.registry import metric
from nebuloviz.models import Alert
from nebuloviz.services.wording import value_text
from nebuloviz.settings import load
from tests.browser import NewPage
from tests.e2e.conftest import Program, Visit, Watched, sign_in, signed_in, watch

pytestmark = pytest.mark.timeout(300)


def chart(page: Page, name: str, of: str = "") -> Locator:
    """The chart of a slot, once it is drawn; `of` where the page has several under one name."""
    body, figure = (
        f'[id=\'{{"of":"{of}","type":"{name}-{part}"}}\']' if of else f"#{name}-{part}" for part in ("body", "figure")
    )
    page.locator(f"{body}.nv-ready .main-svg").first.wait_for()
    return page.locator(figure)


def bars_of(page: Page, dimension: str) -> Locator:
    """The bars by a dimension on Overview, largest first, without those of the comparison."""
    body = page.locator(f'[id*="overview-body"][id*="by-{dimension}"].nv-ready')
    body.wait_for()
    return body.locator(".barlayer .trace").last.locator(".point path")


def range_of(graph: Locator) -> list[str]:
    """From when to when a chart over time shows."""
    found: list[str] = graph.locator(".js-plotly-plot").evaluate("graph => graph._fullLayout.xaxis.range")
    return found


def press(page: Page, mark: Locator) -> None:
    """Click where the mark is: Plotly takes clicks with a layer of its own, above all marks."""
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def rows_of(file: Path) -> list[dict[str, Any]]:
    """A downloaded CSV or XLSX by its headings; figures as they were written."""
    content = file.read_bytes()
    if content.startswith(b"PK"):
        heads, *rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
        return [dict(zip(heads, row, strict=True)) for row in rows]
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def download(page: Page, link: Locator) -> Path:
    with page.expect_download() as found:
        link.click()
    return found.value.path()


def shown_as(amount: Any) -> str:
    """An amount of a file as a page shows it."""
    return value_text(metric("revenue"), math.nan if amount in {None, ""} else float(amount))


class TestFromSignInToAlerts:
    @pytest.mark.parametrize("language", ["en", "ar"])
    def test_by_clicks_with_everything_in_the_url(self, program: Program, new_page: NewPage, language: str) -> None:
        """In Arabic the page is mirrored, and time still runs to the right."""
        page = signed_in(new_page(locale=language), program.url)
        with use(Preferences(language=language, currency="USD")):
            self.narrow_overview(page, mirrored=language == "ar")
            self.explore(page)
            self.take_files(page)
            self.look_into_an_alert(page)

    def narrow_overview(self, page: Page, *, mirrored: bool) -> None:
        expect(page.get_by_role("heading", level=1)).to_have_text(_("Overview"))
        tile = page.locator(".nv-tile-figure").first
        expect(tile).to_contain_text("$")
        whole = tile.text_content()
        trend = chart(page, "overview", "trend")
        assert page.locator("html").get_attribute("dir") == ("rtl" if mirrored else "ltr")
        assert trend.evaluate("element => getComputedStyle(element).direction") == "ltr"
        rail = page.locator(".nv-rail").bounding_box()
        assert rail is not None
        assert (rail["x"] > 600) is mirrored

        press(page, bars_of(page, "category").first)
        expect(page).to_have_url(re.compile(r"f\.category=Grocery"))
        expect(page.locator(".nv-chip-value")).to_have_text("Grocery")
        expect(tile).not_to_have_text(whole or "")
        expect(page.locator("#overview-feed .nv-feed")).to_have_count(0)
        expect(page.locator("#overview-ticker .nv-ticker-where").first).to_contain_text("Grocery")
        page.go_back()
        expect(page.locator(".nv-chip")).to_have_count(0)
        expect(tile).to_have_text(whole or "")
        expect(page.locator("#overview-feed .nv-feed li").first).to_be_visible()
        page.go_forward()
        expect(page.locator(".nv-chip")).to_have_count(1)

    def explore(self, page: Page) -> None:
        page.locator(".nv-rail").get_by_role("link", name=_("Explore")).click()
        expect(page).to_have_url(re.compile(r"/explore\?.*f\.category=Grocery"))
        expect(page.locator(".nv-rail .nv-active")).to_contain_text(_("Explore"))
        chart(page, "explore-chart")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 1280
        expect(page.locator("#explore-lines-count")).not_to_be_empty()
        expect(page.locator("#explore-lines .ag-row .ag-cell").first).not_to_be_empty()

    def take_files(self, page: Page) -> None:
        """The picture, and both files: of the table behind the chart, and of a table that was sorted."""
        card, heading = page.locator(".nv-card", has=page.locator("#explore-chart-body")), str(metric("revenue").label)
        card.hover()
        picture = download(page, card.locator("[data-nv-action=png]")).read_bytes()
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(picture) > 10_000
        csv_link, xlsx_link = (page.locator("#explore-chart-head a", has_text=kind) for kind in ("CSV", "XLSX"))

        page.locator("#explore-chart-view").click()
        expect(page.locator("#explore-chart-table tbody tr")).to_have_count(28)
        shown = page.locator("#explore-chart-table tbody tr td:nth-child(2)").all_text_contents()
        for link in (csv_link, xlsx_link):
            assert [shown_as(row[heading]) for row in rows_of(download(page, link))] == shown

        page.locator(".nv-kinds a[href*='chart=table']").click()
        grid = page.locator("#explore-chart-note .ag-root")
        grid.locator(".ag-header-cell[col-id=revenue]").click()
        expect(grid.locator(".ag-header-cell[col-id=revenue]")).to_have_attribute("aria-sort", "ascending")
        expect(grid.locator(".ag-row[row-index='3']")).to_be_visible()
        first = [grid.locator(f".ag-row[row-index='{row}'] [col-id=revenue]").text_content() for row in range(4)]
        for link in (csv_link, xlsx_link):
            found = rows_of(download(page, link))
            assert [shown_as(row[heading]) for row in found[:4]] == first
            assert len(found) == 28

    def look_into_an_alert(self, page: Page) -> None:
        page.locator(".nv-rail").get_by_role("link", name=_("Alerts")).click()
        expect(page.locator("#alerts-list")).to_contain_text("Grocery")  # of which there is none
        page.locator(".nv-chip-remove").click()
        page.locator(".nv-alert-row", has_text="Dairy").click()
        expect(page).to_have_url(re.compile(r"/alerts/\d+"))
        chart(page, "alert-course")
        expect(page.locator("#alert-head")).to_contain_text("Dairy")

    def test_a_category_is_the_same_in_file_chart_and_export(self, visit: Visit, program: object) -> None:
        page = visit("/explore?range=all&axis=value&by=category&vs=none")
        chart(page, "explore-chart")
        page.locator(".nv-card", has=page.locator("#explore-chart-body")).hover()
        with page.expect_download() as download:
            page.locator("#explore-chart-head").get_by_role("link", name=re.compile("CSV")).click()
        rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
        sales = pd.read_csv(program.sales)  # type: ignore[attr-defined]
        wanted = sales.groupby("category")["amount"].sum()
        heads = list(rows[0])
        found = {row[heads[0]].lstrip("'"): float(row[heads[1]]) for row in rows}
        assert found == pytest.approx(wanted.to_dict())

    def test_an_alert_is_acknowledged_with_a_note(self, visit: Visit) -> None:
        page = visit("/alerts?range=all")
        page.locator(".nv-alert-row", has_text="Dairy").click()
        expect(page).to_have_url(re.compile(r"/alerts/\d+"))
        chart(page, "alert-course")
        expect(page.locator("#alert-head")).to_contain_text("below expected")
        page.fill("#alert-note", "the fridge was <b>off</b>")
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#alert-history")).to_contain_text("Acknowledged by admin")
        expect(page.locator("#alert-history")).to_contain_text("the fridge was <b>off</b>")


class TestFromAnAlertToQuiet:
    def test_what_was_said_to_be_expected_is_not_heard_of_again(self, watched: Watched, new_page: NewPage) -> None:
        """The watch is the real one, with the clock of the test: two days later the south is shut again, for a day."""
        page = signed_in(new_page(), f"{watched.url}/alerts?range=7d")
        rows = page.locator(".nv-alert-row")
        expect(rows).to_have_count(1)
        rows.first.click()
        expect(page.locator("#alert-head")).to_contain_text("below expected")
        expect(page.locator("#alert-segments tbody tr").first).to_contain_text("south")
        page.locator("#alert-until").click()
        page.get_by_text("For a week", exact=True).click()
        page.get_by_role("button", name="Expected", exact=True).click()
        expect(page.locator("#alert-history")).to_contain_text("Promotion by admin")
        page.get_by_role("link", name="All feedback").click()
        expect(page.locator("#taught-list")).to_contain_text("No alerts, and not counted as normal, until")

        told, untold = watched.shop, replace(watched.shop, database=Database(f"sqlite:///{watched.before}"))
        for shop in (told, untold):
            shop.sell_hours(2 * 24 + 8)
            shop.sell_hours(12, without=["south"])
            shop.sell_hours(4)
            watch(shop, load(data_dir=watched.before.parent).secret())
        with untold.database.session() as session:
            assert [alert.series for alert in session.scalars(select(Alert).offset(1))], "unsaid, it is heard of again"
        page.goto(f"{watched.url}/alerts?range=7d")
        expect(page.locator("#alerts-list .nv-state")).to_be_visible()
        with told.database.session() as session:
            assert session.scalar(select(func.count()).select_from(Alert)) == 1
        untold.database.dispose()


class TestByKeyboard:
    def test_the_field_for_a_file_is_called_what_its_place_says(self, visit: Visit) -> None:
        page = visit("/users/import")
        field = page.locator("#users-file input[type=file]")
        expect(field).to_have_attribute("aria-label", "Drop the file here, or choose one")

    def test_shortcuts_lead_everywhere(self, visit: Visit) -> None:
        page = visit("/")
        chart(page, "overview", "trend")
        page.keyboard.press("g")
        page.keyboard.press("a")
        expect(page).to_have_url(re.compile("/alerts"))
        expect(page.locator("#alerts-list .nv-alert-row, #alerts-list .nv-state").first).to_be_visible()
        page.keyboard.press("?")
        expect(page.locator("#nv-help")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("o")
        expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()

    def test_an_alert_is_reached_by_tab_and_enter(self, visit: Visit) -> None:
        page = visit("/alerts?range=all")
        page.locator(".nv-alert-row").first.focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/alerts/\d+"))

    def test_alerts_are_an_inbox(self, visit: Visit) -> None:
        """Down, up, acknowledge, and snooze for a reason; the row keeps the focus however often the list is drawn anew."""
        page = visit("/alerts?range=all&q=revenue&state=open&state=acknowledged&state=snoozed")
        rows = page.locator(".nv-alert-row")
        expect(rows).to_have_count(2)
        for key, place in (("j", 0), ("j", 1), ("j", 1), ("k", 0)):
            page.keyboard.press(key)
            expect(rows.nth(place)).to_be_focused()
        page.keyboard.press("s")
        expect(page.locator("#inbox-reason")).to_be_focused()
        page.keyboard.type("the carrier knows")
        page.locator("#inbox-confirm").press("Enter")
        expect(rows.first).to_contain_text("Snoozed")
        expect(rows.first).to_be_focused()
        page.keyboard.press("a")
        expect(rows.first).to_contain_text("Acknowledged")
        expect(rows.first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#alert-history")).to_contain_text("the carrier knows")

    def test_a_zoom_outlives_new_figures_until_it_is_undone(self, visit: Visit) -> None:
        page = visit("/explore")
        graph = chart(page, "explore-chart")
        drawn, whole = graph.locator(".js-plotly-plot"), range_of(graph)
        # No reader is as fast as to zoom before Plotly has kept what the whole range is
        expect(drawn).to_have_js_property("nebulovizWatched", True)
        page.wait_for_function(
            "() => document.querySelector('#explore-chart-figure .js-plotly-plot')._fullLayout.xaxis._rangeInitial0"
        )
        drawn.evaluate(
            """graph => {
                const [first, last] = graph._fullLayout.xaxis.range;
                const middle = new Date((Date.parse(first) + Date.parse(last)) / 2).toISOString();
                return Plotly.relayout(graph, {"xaxis.range": [first, middle]}).then(() => null);
            }"""
        )
        expect(drawn).not_to_have_js_property("nebulovizZoom", None)
        zoomed = range_of(graph)
        assert zoomed != whole
        line = graph.locator(".scatterlayer .js-line").last
        colour = str(line.evaluate("line => line.style.stroke"))
        page.keyboard.press("t")  # all charts are drawn anew, in other colours
        expect(line).not_to_have_css("stroke", colour)
        assert range_of(graph) == zoomed
        box = graph.locator(".nsewdrag").first.bounding_box()
        assert box is not None
        page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + 60)
        expect(drawn).to_have_js_property("nebulovizZoom", None)
        assert range_of(graph) == whole
        expect(page).to_have_url(re.compile("/explore$"))  # neither click asked for what lies there

    def test_the_table_behind_a_chart_has_its_rows(self, visit: Visit) -> None:
        page = visit("/explore?axis=value&by=category")
        chart(page, "explore-chart")
        button = page.locator("#explore-chart-view")
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#explore-chart-table tbody tr").first).to_contain_text("Grocery")


class TestOnAPhone:
    @pytest.mark.parametrize("path", ["/", "/explore", "/alerts", "/data"])
    def test_nothing_scrolls_sideways(self, visit: Visit, path: str) -> None:
        page = visit(path, viewport={"width": 390, "height": 844})
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.locator(".nv-skeleton-chart:visible").first.wait_for(state="hidden")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


class TestSessions:
    @pytest.mark.console_errors("status of 401")
    def test_one_that_has_ended_leads_back_to_the_same_view(self, visit: Visit) -> None:
        page = visit("/explore?range=7d")
        chart(page, "explore-chart")
        page.context.clear_cookies()
        expect(page).to_have_url(re.compile(r"/login\?next="))
        sign_in(page)
        expect(page).to_have_url(re.compile(r"/explore\?range=7d"))


class TestSilence:
    def test_a_server_that_does_not_answer_is_told_of_until_it_does(self, visit: Visit) -> None:
        page = visit("/alerts")
        age, silence = page.locator("#shell-age"), page.get_by_text("No answer from the server")
        expect(age).to_be_visible()
        expect(silence).to_be_hidden()
        page.locator("[data-nv-patience]").evaluate("words => words.setAttribute('data-nv-patience', '3')")

        def hold(_request: Route) -> None:
            """Answers nothing."""

        page.route(re.compile("_dash-update-component"), hold)
        expect(silence).to_be_visible()
        expect(age).to_be_hidden()
        page.unroute(re.compile("_dash-update-component"))  # lets go of what was held
        expect(age).to_be_visible()
        expect(silence).to_be_hidden()

    @pytest.mark.console_errors("ERR_CONNECTION_REFUSED", "the server did not respond")
    def test_one_that_is_gone_is_told_of_at_once_and_what_is_chosen_comes_later(self, visit: Visit) -> None:
        page = visit("/")
        silence, content = (
            page.locator(".nv-away"),
            page.locator(".nv-content > :has(> #_pages_content)"),
        )
        subtitle = page.locator(".nv-page-subtitle")
        expect(subtitle).to_contain_text("Last 28 days")
        expect(silence).to_be_hidden()
        page.route(re.compile("_dash-update-component"), lambda request: request.abort("connectionrefused"))
        expect(silence).to_be_visible()
        expect(content).to_have_css("opacity", "0.7")
        page.locator("#filter-range").click()
        page.get_by_text("Last 7 days", exact=True).click()
        expect(subtitle).to_contain_text("Last 28 days")  # of which the figures are
        page.unroute(re.compile("_dash-update-component"))
        expect(silence).to_be_hidden()
        expect(content).to_have_css("opacity", "1")
        expect(subtitle).to_contain_text("Last 7 days")


class TestImport:
    def test_a_file_is_sent_mapped_and_counted(self, visit: Visit, tmp_path: Path) -> None:
        file = tmp_path / "more sales.csv"
        file.write_text(
            "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice\n"
            "900001,85123A,6,2026-11-01 08:26,2.55\n"
            "900002,85123A,oops,2026-11-01 08:27,2.55\n",
            encoding="utf-8",
        )
        page = visit("/data")
        page.locator("#data-drop").hover()
        page.locator("#data-file").set_input_files(file)
        expect(page.locator(".nv-mapping")).to_be_visible()
        expect(page.locator("#data-form")).to_contain_text("85123A")
        page.get_by_role("button", name="Import", exact=True).click()
        imported = page.locator("#data-imports li.nv-import", has_text="more sales.csv")
        expect(imported).to_contain_text("1 sale accepted")
        expect(imported).to_contain_text("1 rejected")
        page.reload()
        expect(page.locator("#data-letters .ag-row").first).to_contain_text("Not a number")

    def test_lines_of_json_are_sent_and_counted_without_a_mapping(self, visit: Visit, tmp_path: Path) -> None:
        file = tmp_path / "more.ndjson"
        sale = {
            "order_id": "900003",
            "sold_at": "2026-11-01T08:26:00Z",
            "product_id": "85123A",
            "quantity": 1,
            "amount": 2,
        }
        lines = [json.dumps(sale | {"sale_id": f"900003-{number}"}) for number in range(2)]
        file.write_text("\n".join(lines), encoding="utf-8")
        page = visit("/data")
        page.locator("#data-drop").hover()
        assert ".ndjson" in (page.locator("#data-file").get_attribute("accept") or "")
        page.locator("#data-file").set_input_files(file)
        expect(page.locator("#data-form")).to_contain_text("900003-1")
        page.get_by_role("button", name="Import", exact=True).click()
        imported = page.locator("#data-imports li.nv-import", has_text="more.ndjson")
        expect(imported).to_contain_text("2 sales accepted")
