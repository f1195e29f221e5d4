"""The pages of the business calendar, with the real service behind them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dash.exceptions import PreventUpdate

from nebuloviz.clock import utc_now
from nebuloviz.db import Database
from nebuloviz.services.interfaces import AlertVerdict, CalendarDraft
from nebuloviz.web.context import act, ask, services
from nebuloviz.web.reading import asking
from nebuloviz.web.views import calendar as views
from tests.pages.conftest import Browser, Drawn, Shop

TODAY = utc_now().date()
SALE = CalendarDraft("promotion", "<b>Sale</b>", TODAY, TODAY + timedelta(days=3))


@pytest.fixture
def kept(writable: Database) -> Database:
    return writable


@pytest.fixture
def page(browser: Browser) -> Any:
    from pages import calendar  # noqa: PLC0415 - it can be imported only once there is a dashboard

    return calendar


@pytest.fixture
def form(browser: Browser) -> Any:
    from pages import calendar_entry  # noqa: PLC0415 - as above

    return calendar_entry


def test_it_begins_empty_and_says_what_to_do(page: Any, browser: Browser, drawn: Drawn) -> None:
    agenda, _step = page.show_agenda(None, None, 0)
    assert "Nothing is planned in these months" in drawn(agenda)
    entries, hours, expected = page.show_rest("calendar-entries")
    assert "No alert was marked as expected" in drawn(expected)
    assert "No entries yet" in drawn(entries)
    assert drawn(hours).count("nv-select") == 14


def test_what_was_said_on_an_alert_to_be_expected_stands_in_it(page: Any, shop: Shop, drawn: Drawn) -> None:
    shop.alerts.now = now = utc_now()
    act(services().alerts.judge, 1, AlertVerdict("expected", "price_change", now + timedelta(days=9)))
    _entries, _hours, expected = page.show_rest("calendar-entries")
    assert all(words in drawn(expected) for words in ("Price change", "/alerts/1", "Dairy"))
    act(services().alerts.unjudge, 1)
    assert "Price change" not in drawn(page.show_rest("calendar-entries")[2])


def test_what_was_entered_is_listed_and_leads_to_its_form(page: Any, browser: Browser, drawn: Drawn) -> None:
    view = act(services().calendar.add, SALE)
    agenda, step = page.show_agenda(None, None, 0)
    assert "<b>Sale</b>" in drawn(agenda)
    assert "DangerouslyAllowHtml" not in drawn(agenda)
    browser.triggers("calendar-later.n_clicks", 1)
    later, step = page.show_agenda(None, 1, step)
    assert (step, "Nothing is planned" in drawn(later)) == (1, True)
    assert f"/calendar/{view.id}" in drawn(page.show_rest("calendar-entries")[0])


def test_charts_show_what_is_planned_for_what_they_are_about(browser: Browser, drawn: Drawn) -> None:
    from pages import explore, overview  # noqa: PLC0415 - as above

    act(services().calendar.add, SALE)
    act(services().calendar.add, replace(SALE, kind="closure", name="Rebuilding", dimension="region", value="North"))
    browser.triggers()
    with asking("?range=28d") as asked:
        chart = overview.trend(asked)
        assert "Closed: Rebuilding (region: North)" in drawn(chart.figure).replace("Region", "region")
        assert chart.table is not None
        assert "Rebuilding" in drawn(chart.table())
    assert "&lt;b&gt;Sale&lt;/b&gt;" in drawn(explore.draw("?range=28d", "1", "light", 1))
    with asking("?range=28d&f.region=South") as asked:
        assert [item.days.name for item in asked.planned(asked.query(grain="day"))] == ["<b>Sale</b>"]


def test_hours_are_said_and_left_to_be_learned_again(page: Any, drawn: Drawn) -> None:
    ids = [views.hour_id(day, end) for day in range(7) for end in ("from", "until")]
    values = [540, 1080] * 6 + [-1, 1440]
    assert "Saved" in drawn(page.save_hours(1, True, ids, values))
    assert ask(services().calendar.hours) == ((540, 1080),) * 6 + ((0, 0),)
    assert "seven weekdays" in drawn(page.save_hours(1, True, ids, [99999] * 14))
    page.save_hours(1, False, ids, values)
    assert ask(services().calendar.hours) == ()
    for odd in (None, [1], [{"day": "x", "end": 1}]):
        assert views.hours_of(odd, [540]) == ((0, 0),) * 7


def test_an_entry_from_its_form_to_its_end(form: Any, browser: Browser, drawn: Drawn) -> None:
    said = ("promotion", "", "Sale", str(TODAY), str(TODAY), None)
    first, rest, version = form.show("new")
    assert (rest, version, "All sales" in drawn(first)) == (None, None, True)
    form.save(1, *said, "new", None)
    assert browser.props["_pages_location"] == {"pathname": "/calendar"}
    (view,) = ask(services().calendar.entries)
    assert view.draft == CalendarDraft("promotion", "Sale", TODAY, TODAY)
    _fields, rest, version = form.show(view.id)
    assert (version, "Remove Sale" in drawn(rest)) == (1, True)
    assert "name" in drawn(form.save(1, "closure", "", "", str(TODAY), None, None, view.id, 1))
    assert "somebody else" in drawn(form.save(1, *said, view.id, 7))
    form.remove(1, view.id, 1)
    assert not ask(services().calendar.entries)
    assert "no such entry" in drawn(form.show(view.id)[0])


def test_another_kind_asks_for_something_else(form: Any, drawn: Drawn) -> None:
    shown = drawn(form.show_fields("holidays", "x", None, None, "DE"))
    assert ("Germany" in shown, "every year" in shown) == (True, True)
    odd = views.draft_of(["x"], {"a": 1}, 5, "no day", "2026-02-30", 7)
    assert odd == CalendarDraft("closure")
    assert views.draft_of("open", "region=a=b", "n", "2026-05-14T00:00", None, "").value == "a=b"


def test_what_nobody_clicked_does_nothing(page: Any, form: Any) -> None:
    for callback, said in ((page.save_hours, (1, [], [])), (form.save, ()), (form.remove, (1, 1))):
        with pytest.raises(PreventUpdate):
            callback(None, *said)
