from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nebuloviz.metrics.query import COMPARISONS, GRAINS, Filter
from nebuloviz.metrics.registry import DIMENSIONS, METRICS
from nebuloviz.web.chart_kinds import CHARTS
from nebuloviz.web.state import ALERT_STATES, CARRIED_PARAMS, PRESETS, SEVERITIES, TOPS, PageState, Span

_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
_DAY = st.dates(date(1990, 1, 1), date(2090, 1, 1))
_MOMENT = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


_Value = TypeVar("_Value", bound=str)


def _some(values: tuple[str, ...], most: int, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=least, max_size=most).map(tuple)


def _subset(values: tuple[_Value, ...], least: int = 0) -> st.SearchStrategy[tuple[_Value, ...]]:
    return st.sets(st.sampled_from(values), min_size=least).map(lambda chosen: tuple(v for v in values if v in chosen))


_SPAN = st.one_of(
    st.none(),
    st.builds(lambda first, days: Span(first, first + timedelta(days=days)), _DAY, st.integers(0, 900)),
    st.builds(lambda first, length: Span(first, first + timedelta(seconds=length)), _MOMENT, st.integers(1, 10**7)),
)
_FILTER = st.builds(
    Filter,
    st.sampled_from([d.slug for d in DIMENSIONS]),
    st.sampled_from(["in", "not_in"]),
    st.lists(_TEXT, min_size=1, max_size=3).map(tuple),
)


@st.composite
def _states(draw: st.DrawFn) -> PageState:
    span = draw(_SPAN)
    return PageState(
        preset="28d" if span else draw(st.sampled_from(PRESETS)),  # a URL that names days needs no preset beside them
        span=span,
        comparison=draw(st.sampled_from([None, *COMPARISONS])),
        filters=tuple(draw(st.lists(_FILTER, max_size=4))),
        metrics=draw(_some(tuple(m.slug for m in METRICS), 2, least=1)),
        by=draw(_some(tuple(d.slug for d in DIMENSIONS), 2)),
        grain=draw(st.sampled_from([None, *GRAINS])),
        over_time=draw(st.booleans()),
        chart=draw(st.sampled_from(["", *(chart.slug for chart in CHARTS)])),
        top=draw(st.sampled_from(TOPS)),
        ahead=draw(st.booleans()),
        zone=draw(st.sampled_from(["", "UTC", "Asia/Kolkata", "America/St_Johns"])),
        alert_states=draw(_subset(ALERT_STATES)),
        severities=draw(_subset(SEVERITIES)),
        search=draw(_TEXT),
    )


class TestUrl:
    @given(_states())
    def test_holds_the_whole_state(self, state: PageState) -> None:
        assert PageState.from_search(state.to_search()) == state

    @given(st.text(max_size=80))
    def test_any_text_reads_as_some_state(self, text: str) -> None:
        state = PageState.from_search(text)
        assert PageState.from_search(state.to_search()) == state

    def test_the_usual_state_needs_none(self) -> None:
        assert PageState().to_search() == ""
        assert PageState.from_search("") == PageState.from_search(None) == PageState()

    @pytest.mark.parametrize(
        "search",
        [
            "?range=forever",
            "?from=2026-11-22&to=2026-11-01",
            "?from=2026-11-01",
            "?from=2026-11-01&to=2026-11-02T00:00:00Z",
            "?from=2026-11-01T00:00:00&to=2026-11-02T00:00:00",
            "?from=0001-01-01&to=9999-12-31",
            "?m=profit_of_doom",
            "?by=colour",
            "?f.colour=red",
            "?f.category=%00",
            "?grain=fortnight",
            "?vs=yesteryear",
            "?tz=Mars/Olympus",
            "?tz=../../etc/passwd",
            "?chart=Pie%203D",
            "?top=7000000",
            "?state=imaginary",
            "?utm_source=mail",
            "?" + "&".join("f.store=1" for _ in range(3000)),
        ],
    )
    def test_leaves_out_what_it_does_not_understand(self, search: str) -> None:
        assert PageState.from_search(search) == PageState()

    def test_a_bad_part_does_not_take_its_neighbours_along(self) -> None:
        state = PageState.from_search(
            "?range=7d&f.colour=red&f.Category=x&f.=x&f.category!!=x&f.category=Dairy&m=nothing&vs=year"
        )
        assert (state.preset, state.comparison) == ("7d", "year")
        assert state.filters == (Filter("category", "in", ("Dairy",)),)

    def test_the_order_of_filters_does_not_matter(self) -> None:
        one = PageState.from_search("?f.store=2&f.category=B&f.category=A")
        assert one == PageState.from_search("?f.category=A&f.category=B&f.store=2")

    def test_a_value_that_is_not_given_can_be_filtered(self) -> None:
        assert PageState.from_search("?f.region=").filters == (Filter("region", "in", ("",)),)

    @given(_states())
    def test_the_browser_knows_what_goes_along_to_another_page(self, state: PageState) -> None:
        names = {name for name in parse_qs(state.carried().to_search()[1:]) if not name.startswith("f.")}
        assert names <= set(CARRIED_PARAMS)


class TestSpan:
    def test_days_are_those_of_the_viewer_and_the_last_is_included(self) -> None:
        start, end = Span(date(2026, 11, 1), date(2026, 11, 2)).bounds(ZoneInfo("Asia/Kolkata"))
        assert start.astimezone(UTC) == datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
        assert end - start == timedelta(days=2)

    def test_a_day_with_a_change_of_clocks_has_its_own_length(self) -> None:
        start, end = Span(date(2026, 3, 29), date(2026, 3, 29)).bounds(ZoneInfo("Europe/Berlin"))
        assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=23)

    def test_moments_stay_the_same_moments_in_every_zone(self) -> None:
        start = datetime(2026, 11, 1, 13, tzinfo=UTC)
        span = Span(start, start + timedelta(hours=1))
        assert span.bounds(ZoneInfo("Asia/Tokyo")) == span.bounds(ZoneInfo("UTC"))


class TestChanges:
    def test_a_click_filters_and_the_same_click_undoes_it(self) -> None:
        clicked = PageState().toggled("category", "Dairy")
        assert clicked.values_of("category") == ("Dairy",)
        assert clicked.toggled("category", "Dairy") == PageState()
        assert clicked.toggled("category", "Meat").values_of("category") == ("Meat",)

    def test_removing_a_value_keeps_the_others(self) -> None:
        state = PageState().filtered("store", ["1", "2"]).filtered("store", ["3"], "not_in")
        assert state.without("store", "1").values_of("store") == ("2",)
        assert state.without("store", "3", "not_in").filters == (Filter("store", "in", ("1", "2")),)

    def test_reset_keeps_what_is_looked_at(self) -> None:
        state = PageState(preset="7d", comparison=None, metrics=("orders",), by=("store",)).toggled("store", "1")
        assert state.reset() == PageState(metrics=("orders",), by=("store",))

    def test_a_point_in_time_becomes_the_range(self) -> None:
        start = datetime(2026, 11, 1, 13, tzinfo=ZoneInfo("Asia/Tokyo"))
        state = PageState(preset="7d").within(start, start + timedelta(hours=1))
        assert state.to_search().startswith("?range=7d&from=2026-11-01T04%3A00%3A00Z&to=2026-11-01T05%3A00%3A00Z")
