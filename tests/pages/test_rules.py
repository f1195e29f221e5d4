"""The list of rules and the form of one, over the real service."""

from typing import Any

import pytest
from dash.exceptions import PreventUpdate

from nebuloviz.services.interfaces import RuleDraft
from nebuloviz.web.views import rules as views


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
        assert "After so many hours or days without any" in fields
        with pytest.raises(PreventUpdate):
            page.show_parameters(values, ids, [3], [views.parameter_id("buckets")])


@pytest.fixture
def page(browser: Any) -> Any:
    """The module of the page; it can be imported only once there is a dashboard."""
    from pages import rule  # noqa: PLC0415 - see above

    return rule
