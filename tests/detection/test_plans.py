"""What is planned raises no alerts and teaches nothing: the same stream replayed with the calendar and without it."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest

from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.backtest import AlertBook
from nebuloviz.detection.calendar import Calendar, Plan
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.residuals import Scale
from nebuloviz.detection.series import Buckets, Segment, hour_of_time, time_of_hour
from nebuloviz.detection.series_model import Watched, WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from tests.detection.shop import MONDAY, NORTH, SOUTH, START, TOTAL, WEEK, orders
from tests.detection.test_lessons import expected

WEEKS = 8
DAY = 24
TUESDAY = 6 * WEEK + DAY  # of the seventh week, in hours since the shop's first
WEDNESDAY, FRIDAY = TUESDAY + DAY, TUESDAY + 3 * DAY
FIRST = (MONDAY + timedelta(hours=TUESDAY)).date()
NIGHT = (slice(WEDNESDAY + 10, WEDNESDAY + 16), 0.0)  # an outage
THREE_DAYS = slice(TUESDAY, FRIDAY)


def plan(segment: Segment = (), *, promotion: bool = False) -> Calendar:
    """From Tuesday to Thursday."""
    return Calendar(plans=(Plan(FIRST, FIRST + timedelta(days=2), segment, promotion),))


CLOSED = Calendar(closed_days=frozenset(FIRST + timedelta(days=n) for n in range(3)))
NORTH_SALE, SALE = plan(NORTH.dimensions, promotion=True), plan(promotion=True)


@cache
def sold(*changes: tuple[str, float, bool]) -> Buckets:
    """Of each region named, from Tuesday to Thursday so many times as much, and with `outage` nothing for some hours in between."""
    calm = orders(WEEKS)
    for region, factor, outage in changes:
        column = {"north": 1, "south": 2}[region]
        calm.values[THREE_DAYS, column] = np.round(calm.values[THREE_DAYS, column] * factor)
        if outage:
            calm.values[NIGHT[0], column] = NIGHT[1]
    calm.values[:, 0] = calm.values[:, 1] + calm.values[:, 2]
    return calm


def replayed(buckets: Buckets, calendar: Calendar, since: int = TUESDAY) -> tuple[SeriesWatch, list[Finding]]:
    """Day by day past a new watch; the alerts from that Tuesday on."""
    settings = WatchSettings(calendar, watched=(Watched("orders", Scale.COUNT, 1.0),), detector=LargestDeviation)
    watch, book, raised = SeriesWatch(settings), AlertBook({}), []
    for first in range(buckets.start, buckets.end, DAY):
        found = watch.feed(buckets.between(first, first + DAY))
        for hour in range(first, first + DAY):
            end = time_of_hour(hour + 1)
            raised += book.close([each for each in found if each.bucket_end == end], end)
        if watch.fit_due:
            watch.train()
    return watch, [alert for alert in raised if hour_of_time(alert.bucket_end) - START > since]


@cache
def usual() -> SeriesWatch:
    """What it learns where nothing happens."""
    return replayed(sold(), Calendar())[0]


@pytest.mark.parametrize(
    ("changes", "calendar", "left"),
    [
        ((("north", 0.0, False), ("south", 0.0, False)), CLOSED, set()),
        ((("south", 0.0, False),), plan(SOUTH.dimensions), set()),
        ((("north", 2.0, False),), NORTH_SALE, set()),
        ((("north", 2.0, True),), NORTH_SALE, {NORTH}),
        ((("north", 2.0, False), ("south", 1.0, True)), NORTH_SALE, {SOUTH}),
        ((("north", 2.0, False), ("south", 2.0, False)), SALE, set()),
        ((("north", 2.0, True), ("south", 2.0, True)), SALE, {TOTAL}),
    ],
    ids=[
        *("all closed", "a region closed", "a region promoted", "and it fails", "and another fails"),
        *("all promoted", "and all fail"),
    ],
)
def test_what_is_planned_raises_no_alert_and_what_fails_in_it_does(
    changes: tuple[tuple[str, float, bool], ...], calendar: Calendar, left: set[object]
) -> None:
    buckets = sold(*changes)
    assert replayed(buckets, Calendar())[1], "without the calendar there are alerts"
    told, after = replayed(buckets, calendar)
    assert {alert.key for alert in after} == left
    assert all(alert.observed < alert.expected for alert in after)
    for key in (TOTAL, NORTH, SOUTH):
        assert expected(told, key, 5) == pytest.approx(expected(usual(), key, 5), rel=0.03), "it taught nothing"


def test_new_opening_hours_hold_from_the_day_on_that_they_are_entered() -> None:
    calm = orders(WEEKS)
    shut = calm.values.copy()
    shut[(np.arange(len(shut)) >= 6 * WEEK) & (np.arange(len(shut)) % WEEK < DAY)] = 0.0  # Mondays, and no more
    buckets = Buckets(calm.start, calm.keys, shut)
    assert replayed(buckets, Calendar(), 6 * WEEK)[1]
    week = ((0, 0), *((9 * 60, 18 * 60),) * 5, (0, 0))
    assert not replayed(buckets, Calendar(hours=week), 6 * WEEK)[1]


def test_a_line_may_be_cheap_in_a_promotion_of_its_product_or_of_its_region() -> None:
    calendar = plan((("region", "north"),), promotion=True)
    day = (FIRST - date(1970, 1, 1)).days * DAY
    inside = (("product", "p1"), ("region", "north"))
    assert calendar.is_promoted(day, inside)
    assert not calendar.is_promoted(day, (("product", "p1"), ("region", "south")))
    assert not calendar.is_promoted(day - 1, inside)
    assert not plan((("region", "north"),)).is_promoted(day, inside)
