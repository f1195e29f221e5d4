import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dash import no_update
from dash.exceptions import PreventUpdate

from nebuloviz.errors import Unavailable
from nebuloviz.permissions import SYSTEM
from nebuloviz.services.interfaces import DetectorView
from tests.fakes import alert
from tests.pages.conftest import Browser, Drawn, Shop


@pytest.fixture
def page(browser: Browser) -> Any:
    """The module of the list; it can be imported only once there is a dashboard."""
    from pages import alerts  # noqa: PLC0415 - see above

    return alerts


@pytest.fixture
def detail(browser: Browser) -> Any:
    """The module of a single alert's page."""
    from pages import alert  # noqa: PLC0415 - see above

    return alert


@pytest.fixture
def several(shop: Shop) -> Shop:
    start = shop.data.now - timedelta(hours=5)
    times = {"bucket_start": start, "bucket_end": start + timedelta(hours=1)}
    shop.alerts.alerts = {
        1: alert(1, **times),
        2: alert(
            2, severity="critical", series="orders|store=305", metric="orders", dimensions={"store": "305"}, **times
        ),
        3: alert(3, state="resolved", **times),
        4: alert(4, bucket_start=start - timedelta(days=90), bucket_end=start - timedelta(days=90)),
    }
    return shop


class TestList:
    @pytest.mark.parametrize(
        ("search", "shown"),
        [
            ("", [2, 1]),
            ("?range=all", [4, 2, 1]),
            ("?state=resolved", [3]),
            ("?severity=critical", [2]),
            ("?q=store", [2]),
            ("?f.store=305", [2]),
        ],
    )
    def test_shows_what_the_url_asks_for(
        self, page: Any, several: Shop, drawn: Drawn, search: str, shown: list[int]
    ) -> None:
        listed, *_rest = page.show(search, "", None)
        text = drawn(listed)
        places = {number: text.find(f'"/alerts/{number}"') for number in range(1, 5)}
        assert sorted((number for number in places if places[number] >= 0), key=places.__getitem__) == shown

    def test_nothing_open_is_good_news_and_no_fault_of_the_filters(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.alerts.clear()
        assert "Nothing unusual" in drawn(page.show("", "", None)[0])
        assert "No alerts match" in drawn(page.show("?severity=low&range=today", "", None)[0])

    def test_resolved_ones_of_the_range_are_not_hushed_up(self, page: Any, several: Shop, drawn: Drawn) -> None:
        several.alerts.alerts = {3: several.alerts.alerts[3]}
        text = drawn(page.show("", "", None)[0])
        assert ("Nothing open" in text, "1 alert in this range is resolved." in text) == (True, True)
        assert "Nothing unusual" not in text

    def test_says_when_nothing_matches(self, page: Any, drawn: Drawn) -> None:
        listed, hidden, *_pills = page.show("?f.store=999&range=all", "", None)
        assert "Store: 999" in drawn(listed)
        assert hidden

    def test_a_failure_says_what_to_do(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.failure = Unavailable("The database does not answer.")
        assert "The database does not answer." in drawn(page.show("", "", None)[0])

    def test_a_refresh_that_fails_leaves_the_list_as_it_is(self, page: Any, shop: Shop, browser: Browser) -> None:
        shop.alerts.failure = Unavailable("The database does not answer.")
        browser.triggers("shell-stamp.data", "1")
        with pytest.raises(Unavailable):
            page.show("", "1", None)

    @pytest.mark.parametrize(("version", "learning"), [("", True), ("forest-1", False)])
    def test_no_alert_says_nothing_while_what_is_normal_is_being_learned(
        self, page: Any, shop: Shop, drawn: Drawn, version: str, learning: bool
    ) -> None:
        shop.alerts.alerts = {}
        shop.alerts.watches = [DetectorView("series", version, None, None), DetectorView("lines", "", None, None)]
        listed = drawn(page.show("", "", None)[0])
        assert ("Still learning what is normal" in listed) == learning
        assert ("There were no alerts in this period." in listed) != learning

    def test_pills_switch_a_state_on_and_off(self, page: Any, several: Shop, drawn: Drawn) -> None:
        _list, _hidden, states, severities, *_rest = page.show("", "", None)
        assert '"/alerts?state=open&state=acknowledged&state=snoozed"' in drawn(states)
        assert '"/alerts?severity=critical"' in drawn(severities)

    @pytest.mark.parametrize(("typed", "then"), [("Dairy", "?q=Dairy"), ("", None), (None, None), ("a\x00b", "?q=ab")])
    def test_search_goes_into_the_url(self, page: Any, browser: Browser, typed: Any, then: str | None) -> None:
        page.choose_search(typed, "")
        assert browser.search == then


def buttons(part: Any) -> list[Any]:
    """The buttons of a drawn component."""
    if isinstance(part, list):
        return [found for item in part for found in buttons(item)]
    if not isinstance(part, dict):
        return []
    return [part] if part.get("type") == "Button" else buttons(part.get("props", {}).get("children"))


class TestInbox:
    def test_is_left_as_it_is_while_it_would_look_the_same(self, page: Any, several: Shop) -> None:
        *_parts, status, shown = page.show("", "", None)
        assert status.startswith("2 incidents are shown. Newest: ")
        assert set(page.show("", "news", None, None, shown)) == {no_update}
        several.alerts.alerts[1] = alert(1, state="resolved", bucket_start=several.alerts.alerts[1].bucket_start)
        assert page.show("", "news", None, None, shown)[0] is not no_update

    def test_acts_from_a_row(self, page: Any, several: Shop, browser: Browser, drawn: Drawn) -> None:
        browser.triggers('{"do":"acknowledge","of":2,"type":"inbox-act"}.n_clicks', 1)
        assert "Done for 1 alert." in drawn(page.decide([None, 1])[1])
        assert several.alerts.alerts[2].state == "acknowledged"
        browser.triggers('{"do":"resolve","of":99,"type":"inbox-act"}.n_clicks', 1)
        assert "There is no incident 99." in drawn(page.decide([1])[1])

    def test_snoozes_from_a_row_for_a_reason(self, page: Any, several: Shop, browser: Browser, drawn: Drawn) -> None:
        several.alerts.now = datetime.now(UTC)
        browser.triggers('{"do":"snooze","of":1,"type":"inbox-act"}.n_clicks', 1)
        assert page.decide([1]) == (no_update, None, 1)
        assert "This was not done" in drawn(page.snooze(1, 1, "", "week")[1])
        assert "Done for 1 alert." in drawn(page.snooze(1, 1, "The carrier knows", "week")[1])
        assert several.alerts.alerts[1].state == "snoozed"

    @pytest.mark.parametrize("role", ["viewer"])
    def test_offers_nothing_to_who_may_not_decide(self, page: Any, several: Shop, drawn: Drawn) -> None:
        assert "inbox-act" not in drawn(page.show("", "", None)[0])


class TestIncident:
    @pytest.fixture
    def incident(self, browser: Browser, several: Shop) -> Any:
        """The module of its page; its first two alerts are one."""
        for number in (1, 2):
            several.alerts.alerts[number] = replace(several.alerts.alerts[number], incident_id=1)
        from pages import incident  # noqa: PLC0415 - as above

        return incident

    def test_is_one_line_of_the_list_with_its_alerts(self, page: Any, incident: Any, drawn: Drawn) -> None:
        listed = page.show("", "", None)[0]
        assert len(listed.children) == 1
        text = drawn(listed)
        assert ('"/incidents/1"' in text, '"/alerts/2"' in text, "2 alerts" in text) == (True, True, True)

    def test_shows_alerts_causes_and_history(self, incident: Any, drawn: Drawn) -> None:
        head, alerts, history, acts = map(drawn, incident.show(1, "", None))
        assert "Critical" in head
        assert '"/alerts/1"' in alerts
        assert '"/alerts/2"' in alerts
        assert history.count("Raised") == 2
        assert "Resolve 2 alerts" in acts
        assert "305" in drawn(incident.causes(1))

    def test_is_resolved_as_a_whole(self, incident: Any, several: Shop, browser: Browser, drawn: Drawn) -> None:
        browser.triggers('{"of":"resolve","type":"incident-act"}.n_clicks', 1)
        assert "Done for 2 alerts." in drawn(incident.decide([None, 1], 1)[1])
        assert {several.alerts.alerts[number].state for number in (1, 2)} == {"resolved"}

    @pytest.mark.parametrize("number", ["", "x", "9999"])
    def test_one_that_is_not_there_is_said(self, incident: Any, drawn: Drawn, number: str) -> None:
        assert "There is no such incident" in drawn(incident.layout(incident_id=number))


class TestOne:
    def test_shows_what_was_expected_and_rings_the_point(self, detail: Any, several: Shop) -> None:
        answer = detail.course(1, "", "light", None)
        assert "with=expected&with=calendar" in str(answer["head"])
        marks = [mark for trace in answer["figure"].data for mark in trace.customdata or () if mark[2] == 1]
        assert marks

    def test_shows_where_it_comes_from_and_the_sales(self, detail: Any, several: Shop, drawn: Drawn) -> None:
        assert "305" in drawn(detail.segments(1))
        assert "65%" in drawn(detail.segments(1))
        assert '"rowData"' in drawn(detail.lines(1))

    def test_says_what_moved_revenue_by_volume_price_and_mix(
        self, detail: Any, several: Shop, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = drawn(detail.split(1))
        for words in ("Units: 5 instead of 20", "−75.0%", "the same products cost more", "more lower-priced products"):
            assert words in told
        monkeypatch.setattr(type(several.alerts), "split", lambda *_: None)
        assert "Nothing to compare with" in drawn(detail.split(1))

    def test_lists_what_else_stood_out_at_its_time_and_not_itself(
        self, detail: Any, several: Shop, drawn: Drawn
    ) -> None:
        first = several.alerts.alerts[1]
        several.alerts.alerts[2] = replace(
            several.alerts.alerts[2], bucket_start=first.bucket_start, bucket_end=first.bucket_end
        )
        told = drawn(detail.others(1, ""))
        assert "/alerts/2" in told
        assert '"/alerts/1"' not in told
        of_another_time = {
            number: replace(each, bucket_start=first.bucket_end, bucket_end=first.bucket_end + timedelta(hours=1))
            for number, each in several.alerts.alerts.items()
            if number != 1
        }
        several.alerts.alerts.update(of_another_time)
        assert "No other alert overlaps it in time." in drawn(detail.others(1, ""))

    def test_is_acknowledged_with_a_note(self, detail: Any, several: Shop, browser: Browser, drawn: Drawn) -> None:
        browser.triggers("alert-acknowledge.n_clicks", 1)
        version, message = detail.decide(1, None, None, None, "the fridge was off", "hour", 1, 1)
        assert version is not no_update
        assert "Done. The alert is now: Acknowledged" in drawn(message), "a screen reader says so"
        assert several.alerts.alerts[1].state == "acknowledged"
        _head, history = detail.show(1, "", None)
        assert "the fridge was off" in drawn(history)
        assert "Acknowledged by ann" in drawn(history)

    def test_what_somebody_else_decided_is_not_overwritten(
        self, detail: Any, several: Shop, browser: Browser, drawn: Drawn
    ) -> None:
        several.alerts.alerts[1] = alert(1, state="acknowledged", version=2)
        browser.triggers("alert-resolve.n_clicks", 1)
        version, message = detail.decide(None, 1, None, None, "", "hour", 1, 1)
        assert several.alerts.alerts[1].state == "acknowledged"
        assert "Somebody else" in drawn(message)
        assert version is not no_update, "the page shows it as it is now"

    def test_is_snoozed_with_a_reason_and_commented_on(
        self, detail: Any, several: Shop, browser: Browser, drawn: Drawn
    ) -> None:
        several.alerts.now = now = datetime.now(UTC)
        browser.triggers("alert-snooze.n_clicks", 1)
        _version, refused = detail.decide(None, None, 1, None, "", "tomorrow", 1, 1)
        assert "This was not done" in drawn(refused)
        assert "Snoozed" in drawn(detail.decide(None, None, 1, None, "the carrier knows", "tomorrow", 1, 1)[1])
        until = several.alerts.alerts[1].snoozed_until
        assert until is not None
        assert (until.hour, until.date()) == (9, now.date() + timedelta(days=1))
        browser.triggers("alert-comment.n_clicks", 1)
        assert "Snoozed" in drawn(detail.decide(None, None, None, 1, "a second look", "hour", 1, 2)[1])
        history = drawn(detail.show(1, "", None)[1])
        assert "Snoozed until" in history
        assert "a second look" in history

    def test_is_given_to_somebody(self, detail: Any, several: Shop, drawn: Drawn) -> None:
        card, version = detail.show_decision(1, None)
        assert '"bob"' in drawn(card)
        detail.give("bob", 1, version)
        assert several.alerts.alerts[1].owner == "bob"
        assert "Assigned to bob by ann" in drawn(detail.show(1, "", None)[1])
        with pytest.raises(PreventUpdate):
            detail.give("bob", 1, version)

    def test_is_judged_and_the_verdict_taken_back(
        self, detail: Any, several: Shop, browser: Browser, drawn: Drawn
    ) -> None:
        several.alerts.now = now = datetime.now(UTC)
        browser.triggers('{"of":"expected","type":"alert-verdict"}.n_clicks', 1)
        said = detail.judge([None, 1, None, None], None, "holiday", "tomorrow", "Diwali", 1, 1)[1]
        assert "Expected" in drawn(said)
        (taught,) = several.alerts.taught(None, SYSTEM)  # type: ignore[arg-type]  # the double needs no session
        assert (taught.verdict.reason, taught.verdict.until) == (
            "holiday", datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=2)
        )  # fmt: skip
        assert "Expected: Holiday by ann" in drawn(detail.show(1, "", None)[1])
        from pages import lessons  # noqa: PLC0415 - as above

        assert "No alerts, and not counted as normal, until" in drawn(lessons.show(None))
        browser.triggers('{"of":1,"type":"taught-back"}.n_clicks', 1)
        assert "Undone" in drawn(lessons.take_back([1])[1])
        assert "No feedback yet" in drawn(lessons.show(None))

    def test_a_resolved_one_can_be_reopened_and_its_history_added_to(
        self, detail: Any, several: Shop, drawn: Drawn
    ) -> None:
        card, _version = detail.show_decision(3, None)
        decisions = json.loads(drawn(card.children[0]))
        shown = {button["props"]["id"]: not button["props"].get("hidden") for button in buttons(decisions)}
        assert shown == {
            "alert-acknowledge": False, "alert-resolve": False, "alert-reopen": True, "alert-comment": True,
            "alert-snooze": True,
        }  # fmt: skip
        assert '"hidden": true' in drawn(card.children[0].children[2])

    @pytest.mark.parametrize(
        ("counted", "said"), [(None, ""), (10.0, "still outside the expected range"), (1e6, "still outside")]
    )
    def test_what_late_sales_made_of_it_is_said(
        self, detail: Any, several: Shop, drawn: Drawn, counted: float | None, said: str
    ) -> None:
        several.alerts.late[1] = counted
        head = drawn(detail.show(1, "", None)[0])
        assert ("More sales from this time have arrived since" in head, said in head) == (counted is not None, True)
        several.alerts.late[1] = several.alerts.alerts[1].expected
        assert "within the expected range" in drawn(detail.show(1, "", None)[0])

    @pytest.mark.parametrize("alert_id", ["", "x", "-1", "1" * 40, "9999"])
    def test_one_that_is_not_there_is_said(self, detail: Any, several: Shop, drawn: Drawn, alert_id: str) -> None:
        gone = drawn(detail.layout(alert_id=alert_id, utm_source="mail"))
        assert ("There is no such alert" in gone, "alert-course" in gone) == (True, False)
        number = int(alert_id) if alert_id.isdecimal() and len(alert_id) < 18 else 0
        head, *_rest = detail.show(number, "", None)
        assert "There is no alert" in drawn(head)
