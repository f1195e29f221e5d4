from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from nebuloviz.i18n import Preferences, use
from nebuloviz.metrics.query import GRAINS, Filter
from nebuloviz.web.question import (
    bounds,
    bucket_end,
    filter_words,
    grain_of,
    grains_for,
    query_of,
    range_words,
    without_own_filter,
)
from nebuloviz.web.state import PRESETS, PageState, Span

#: A Wednesday; in Berlin it is already Thursday.
NOW = datetime(2026, 4, 1, 22, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _reader() -> Iterator[None]:
    with use(Preferences(time_zone="Europe/Berlin")):
        yield


def days(state: PageState, first_sale: datetime | None = None) -> tuple[str, str]:
    """The first day of the range and the day after its last, on the reader's clock."""
    start, end = bounds(state, NOW, first_sale)
    return start.isoformat(), end.isoformat()


class TestRanges:
    @pytest.mark.parametrize(
        ("preset", "start", "end"),
        [
            ("today", "2026-04-02T00:00:00+02:00", "2026-04-03T00:00:00+02:00"),
            ("yesterday", "2026-04-01T00:00:00+02:00", "2026-04-02T00:00:00+02:00"),
            ("7d", "2026-03-27T00:00:00+01:00", "2026-04-03T00:00:00+02:00"),
            ("week", "2026-03-30T00:00:00+02:00", "2026-04-03T00:00:00+02:00"),
            ("month", "2026-04-01T00:00:00+02:00", "2026-04-03T00:00:00+02:00"),
            ("quarter", "2026-04-01T00:00:00+02:00", "2026-04-03T00:00:00+02:00"),
            ("year", "2026-01-01T00:00:00+01:00", "2026-04-03T00:00:00+02:00"),
        ],
    )
    def test_are_whole_days_of_the_reader(self, preset: str, start: str, end: str) -> None:
        assert days(PageState(preset=preset)) == (start, end)

    def test_all_begins_with_the_first_sale(self) -> None:
        first = datetime(2025, 7, 4, 9, tzinfo=UTC)
        assert days(PageState(preset="all"), first)[0] == "2025-07-04T00:00:00+02:00"
        assert days(PageState(preset="all"))[0] == "2025-04-03T00:00:00+02:00"

    def test_all_of_sales_in_the_future_is_not_empty(self) -> None:
        start, end = bounds(PageState(preset="all"), NOW, NOW + timedelta(days=9))
        assert start < end

    @pytest.mark.parametrize("preset", PRESETS)
    def test_have_words_and_a_query(self, preset: str) -> None:
        state = PageState(preset=preset)
        assert range_words(state, NOW)
        assert query_of(state, NOW, grain="fitting").grain in GRAINS

    def test_of_the_url_wins_over_the_preset(self) -> None:
        state = PageState(preset="year", span=Span(date(2026, 1, 5), date(2026, 1, 6)))
        assert days(state) == ("2026-01-05T00:00:00+01:00", "2026-01-07T00:00:00+01:00")

    def test_of_another_zone_is_that_zones(self) -> None:
        assert days(PageState(preset="today", zone="Asia/Kolkata"))[0] == "2026-04-02T00:00:00+05:30"

    def test_chosen_by_a_click_is_said_to_the_minute(self) -> None:
        state = PageState().within(datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, tzinfo=UTC))
        assert "1:00" in range_words(state, NOW)


class TestGrains:
    @pytest.mark.parametrize(
        ("preset", "grain"), [("today", "hour"), ("7d", "day"), ("28d", "day"), ("365d", "week"), ("yesterday", "hour")]
    )
    def test_fit_the_range(self, preset: str, grain: str) -> None:
        state = PageState(preset=preset)
        assert grain_of(state, *bounds(state, NOW)) == grain

    def test_that_would_make_too_many_points_are_not_offered(self) -> None:
        offered = grains_for(*bounds(PageState(preset="365d"), NOW))
        assert "minute" not in offered
        assert {"day", "week", "month"} <= set(offered)

    def test_chosen_ones_are_kept_while_the_range_allows_them(self) -> None:
        state = PageState(preset="28d", grain="week")
        assert grain_of(state, *bounds(state, NOW)) == "week"
        short = PageState(preset="today", grain="month")
        assert grain_of(short, *bounds(short, NOW)) == "hour"

    @pytest.mark.parametrize(
        ("start", "grain", "hours"),
        [
            ("2026-03-29T00:00:00+01:00", "day", 23),
            ("2026-10-25T00:00:00+02:00", "day", 25),
            ("2026-03-02T00:00:00+01:00", "week", 168),
            ("2026-02-01T00:00:00+01:00", "month", 28 * 24),
            ("2026-03-01T12:00:00+01:00", "hour", 1),
        ],
    )
    def test_buckets_end_by_the_readers_clock(self, start: str, grain: str, hours: int) -> None:
        bucket = datetime.fromisoformat(start)
        assert bucket_end(bucket, grain, PageState()) - bucket == timedelta(hours=hours)  # type: ignore[arg-type]


class TestFilters:
    def test_of_a_charts_own_dimension_do_not_hide_its_other_values(self) -> None:
        filters = (
            Filter("category", "in", ("Dairy",)),
            Filter("category", "not_in", ("Meat",)),
            Filter("store", "in", ("1",)),
        )
        assert without_own_filter(filters, "category") == filters[1:]

    def test_are_said_in_words(self) -> None:
        state = PageState(filters=(Filter("category", "in", ("Dairy", "")), Filter("store", "not_in", ("1",))))
        assert filter_words(state.filters) == ["Category: Not given, Dairy", "Store: not 1"]
