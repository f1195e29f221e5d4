from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.metrics.buckets import Bucket, buckets
from nebuloviz.metrics.comparison import compared, comparison_range, reaches_back
from nebuloviz.metrics.query import Comparison, Grain, Query

LATER = "2027-06-01 00:00"


def moment(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def shown(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def query(first: str, last: str, comparison: Comparison, zone: str = "UTC", grain: Grain | None = None) -> Query:
    return Query(
        ("revenue",), moment(first, zone), moment(last, zone), grain=grain, comparison=comparison, time_zone=zone
    )


class TestTheRange:
    @pytest.mark.parametrize(
        ("first", "last", "comparison", "expected"),
        [
            ("2026-11-22", "2026-11-23", "previous", ("2026-11-21 00:00", "2026-11-22 00:00")),
            ("2026-10-26", "2026-11-23", "previous", ("2026-09-28 00:00", "2026-10-26 00:00")),
            ("2026-11-22 10:00", "2026-11-22 14:00", "previous", ("2026-11-21 10:00", "2026-11-21 14:00")),
            ("2026-03-01", "2026-04-01", "previous", ("2026-02-01 00:00", "2026-03-01 00:00")),
            ("2026-01-01", "2026-04-01", "previous", ("2025-10-01 00:00", "2026-01-01 00:00")),
            ("2026-11-22", "2026-11-23", "weekdays", ("2026-11-15 00:00", "2026-11-16 00:00")),
            ("2026-10-26", "2026-11-23", "weekdays", ("2026-09-28 00:00", "2026-10-26 00:00")),
            ("2026-11-01", "2026-12-01", "weekdays", ("2026-09-27 00:00", "2026-10-27 00:00")),
            ("2026-11-22", "2026-11-23", "year", ("2025-11-23 00:00", "2025-11-24 00:00")),
            ("2026-11-01", "2026-12-01", "year", ("2025-11-01 00:00", "2025-12-01 00:00")),
            ("2024-02-01", "2024-03-01", "year", ("2023-02-01 00:00", "2023-03-01 00:00")),
        ],
    )
    def test_is_as_documented(self, first: str, last: str, comparison: Comparison, expected: tuple[str, str]) -> None:
        start, end = comparison_range(query(first, last, comparison))
        assert (shown(start, "UTC"), shown(end, "UTC")) == expected

    def test_keeps_the_clock_where_clocks_have_changed(self) -> None:
        start, end = comparison_range(query("2026-10-26", "2026-11-02", "previous", "Europe/Berlin"))
        assert (shown(start, "Europe/Berlin"), shown(end, "Europe/Berlin")) == ("2026-10-19 00:00", "2026-10-26 00:00")
        assert (end - start).total_seconds() == (7 * 24 + 1) * 3600


class TestReachingBack:
    @pytest.mark.parametrize(
        ("first_sale", "zone", "reaches"),
        [
            (None, "UTC", False),
            ("2026-09-27 23:59", "UTC", True),
            ("2026-09-28 18:00", "UTC", True),
            ("2026-09-29 00:00", "UTC", False),
            ("2026-09-28 23:00", "Europe/Berlin", False),
        ],
    )
    def test_takes_sales_of_the_first_day(self, first_sale: str | None, zone: str, reaches: bool) -> None:
        asked = query("2026-10-26", "2026-11-23", "previous", zone)
        assert reaches_back(asked, moment(first_sale) if first_sale else None) is reaches


class TestBuckets:
    @staticmethod
    def pairs(asked: Query, now: str) -> list[tuple[str, str]]:
        spans = buckets(asked)
        past = compared(asked, spans, moment(now))
        return [
            (f"{shown(a.start, 'UTC')[5:]}", f"{shown(b.start, 'UTC')[5:]}..{shown(b.end, 'UTC')[5:]}")
            for a, b in zip(spans, past, strict=True)
        ]

    def test_are_compared_row_by_row_and_only_up_to_now(self) -> None:
        asked = query("2026-11-22", "2026-11-24", "weekdays", grain="day")
        assert self.pairs(asked, "2026-11-22 14:37") == [
            ("11-22 00:00", "11-15 00:00..11-15 14:37"),
            ("11-23 00:00", "11-16 00:00..11-17 00:00"),
        ]

    def test_of_days_that_the_other_month_lacks_are_compared_with_nothing(self) -> None:
        pairs = self.pairs(query("2026-03-01", "2026-04-01", "previous", grain="day"), LATER)
        assert pairs[27] == ("03-28 00:00", "02-28 00:00..03-01 00:00")
        assert pairs[28:] == [(f"03-{day} 00:00", "03-01 00:00..03-01 00:00") for day in (29, 30, 31)]

    def test_do_not_grow_where_the_other_month_is_longer(self) -> None:
        pairs = self.pairs(query("2026-02-01", "2026-03-01", "previous", grain="day"), LATER)
        assert pairs[-1] == ("02-28 00:00", "01-28 00:00..01-29 00:00")

    def test_of_months_are_compared_with_whole_months(self) -> None:
        pairs = self.pairs(query("2026-02-01", "2026-04-01", "year", grain="month"), LATER)
        assert pairs == [("02-01 00:00", "02-01 00:00..03-01 00:00"), ("03-01 00:00", "03-01 00:00..04-01 00:00")]

    def test_never_overlap(self) -> None:
        asked = query("2026-10-24", "2026-10-27", "weekdays", "Europe/Berlin", grain="hour")
        past: list[Bucket] = list(compared(asked, buckets(asked), moment(LATER)))
        assert all(a.end <= b.start for a, b in pairwise(past))
