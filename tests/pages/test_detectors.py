from datetime import timedelta
from typing import Any

import pytest
from dash.exceptions import PreventUpdate

from nebuloviz.db import Database
from nebuloviz.errors import Unavailable
from nebuloviz.services.interfaces import DetectorView, WatchedView
from nebuloviz.web.context import installation
from tests.pages.conftest import Browser, Drawn, Shop


@pytest.fixture
def page(browser: Browser) -> Any:
    """The module of the page; it can be imported only once there is a dashboard."""
    from pages import detectors  # noqa: PLC0415 - see above

    return detectors


class TestWhatIsWatched:
    def test_is_told_by_segment_with_grains_and_since_when(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        now = shop.data.now
        old, new = now - timedelta(days=9), now + timedelta(days=9)
        by_hour = tuple(WatchedView(name, "hour", old) for name in ("orders", "orders|store=305", "revenue"))
        by_day = (WatchedView("margin", "day", old), WatchedView("margin|store=306", "day", new))
        shop.alerts.watches = [
            DetectorView("series", "forest-1", old, now, by_hour),
            DetectorView("days", "forest-2", old, now, by_day),
            DetectorView("lines", "forest-3", old, None),
        ]
        watches, watched = (drawn(part) for part in page.show(""))
        assert all(words in watches for words in ("Hours", "Days", "Sale lines", "Series monitored"))
        assert watches.count("Last trained") == 3
        assert (
            watches.count("Checked until") == watches.count("Series monitored") == 2
        )  # sale lines are judged as they come
        assert "Orders, Revenue" in watched
        assert '"306"' in watched
        assert watched.count("from ") == 1  # only the new series has yet to be known for long enough

    def test_is_nothing_in_the_first_weeks(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.watches = [DetectorView(name, "", None, None) for name in ("series", "days")]
        watches, watched = (drawn(part) for part in page.show(""))
        assert "Still learning" in watches
        assert "Nothing is monitored yet" in watched

    def test_says_what_is_wrong_when_it_cannot_be_asked(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.failure = Unavailable("The database does not answer.")
        note, nothing = page.show("")
        assert "The database does not answer." in drawn(note)
        assert nothing is None


class TestSensitivity:
    @pytest.fixture
    def kept(self, writable: Database) -> Database:
        return writable

    def test_is_told_and_watching_is_switched_off_and_on_again(self, page: Any, drawn: Drawn) -> None:
        shown = drawn(page.show_sensitivity("", None))
        assert all(words in shown for words in ("False alerts per week", "Isolation forest", '"264"', "Turn off"))
        page.switch(1, "off")
        page.switch(1, "off")  # as another administrator's page still said
        assert not installation().detection
        shown = drawn(page.show_sensitivity("", None))
        assert "nothing is checked, and no alerts are raised" in shown
        assert "Turn on" in shown
        page.switch(1, "on")
        assert installation().detection

    @pytest.mark.parametrize("role", ["viewer"])
    def test_is_decided_on_by_those_alone_who_may(self, page: Any, drawn: Drawn) -> None:
        shown = drawn(page.show_sensitivity("", None))
        assert "False alerts per week" in shown
        assert "Turn off" not in shown
        with pytest.raises(PreventUpdate):
            page.switch(1, "off")
        assert installation().detection

    def test_is_none_where_nothing_is_watched_and_the_inbox_says_so(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        from pages import alerts  # noqa: PLC0415 - see above

        shop.alerts.alerts.clear()
        page.switch(1, "off")
        assert "Sales are not monitored" in drawn(alerts.show("", "", None)[0])
