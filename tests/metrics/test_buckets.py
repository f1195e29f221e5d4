from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nebuloviz.errors import InvalidQuery
from nebuloviz.metrics.buckets import MAX_BUCKETS, automatic_grain, buckets
from nebuloviz.metrics.query import GRAINS, Grain, Query

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]


def starts(zone: str, grain: Grain, first: str, last: str, week_start: int = 0) -> list[str]:
    """The buckets of [first, last), given on the zone's clock, as that clock shows their beginnings."""
    start, end = (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) for text in (first, last))
    query = Query(("revenue",), start, end, grain=grain, time_zone=zone, week_start=week_start)
    return [f"{bucket.start.astimezone(query.zone):%Y-%m-%d %H:%M%z}" for bucket in buckets(query)]


class TestBuckets:
    @pytest.mark.parametrize(
        ("zone", "grain", "first", "last", "expected"),
        [
            ("UTC", "hour", "2026-11-22 10:20", "2026-11-22 12:00", ["2026-11-22 10:00+0000", "2026-11-22 11:00+0000"]),
            ("Asia/Kathmandu", "hour", "2026-11-22 10:20", "2026-11-22 11:00", ["2026-11-22 10:00+0545"]),
            # clocks go back: the hour from 2 to 3 comes twice; forward: it does not come
            (
                "Europe/Berlin",
                "hour",
                "2026-10-25 01:00",
                "2026-10-25 04:00",
                ["2026-10-25 01:00+0200", "2026-10-25 02:00+0200", "2026-10-25 02:00+0100", "2026-10-25 03:00+0100"],
            ),
            (
                "Europe/Berlin",
                "hour",
                "2026-03-29 01:00",
                "2026-03-29 04:00",
                ["2026-03-29 01:00+0100", "2026-03-29 03:00+0200"],
            ),
            # clocks that change by half an hour make an hour of 90 minutes
            (
                "Australia/Lord_Howe",
                "hour",
                "2026-04-05 00:00",
                "2026-04-05 03:00",
                ["2026-04-05 00:00+1100", "2026-04-05 01:00+1100", "2026-04-05 02:00+1030"],
            ),
            (
                "UTC",
                "quarter_hour",
                "2026-11-22 10:20",
                "2026-11-22 10:31",
                ["2026-11-22 10:15+0000", "2026-11-22 10:30+0000"],
            ),
            (
                "Pacific/Apia",
                "day",
                "2011-12-29 00:00",
                "2012-01-01 00:00",
                ["2011-12-29 00:00-1000", "2011-12-31 00:00+1400"],
            ),
            (
                "UTC",
                "month",
                "2026-01-15 00:00",
                "2026-03-01 00:00",
                ["2026-01-01 00:00+0000", "2026-02-01 00:00+0000"],
            ),
            (
                "UTC",
                "quarter",
                "2026-05-15 00:00",
                "2026-07-02 00:00",
                ["2026-04-01 00:00+0000", "2026-07-01 00:00+0000"],
            ),
            ("UTC", "year", "2025-12-31 23:59", "2026-01-02 00:00", ["2025-01-01 00:00+0000", "2026-01-01 00:00+0000"]),
        ],
    )
    def test_begin_where_the_clocks_of_the_zone_say(
        self, zone: str, grain: Grain, first: str, last: str, expected: list[str]
    ) -> None:
        assert starts(zone, grain, first, last) == expected

    @pytest.mark.parametrize(("week_start", "first"), [(0, "2026-11-16"), (6, "2026-11-22"), (5, "2026-11-21")])
    def test_of_weeks_begin_on_the_day_asked_for(self, week_start: int, first: str) -> None:
        assert starts("UTC", "week", "2026-11-22", "2026-11-23", week_start) == [f"{first} 00:00+0000"]

    @pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
    def test_of_a_day_are_as_long_as_the_day(self, day: str, hours: int) -> None:
        start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        (bucket,) = buckets(
            Query(("revenue",), start, start + timedelta(hours=12), grain="day", time_zone="Europe/Berlin")
        )
        assert bucket.end - bucket.start == timedelta(hours=hours)

    @settings(max_examples=80, deadline=None)
    @given(
        st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
        st.timedeltas(timedelta(minutes=1), timedelta(hours=80)),
        st.sampled_from(GRAINS),
        st.sampled_from(ZONES),
    )
    def test_cover_the_range_without_gaps(self, start: datetime, length: timedelta, grain: Grain, zone: str) -> None:
        found = buckets(Query(("revenue",), start, start + length, grain=grain, time_zone=zone))
        assert found[0].start <= start < found[0].end
        assert found[-1].start < start + length <= found[-1].end
        assert all(a.end == b.start for a, b in pairwise(found))
        assert all(bucket.start < bucket.end for bucket in found)

    def test_are_at_most_so_many_and_the_grain_that_would_do_is_named(self) -> None:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        fits = Query(("revenue",), start, start + timedelta(minutes=MAX_BUCKETS), grain="minute")
        assert len(buckets(fits)) == MAX_BUCKETS
        with pytest.raises(InvalidQuery, match="quarter_hour"):
            buckets(fits.with_(end=fits.end + timedelta(minutes=1)))


class TestTheAutomaticGrain:
    @pytest.mark.parametrize(
        ("length", "grain"),
        [
            (timedelta(hours=1), "minute"),
            (timedelta(hours=12), "quarter_hour"),
            (timedelta(days=1), "hour"),
            (timedelta(days=28), "day"),
            (timedelta(days=365), "week"),
            (timedelta(days=1000), "month"),
            (timedelta(days=36_000), "year"),
        ],
    )
    def test_fits_the_range(self, length: timedelta, grain: Grain) -> None:
        start = datetime(1900, 1, 1, tzinfo=UTC)
        assert automatic_grain(start, start + length) == grain
        assert len(buckets(Query(("revenue",), start, start + length, grain=grain))) <= 150


class TestFiscalYears:
    def ask(self, grain: Grain, start: str, end: str, year_start: int) -> list[str]:
        first, last = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (start, end))
        query = Query(("revenue",), first, last, grain=grain, year_start=year_start)
        return [f"{bucket.start:%Y-%m-%d}" for bucket in buckets(query)]

    def test_begin_with_their_month(self) -> None:
        assert self.ask("year", "2025-02-01", "2026-05-01", 4) == ["2024-04-01", "2025-04-01", "2026-04-01"]
        assert self.ask("year", "2025-12-01", "2026-01-02", 1) == ["2025-01-01", "2026-01-01"]

    def test_have_quarters_counted_from_it(self) -> None:
        assert self.ask("quarter", "2026-01-01", "2026-09-01", 2) == [
            "2025-11-01", "2026-02-01", "2026-05-01", "2026-08-01",
        ]  # fmt: skip
        assert self.ask("quarter", "2026-01-01", "2026-06-01", 4) == ["2026-01-01", "2026-04-01"]

    def test_are_part_of_the_question(self) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        one = Query(("revenue",), moment, moment + timedelta(days=400), grain="year", year_start=4)
        assert Query.from_params(one.to_params()) == one
        assert one.key != one.with_(year_start=1).key
        with pytest.raises(InvalidQuery):
            one.with_(year_start=13)
