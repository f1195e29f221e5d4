"""The list of rules and the form of one, over the real service."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dash.exceptions import PreventUpdate

from nebuloviz.detection.series import SeriesKey
from nebuloviz.i18n import Preferences, use
from nebuloviz.services.interfaces import (
    BacktestCourse,
    BacktestSide,
    BacktestView,
    PlannedDays,
    PlannedTime,
    RuleDraft,
    WouldBeAlert,
)
from nebuloviz.web.figures import Style
from nebuloviz.web.views import backtests
from nebuloviz.web.views import rules as views
from tests.pages.conftest import Drawn


def sent(**values: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    return [views.field_id(name) for name in values], list(values.values())


class TestTheForm:
    @pytest.mark.parametrize(
        ("segment", "watched"),
        [
            ("", ("", None)),
            ("region=*", ("region", None)),
            ("region==North", ("region", "North")),
            ("store==", ("store", "")),
            ("region===*", ("region", "=*")),
        ],
    )
    def test_says_what_is_watched(self, segment: str, watched: tuple[str, str | None]) -> None:
        draft = views.draft_of(*sent(name="A", metric="units", segment=segment, grain="day", enabled=True), [], [])
        assert (draft.dimension, draft.value) == watched
        assert views.segment_of(draft) == segment
        assert (draft.name, draft.metric, draft.grain, draft.enabled) == ("A", "units", "day", True)

    @pytest.mark.parametrize("junk", [None, 5, [], {}, "x", [None], True])
    def test_takes_anything_that_a_browser_may_send(self, junk: Any) -> None:
        wild = sent(name=junk, metric=junk, segment=junk, grain=junk, detector=junk, enabled=junk)
        for draft in (views.draft_of(junk, junk, junk, junk), views.draft_of(*wild, [views.parameter_id("x")], [junk])):
            assert isinstance(draft, RuleDraft)
            assert all(value is None or isinstance(value, float) for _name, value in draft.parameters)

    def test_asks_for_the_numbers_of_another_detector(self, page: Any) -> None:
        ids, values = sent(detector="silence")
        fields = str(page.show_parameters(values, ids, [0.5], [views.parameter_id("false_alerts")]))
        assert "After this many hours or days without any" in fields
        with pytest.raises(PreventUpdate):
            page.show_parameters(values, ids, [3], [views.parameter_id("buckets")])


@pytest.fixture
def page(browser: Any) -> Any:
    """The module of the page; it can be imported only once there is a dashboard."""
    from pages import rule  # noqa: PLC0415 - see above

    return rule


START = datetime(2026, 6, 1, tzinfo=UTC)


def tried(label: str = "") -> BacktestView:
    """Four hours, the second of which would have alerted."""
    starts = tuple(START + timedelta(hours=n) for n in range(4))
    alert = WouldBeAlert("orders|region=north", starts[1], starts[2], 0.0, 9.0, "high", label)
    course = BacktestCourse(alert.series, starts, (9.0, 0.0, None, 9.0), (5.0,) * 4, (12.0,) * 4)
    side = BacktestSide(RuleDraft("", "threshold", "orders"), 1, (alert,), (course,))
    return BacktestView(1, "done", START, START + timedelta(hours=4), 1, 1, "", (side,))


@pytest.mark.parametrize("label", ["", "real"])
def test_a_label_that_is_sent_twice_is_taken_once(label: str) -> None:
    """As long as the reader sees it as it was, pressing it means the same."""
    real, expected = backtests.label_id(0, 0, "real"), backtests.label_id(0, 0, "expected")
    for seen, said in (("false", "real"), ("true", "")):
        found = backtests.chosen(tried(label), real, [expected, real], ["false", seen])
        assert found is not None
        assert found[2] == said


@pytest.mark.parametrize("junk", [None, 5, {}, "x", [None], [[1]]])
def test_labels_take_anything_that_a_browser_may_send(junk: Any) -> None:
    real = backtests.label_id(0, 0, "real")
    for id, ids, pressed in ((junk, [real], ["true"]), (real, junk, ["true"]), (real, [real], junk)):
        found = backtests.chosen(tried(), id, ids, pressed)
        assert found is None or found[2] == "real"


def test_a_backtest_is_told_of_in_the_reader_s_language(drawn: Drawn) -> None:
    with use(Preferences("de", "UTC")):
        shown = drawn(backtests.result(tried(), Style(), lambda _key: []))
    assert "Alerts it would have raised" not in shown


def test_a_backtest_is_drawn_on_the_reader_s_clock_with_what_was_planned(drawn: Drawn) -> None:
    view, start = tried(), START
    starts = [start + timedelta(hours=n) for n in range(4)]
    days = PlannedDays(start.date(), start.date(), "closure", "Stocktaking", "region", "north", 1)
    asked = []

    def planned(key: SeriesKey) -> list[PlannedTime]:
        asked.append(key)
        return [PlannedTime(starts[2], starts[3], days)]

    with use(Preferences("en", "Asia/Kolkata")):
        shown = drawn(backtests.result(view, Style(), planned))
    assert "2026-06-01T05:30:00" in shown
    assert shown.count("Closed: Stocktaking (Region: north)") == 1
    assert asked == [SeriesKey("orders", (("region", "north"),))]
