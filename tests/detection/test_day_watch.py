import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest

from nebuloviz.detection.alerts import DAYS, Finding
from nebuloviz.detection.calendar import Calendar
from nebuloviz.detection.day_watch import DayFigures, DayWatch
from nebuloviz.detection.forest import LargestDeviation
from nebuloviz.detection.series import SeriesKey
from nebuloviz.detection.series_model import WatchSettings
from tests.detection.shop import MONDAY

WEEKS = 12
FIRST = (MONDAY.date() - date(1970, 1, 1)).days
BAD = 10 * 7 + 2  # a Wednesday, counted from the shop's first day
CLOSED = 9 * 7 + 3
MEASURES = (
    "lines", "orders", "revenue", "discount", "cost", "costed_revenue", "returned_lines", "returned_amount", "customers",
)  # fmt: skip
NORTH, SOUTH = (("region", "north"),), (("region", "south"),)


@dataclass
class Trade:
    """What a day is like in one region; an event changes it."""

    orders: float
    value: float = 40.0  # of an order
    discount: float = 0.08
    cost: float = 0.7
    returned: float = 0.03  # of lines
    regulars: int = 4000  # customers that may come


Event = Callable[[Trade], None]


def twice_the_discount(trade: Trade) -> None:
    trade.discount *= 2


def dear_goods(trade: Trade) -> None:
    trade.cost *= 1.2


def many_returns(trade: Trade) -> None:
    trade.returned *= 5


def small_orders(trade: Trade) -> None:
    """As if each order were sent in two halves."""
    trade.orders *= 2
    trade.value /= 2


def few_customers(trade: Trade) -> None:
    trade.regulars = int(trade.orders * 0.6)


def promotion(trade: Trade) -> None:
    trade.orders *= 2
    trade.discount += 0.15


def _day(random: np.random.Generator, trade: Trade) -> np.ndarray:
    """The measures of one day, from its orders."""
    n = int(random.poisson(trade.orders))
    value = random.lognormal(np.log(trade.value) - 0.32, 0.8, n)
    lines = 1 + random.poisson(2.0, n)
    discount = value * np.clip(random.normal(trade.discount, 0.06, n), 0, 0.9)
    returned = random.binomial(lines, trade.returned)
    paid = value - discount
    cost = value * random.normal(trade.cost, 0.05, n)
    back = (paid / lines * returned).sum()
    customers = len(np.unique(random.integers(0, trade.regulars, n)))
    return np.array(
        [lines.sum(), n, paid.sum() - back, discount.sum(), cost.sum(), paid.sum(), returned.sum(), back, customers],
        float,
    )


@cache
def sales(event: Event | None = None, where: str = "everywhere", *, growth: bool = False) -> DayFigures:
    """Two regions; `event` on one day, a promotion every Friday, a planned closure; half as much again from week 8 on if it grows."""
    random = np.random.default_rng(7)
    values = np.zeros((WEEKS * 7, 3, len(MEASURES)))
    for day in range(WEEKS * 7):
        for k, (region, orders) in enumerate((("north", 240.0), ("south", 120.0)), start=1):
            trade = Trade(orders * (0.6 if day % 7 == 6 else 1.0) * (1.5 if growth and day >= 8 * 7 else 1.0))
            if day % 7 == 4:
                promotion(trade)
            if event is not None and day == BAD and where in {"everywhere", region}:
                event(trade)
            if day != CLOSED:
                values[day, k] = _day(random, trade)
    values[:, 0] = values[:, 1:].sum(axis=1)
    return DayFigures(FIRST, ((), NORTH, SOUTH), MEASURES, values)


def watch(*, days: tuple[int, ...] = (CLOSED,), detector: type = LargestDeviation) -> DayWatch:
    closed = frozenset(MONDAY.date() + timedelta(days=day) for day in days)
    return DayWatch(WatchSettings(Calendar("UTC", closed), detector=detector))


def run(watched: DayWatch, figures: DayFigures) -> list[Finding]:
    found = []
    for day in figures:
        found += watched.feed(day)
        if watched.fit_due:
            watched.train()
    return found


def of_bad_day(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.bucket_end == MONDAY + timedelta(days=BAD + 1)]


class TestEachMetricThatGoesWrongForADay:
    @pytest.mark.parametrize(
        ("event", "metric"),
        [
            (twice_the_discount, "discount_rate"),
            (dear_goods, "margin"),
            (many_returns, "returns"),
            (small_orders, "average_order_value"),
            (few_customers, "customers"),
        ],
    )
    @pytest.mark.parametrize(("where", "segment"), [("everywhere", ()), ("north", NORTH)])
    def test_is_news_once_the_day_is_over(
        self, event: Event, metric: str, where: str, segment: tuple[tuple[str, str], ...]
    ) -> None:
        found = run(watch(), sales(event, where))
        (finding,) = [f for f in of_bad_day(found) if f.key == SeriesKey(metric, segment)]
        assert finding.novel
        assert finding.detector == DAYS
        assert finding.bucket_start == MONDAY + timedelta(days=BAD)
        assert not finding.expected_low <= finding.observed <= finding.expected_high
        assert finding.expected_low < finding.expected < finding.expected_high

    def test_is_told_in_the_metrics_own_unit(self) -> None:
        (finding,) = [f for f in run(watch(), sales(many_returns)) if f.key == SeriesKey("returns") and f.novel]
        day = sales(many_returns).values[BAD, 0]
        assert finding.observed == day[MEASURES.index("returned_amount")]
        usual = np.delete(sales().values[BAD - 21 : BAD, 0, MEASURES.index("returned_amount")], slice(3, None, 7))
        assert finding.expected == pytest.approx(np.median(usual), rel=0.2)


class TestWhatIsUsual:
    @pytest.mark.parametrize("growth", [False, True])
    def test_promotions_closures_and_growth_raise_nothing(self, growth: bool) -> None:
        found = [f for f in run(watch(), sales(growth=growth)) if f.novel]
        days = [(f.bucket_start - MONDAY).days for f in found]
        assert len(days) <= 1  # by chance: of eight weeks, at one in sixteen
        assert not [day for day in days if day % 7 == 4 or CLOSED <= day <= CLOSED + 1 or 8 * 7 <= day < 9 * 7]

    def test_a_metric_that_sales_do_not_have_is_not_watched(self) -> None:
        figures = sales()
        bare = figures.values.copy()
        bare[..., [MEASURES.index(name) for name in ("cost", "costed_revenue", "customers")]] = 0.0
        watched = watch()
        run(watched, DayFigures(FIRST, figures.segments, MEASURES, bare))
        assert {each.key.metric for each in watched.watched()} == {"average_order_value", "discount_rate", "returns"}

    def test_a_series_is_watched_once_it_is_old_and_large_enough(self) -> None:
        figures = sales()
        values = np.concatenate([figures.values, np.zeros((WEEKS * 7, 2, len(MEASURES)))], axis=1)
        values[5 * 7 :, 3] = figures.values[5 * 7 :, 1]
        values[:, 4] = np.floor(figures.values[:, 1] / 40)  # some six orders a day
        new, small = (("channel", "new"),), (("channel", "small"),)
        watched = watch()
        run(watched, DayFigures(FIRST, (*figures.segments, new, small), MEASURES, values))
        since = {each.key.dimensions: each.from_day for each in watched.watched() if each.key.metric == "margin"}
        assert since == {(): FIRST + 28, NORTH: FIRST + 28, SOUTH: FIRST + 28, new: FIRST + 5 * 7 + 28}

    def test_nothing_is_found_in_the_first_four_weeks(self) -> None:
        figures = sales()
        wild = figures.values[:28].copy()
        wild[20, :, MEASURES.index("discount")] *= 9
        assert run(watch(), DayFigures(FIRST, figures.segments, MEASURES, wild)) == []


class TestTheWatch:
    def test_days_to_come_change_nothing(self) -> None:
        figures = sales(twice_the_discount)
        cut = DayFigures(FIRST, figures.segments, MEASURES, figures.values[: BAD + 1])
        assert run(watch(), cut) == [
            f for f in run(watch(), figures) if f.bucket_end <= MONDAY + timedelta(days=BAD + 1)
        ]

    def test_goes_on_from_where_it_was_pickled(self) -> None:
        figures = list(sales(twice_the_discount))
        watched = watch()
        for day in figures[:BAD]:
            watched.feed(day)
            if watched.fit_due:
                watched.train()
        restored: DayWatch = pickle.loads(pickle.dumps(watched))  # noqa: S301 - made on the line itself
        assert restored.feed(figures[BAD]) == watched.feed(figures[BAD])
        assert of_bad_day(watched.feed(figures[BAD + 1])) == []

    def test_days_left_out_are_refused(self) -> None:
        first, _, third, *_ = list(sales())
        watched = watch()
        watched.feed(first)
        with pytest.raises(ValueError, match=f"expected day {FIRST + 1}"):
            watched.feed(third)

    def test_tells_the_range_that_days_keep_to(self) -> None:
        watched = watch()
        run(watched, sales())
        bands = [band for band in watched.bands(7) if band.key == SeriesKey("discount_rate")]
        assert [band.day for band in bands] == list(range(FIRST + WEEKS * 7 - 7, FIRST + WEEKS * 7))
        assert all(band.low < band.expected < band.high for band in bands)
        assert bands[4].expected == pytest.approx(0.23, abs=0.02)  # Fridays have a promotion
        assert bands[2].expected == pytest.approx(0.08, abs=0.02)
