import pickle
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.backtest import AlertBook
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.grain import HOUR, QUARTER_HOUR
from nebuloviz.detection.grained_watch import Closed, GrainedWatch
from nebuloviz.detection.residuals import Scale
from nebuloviz.detection.series import Buckets
from nebuloviz.detection.series_model import Watched, WatchSettings
from nebuloviz.detection.series_watch import SeriesWatch
from tests.detection import shop
from tests.detection.large_shop import WEEK, WEST, closed, orders
from tests.detection.shop import NORTH, SOUTH, START, TOTAL

ORDERS = (Watched("orders", Scale.COUNT, 0.54),)
WEEKS = 8
FIRST = QUARTER_HOUR.of_hour(START)
WEDNESDAY = FIRST + 7 * WEEK + 2 * 96  # of the last week
TWENTY_PAST_ELEVEN = (7 * WEEK + 2 * 96 + 11 * 4) * 3 + 4  # in fives of minutes since the start
SHUT = (TWENTY_PAST_ELEVEN, TWENTY_PAST_ELEVEN + 4)  # for twenty minutes
BEGAN = QUARTER_HOUR.time_of(WEDNESDAY) + timedelta(hours=11, minutes=20)


def new_watch() -> GrainedWatch:
    return GrainedWatch(WatchSettings(watched=ORDERS, detector=LargestDeviation))


def run(watch: GrainedWatch, sold: tuple[Buckets, Buckets], until: int, *, quarters: bool = True) -> list[Finding]:
    """Day by day, as a backtest does; what is raised."""
    book, raised = AlertBook({}), []
    since = FIRST if watch.hours.next_bucket is None else QUARTER_HOUR.of_hour(watch.hours.next_bucket)
    for end in range(since + 96, until + 1, 96):
        grain = HOUR if watch.active is None else QUARTER_HOUR
        found = watch.feed(closed(watch, *sold, end))
        raised += close(book, found, grain.bucket_of(QUARTER_HOUR.time_of(end - 96)), grain, end)
        learn(watch, sold, end, quarters=quarters)
    return raised


def close(book: AlertBook, found: Sequence[Finding], first: int, grain: object, end: int) -> list[Finding]:
    assert isinstance(grain, type(HOUR))
    moments = [grain.time_of(bucket + 1) for bucket in range(first, grain.bucket_of(QUARTER_HOUR.time_of(end)))]
    return [each for at in moments for each in book.close([f for f in found if f.bucket_end == at], at)]


def learn(watch: GrainedWatch, sold: tuple[Buckets, Buckets], end: int, *, quarters: bool = True) -> None:
    if watch.fit_due:
        watch.train()
    if quarters and watch.quarters_wanted:
        watch.begin_quarters(0)
        watch.feed(closed(watch, *sold, end))
        watch.train()


@pytest.fixture(scope="module")
def learned() -> bytes:
    """A watch over the large shop that has seen seven ordinary weeks, pickled."""
    watch = new_watch()
    run(watch, orders(7), FIRST + 7 * WEEK)
    return pickle.dumps(watch)


def copy_of(learned: bytes) -> GrainedWatch:
    watch: GrainedWatch = pickle.loads(learned)  # noqa: S301 - made above
    return watch


class TestGrain:
    def test_is_chosen_by_volume(self, learned: bytes) -> None:
        watched = {each.key: each.grain for each in copy_of(learned).watched()}
        assert watched == {TOTAL: "quarter_hour", NORTH: "quarter_hour", SOUTH: "quarter_hour", WEST: "hour"}

    def test_of_a_small_shop_is_the_hour_and_nothing_else_changes(self) -> None:
        sold = shop.orders(7, events={(6 * 168 + 59, 6 * 168 + 62): 0.1})
        watch, alone = new_watch(), SeriesWatch(new_watch().settings)
        found, expected = [], []
        for first in range(START, sold.end, 24):
            found += watch.feed(Closed(sold.between(first, first + 24)))
            expected += alone.feed(sold.between(first, first + 24))
            for each in (watch, alone):
                if each.fit_due:
                    each.train()
        assert found == expected
        assert found
        assert not watch.quarters_wanted
        assert {each.grain for each in watch.watched()} == {"hour"}

    def test_is_the_hour_again_where_much_less_is_sold(self, learned: bytes) -> None:
        watch = copy_of(learned)
        hours, quarters = orders(12, an_hour=40.0)
        run(watch, (hours, quarters), FIRST + 12 * WEEK)
        assert watch.active is None
        assert {each.grain for each in watch.watched()} == {"hour"}
        assert watch.hours.budget_part == 1.0

    def test_halves_what_may_be_raised_falsely_while_both_judge(self, learned: bytes) -> None:
        watch = copy_of(learned)
        assert [each.budget_part for each in watch.watches] == [0.5, 0.5]


class TestAnOutageOfTwentyMinutes:
    def test_is_one_alert_within_half_an_hour(self, learned: bytes) -> None:
        raised = run(copy_of(learned), orders(WEEKS, outage=SHUT), FIRST + 8 * WEEK)
        [alert] = [each for each in raised if each.bucket_end > BEGAN]
        assert alert.key == TOTAL
        assert alert.bucket_start <= BEGAN < alert.bucket_end
        assert BEGAN < alert.moment <= BEGAN + timedelta(minutes=30)
        assert alert.observed < alert.expected_low

    def test_is_seen_by_hours_later_if_at_all(self) -> None:
        raised = run(new_watch(), orders(WEEKS, outage=SHUT), FIRST + 8 * WEEK, quarters=False)
        assert [each for each in raised if BEGAN < each.moment < BEGAN + timedelta(minutes=40)] == []


class TestOrdinaryWeeks:
    def test_raise_nothing(self, learned: bytes) -> None:
        watch = copy_of(learned)
        raised = run(watch, orders(10), FIRST + 10 * WEEK)
        assert watch.active is not None
        assert raised == []


class TestCausality:
    def test_findings_are_the_same_by_the_quarter_and_by_the_day(self, learned: bytes) -> None:
        sold = orders(WEEKS, outage=SHUT)
        by_day, by_quarter = copy_of(learned), copy_of(learned)
        found, expected = [], []
        for end in range(FIRST + 7 * WEEK + 96, WEDNESDAY + 97, 96):
            expected += by_day.feed(closed(by_day, *sold, end))
            for quarter in range(end - 95, end + 1):
                found += by_quarter.feed(closed(by_quarter, *sold, quarter))
            for each in (by_day, by_quarter):
                learn(each, sold, end)
        assert found == expected
        assert found

    def test_a_copy_goes_on_as_the_original(self, learned: bytes) -> None:
        sold = orders(WEEKS, outage=SHUT)
        watch = copy_of(learned)
        run(watch, sold, WEDNESDAY)
        noon = WEDNESDAY + 47
        until_then = watch.feed(closed(watch, *sold, noon))
        again = copy_of(pickle.dumps(watch))
        assert until_then
        assert again.feed(closed(again, *sold, noon + 8)) == watch.feed(closed(watch, *sold, noon + 8))

    def test_both_watches_tell_no_segment_twice(self, learned: bytes) -> None:
        watch = copy_of(learned)
        sold = orders(WEEKS, outage=(SHUT[0], SHUT[0] + 48))  # four hours, which hours would see
        found = [
            f for end in range(FIRST + 7 * WEEK + 96, WEDNESDAY + 97, 96) for f in watch.feed(closed(watch, *sold, end))
        ]
        ends: dict[object, list[datetime]] = {}
        for each in found:
            ends.setdefault(each.key, []).append(each.bucket_end)
        assert ends
        assert all(len(set(moments)) == len(moments) for moments in ends.values())
