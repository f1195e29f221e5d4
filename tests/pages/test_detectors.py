from datetime import timedelta
from typing import Any

import pytest

from nebuloviz.errors import Unavailable
from nebuloviz.services.interfaces import DetectorView, WatchedView
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
        assert all(words in watches for words in ("Hours", "Days", "Sale lines", "Series watched"))
        assert watches.count("Last trained") == 3
        assert (
            watches.count("Judged until") == watches.count("Series watched") == 2
        )  # sale lines are judged as they come
        assert "Orders, Revenue" in watched
        assert '"306"' in watched
        assert watched.count("from ") == 1  # only the new series has yet to be known for long enough

    def test_is_nothing_in_the_first_weeks(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.watches = [DetectorView(name, "", None, None) for name in ("series", "days")]
        watches, watched = (drawn(part) for part in page.show(""))
        assert "Still learning" in watches
        assert "Nothing is watched yet" in watched

    def test_says_what_is_wrong_when_it_cannot_be_asked(self, page: Any, shop: Shop, drawn: Drawn) -> None:
        shop.alerts.failure = Unavailable("The database does not answer.")
        note, nothing = page.show("")
        assert "The database does not answer." in drawn(note)
        assert nothing is None
