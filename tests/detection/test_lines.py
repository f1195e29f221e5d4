import pickle
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from nebuloviz.detection.alerts import Finding
from nebuloviz.detection.calendar import Calendar, Plan
from nebuloviz.detection.line_model import DROPS, PRICE, QUANTITY, REPEATS, LineSettings
from nebuloviz.detection.lines import LineWatch
from nebuloviz.detection.price_drops import DropCounter
from nebuloviz.detection.product_memory import Known, ProductMemory, highest_of_others, line_features
from nebuloviz.detection.repeats import RepeatRule, poisson_surprise
from nebuloviz.detection.series import Lines, runs
from tests.detection.shop import sale_lines

WEEKS = 6
TAUGHT_DAYS = 35


@cache
def _sales() -> Lines:
    return sale_lines(WEEKS)


@cache
def _taught() -> bytes:
    """A watch that was trained on the first five weeks, pickled."""
    watch = LineWatch(LineSettings(dimensions=("region",)))
    _run(watch, _upto(_sales(), TAUGHT_DAYS))
    return pickle.dumps(watch)


def _upto(lines: Lines, days: int) -> Lines:
    first_day = lines.hour[0] // 24
    return lines[np.flatnonzero(lines.hour // 24 < first_day + days)]


def _rest() -> Lines:
    return _sales()[len(_upto(_sales(), TAUGHT_DAYS)) :]


def _run(watch: LineWatch, lines: Lines, batch: int | None = None) -> list[Finding]:
    def learn() -> None:
        if watch.fit_due:
            watch.train()

    found = []
    for start, end in runs(lines.hour // 24):
        day = lines[start:end]
        for first, last in _batches(day, batch):
            found += watch.feed(day[first:last], learn)
        found += watch.close((int(day.hour[0]) // 24 + 1) * 24, learn)
    return found


def _batches(lines: Lines, size: int | None) -> list[tuple[int, int]]:
    """Whole invoices, about `size` lines at a time."""
    edges = [0, *(start for start, _ in runs(lines.sold_at) if size and start % size < 4 and start), len(lines)]
    return list(pairwise(edges)) if size else [(0, len(lines))]


def _watch() -> LineWatch:
    watch: LineWatch = pickle.loads(_taught())  # noqa: S301 - pickled above
    return watch


def _with(lines: Lines, place: int, *, price: float = 1.0, quantity: float = 1.0) -> Lines:
    prices, quantities = lines.unit_price.copy(), lines.quantity.copy()
    prices[place] *= price
    quantities[place] *= quantity
    return replace(lines, unit_price=prices, quantity=quantities)


@cache
def _by_day() -> tuple[LineWatch, list[Finding]]:
    """A watch that was fed all sales day by day, and what it found."""
    watch = LineWatch(LineSettings(dimensions=("region",)))
    return watch, _run(watch, _sales())


class TestTraining:
    @pytest.mark.parametrize("size", [1000, 100_000])
    def test_between_days_is_the_same_however_lines_come(self, size: int) -> None:
        by_day, found = _by_day()
        otherwise = LineWatch(LineSettings(dimensions=("region",)))
        trained = []

        def learn() -> None:
            if otherwise.fit_due:
                trained.append(otherwise.train().trained_until)

        again = []
        for first, last in _batches(_sales(), size):
            again += otherwise.feed(_sales()[first:last], learn)
        again += otherwise.close((int(_sales().hour[-1]) // 24 + 1) * 24, learn)
        monday = int(_sales().hour[0]) // 24
        assert trained == [monday + 28, monday + 35]  # though on no Sunday is anything sold
        assert otherwise.model is not None
        assert by_day.model is not None
        assert otherwise.model.version == by_day.model.version
        assert [replace(each, line=None) for each in again] == [replace(each, line=None) for each in found]


class TestEntryErrors:
    @pytest.mark.parametrize(
        ("detector", "wrong"),
        [
            (PRICE, {"price": 100.0}),
            (PRICE, {"price": 0.01}),
            (PRICE, {"price": 10.0}),
            (QUANTITY, {"quantity": 300.0}),
        ],
    )
    def test_are_found_in_the_line(self, detector: str, wrong: dict[str, float]) -> None:
        place = 205
        found = [f for f in _run(_watch(), _with(_rest(), place, **wrong)) if f.detector == detector]
        assert found
        worst = max(found, key=lambda finding: finding.score)
        assert str(worst.key) == f"{detector}|product={_rest().product_id[place]}"
        assert worst.moment.timestamp() * 1_000_000 == _rest().sold_at[place]
        assert not worst.expected_low <= worst.observed <= worst.expected_high

    def test_a_price_of_the_product_is_none_however_far_from_the_others(self) -> None:
        """As of a product sold by the piece and by the box: the first line at the other price is found, the third is known."""
        watch, rest, factor = _watch(), _rest(), 14.0
        [first, second, third] = np.flatnonzero(rest.product_id == rest.product_id[200])[[0, 1, 5]]
        sold = _with(_with(_with(rest, first, price=factor), second, price=factor), third, price=factor)
        sold.unit_price[[second, third]] = sold.unit_price[first]
        found = [finding.line for finding in watch.feed(sold) if finding.detector == PRICE]
        assert first in found
        assert third not in found

    def test_are_hardly_ever_seen_where_there_are_none(self) -> None:
        assert len([f for f in _run(_watch(), _rest()) if f.novel]) <= 1


class TestCausality:
    def test_lines_to_come_change_nothing(self) -> None:
        wrong = _with(_rest(), 205, price=100.0)
        whole = _run(_watch(), wrong)
        until = wrong.sold_at[400]
        prefix = _run(_watch(), wrong[np.flatnonzero(wrong.sold_at < until)])
        seen = [f for f in whole if f.moment.timestamp() * 1e6 < until]
        assert seen
        assert [f for f in prefix if f.moment.timestamp() * 1e6 < until] == seen

    @pytest.mark.parametrize("batch", [12, 40])
    def test_findings_do_not_depend_on_the_batches(self, batch: int) -> None:
        def without_places(found: list[Finding]) -> list[Finding]:
            return [replace(finding, line=None) for finding in found]

        wrong = _with(_rest(), 205, price=100.0)
        assert without_places(_run(_watch(), wrong, batch)) == without_places(_run(_watch(), wrong))

    def test_late_lines_are_judged_with_what_is_known_now(self) -> None:
        watch, rest = _watch(), _rest()
        watch.feed(rest[:300])
        late = _with(rest[100:104], 0, price=100.0)
        assert [f.detector for f in watch.feed(late) if f.detector == PRICE] == [PRICE]


class TestPriceDrops:
    def test_of_many_invoices_are_found_when_the_hour_closes(self) -> None:
        rest = _rest()
        day = np.flatnonzero(rest.hour // 24 == rest.hour[0] // 24 + 2)
        prices = rest.unit_price.copy()
        prices[day] *= 0.3
        found = [f for f in _run(_watch(), replace(rest, unit_price=prices)) if f.detector == DROPS]
        assert found
        assert all(finding.moment.minute == 0 and finding.observed > finding.expected_high for finding in found)

    @pytest.mark.parametrize(("promoted", "quiet"), [("dairy", True), ("bakery", False)])
    def test_are_not_looked_for_among_the_lines_of_a_promoted_category(self, promoted: str, quiet: bool) -> None:
        watch, rest = _watch(), _rest()
        cheap = np.flatnonzero(rest.hour // 24 == rest.hour[0] // 24 + 2)
        prices, categories = rest.unit_price.copy(), np.full(len(rest), "", object)
        prices[cheap] *= 0.2
        categories[cheap] = "dairy"
        day = date(1970, 1, 1) + timedelta(days=int(rest.hour[cheap[0]]) // 24)
        plans = (Plan(day, day, (("category", promoted),), promotion=True),)
        watch.settings = replace(watch.settings, calendar=Calendar(plans=plans))
        lines = replace(rest, unit_price=prices, dimensions={**rest.dimensions, "category": categories})
        found = [
            f for f in _run(watch, lines) if f.detector == DROPS or (f.detector == PRICE and f.observed < f.expected)
        ]
        assert (not [f for f in found if f.moment.date() == day]) == quiet


class TestRepeatedOrders:
    def _doubled(self, rest: Lines, orders: int, minutes: int) -> Lines:
        again = rest[: 4 * orders]
        again = replace(again, sold_at=again.sold_at[-1] + minutes * 60_000_000 + np.repeat(np.arange(orders), 4))
        both = np.argsort(np.r_[rest.sold_at, again.sold_at], kind="stable")
        return Lines(
            sold_at=np.r_[rest.sold_at, again.sold_at][both],
            order_id=np.r_[rest.order_id, again.order_id][both],
            product_id=np.r_[rest.product_id, again.product_id][both],
            quantity=np.r_[rest.quantity, again.quantity][both],
            unit_price=np.r_[rest.unit_price, again.unit_price][both],
            dimensions={"region": np.r_[rest.dimensions["region"], again.dimensions["region"]][both]},
        )

    def test_are_found_from_the_third_on(self) -> None:
        found = [f for f in _run(_watch(), self._doubled(_rest(), 5, 10)) if f.detector == REPEATS]
        assert [finding.observed for finding in found] == [3.0, 4.0, 5.0]

    def test_of_two_orders_are_somebodys_slip(self) -> None:
        assert not [f for f in _run(_watch(), self._doubled(_rest(), 2, 10)) if f.detector == REPEATS]

    def test_equal_lines_of_one_invoice_are_no_repeat(self) -> None:
        lines = _rest()[:4]
        same = lines[np.array([0, 0, 1, 1])]
        assert RepeatRule().feed(same) == []

    def test_are_forgotten_after_two_days(self) -> None:
        rule, lines = RepeatRule(), _rest()[:4]
        rule.feed(lines)
        rule.feed(replace(lines, sold_at=lines.sold_at + 50 * 3_600_000_000, order_id=lines.order_id + "x"))
        assert len(rule.first_seen) == len({(o, p, q) for o, p, q in _identity(lines)})


def _identity(lines: Lines) -> list[tuple[str, str, float]]:
    return list(zip(lines.order_id, lines.product_id, lines.quantity, strict=True))


@pytest.mark.parametrize(("count", "usual", "expected"), [(3, 0.001, 7.5), (3, 1.0, -1.0), (300, 0.1, 12.0)])
def test_poisson_surprise(count: int, usual: float, expected: float) -> None:
    assert poisson_surprise(count, usual) == pytest.approx(expected, abs=0.1)


class TestProductMemory:
    def test_knows_nothing_of_a_product_with_a_short_past(self) -> None:
        memory = ProductMemory()
        rows = memory.rows(np.array(["A"] * 4, object))
        memory.learn(rows, np.zeros(4), np.zeros(4))
        assert np.isnan(memory.recall(rows).price).all()

    def test_a_price_is_known_once_it_was_seen_twice(self) -> None:
        memory = ProductMemory()
        rows = memory.rows(np.array(["A"] * 6, object))
        memory.learn(rows, np.log([2.0, 2, 2, 2, 2, 200]), np.zeros(6))
        assert np.exp(memory.recall(rows[:1]).price_high[0]) == pytest.approx(2.0)
        memory.learn(rows[:1], np.log([200.0]), np.zeros(1))
        assert np.exp(memory.recall(rows[:1]).price_high[0]) == pytest.approx(200.0)

    def test_a_product_is_sold_at_a_price_that_was_seen_twice(self) -> None:
        memory = ProductMemory()
        rows = memory.rows(np.array(["a", "a", "a", "b"], dtype=object))
        memory.learn(rows, np.log([2.0, 2.0, 30.0, 30.0]), np.zeros(4))
        asked = np.log([2.0, 2.005, 30.0, 2.1, 2.0])
        assert memory.sold_at(rows[[0, 0, 0, 0, 3]], asked).tolist() == [True, True, False, False, False]

    def test_remembers_the_last_lines_of_many_products(self) -> None:
        memory = ProductMemory()
        products = np.array([f"P{number}" for number in range(3_000)] * 70, object)
        memory.learn(memory.rows(products), np.repeat(np.arange(70.0), 3_000), np.zeros(len(products)))
        known = memory.recall(memory.rows(products[:3_000]))
        assert (known.price_high == 68.0).all()
        assert (known.price_low == 7.0).all()

    def test_knows_what_hardly_any_line_comes_to(self) -> None:
        memory = ProductMemory()
        assert memory.large_amount() == np.inf
        rows = memory.rows(np.array(["A", "B"] * 500, object))
        memory.learn(rows[:2], np.log([900.0, 1]), np.zeros(2))
        for start in range(2, 100, 2):
            memory.learn(rows[start : start + 2], np.log([2.0, 2.0]), np.log([3.0, 5.0]))
        assert np.exp(memory.large_amount()) == pytest.approx(10.0, rel=0.06)


@pytest.mark.parametrize(
    ("quantity", "price", "n_lines", "stands_out"),
    [
        (400.0, 5.0, 20, 2.4),  # as log(2000/140), of an invoice that counts for ten elevenths
        (400.0, 5.0, 2, 1.3),  # and for half
        (400.0, 0.2, 20, 0.0),  # cheap goods are bought by the hundred
        (4.0, 500.0, 20, 0.0),  # much money, but no more of it than usual
        (1.0, 500.0, 20, 0.0),
    ],
)
def test_a_quantity_stands_out_where_product_invoice_and_money_agree(
    quantity: float, price: float, n_lines: int, stands_out: float
) -> None:
    quantities, prices = np.full(n_lines, 4.0), np.full(n_lines, 5.0)
    quantities[0], prices[0] = quantity, price
    names = np.array(["A"] * n_lines, object)
    lines = Lines(np.zeros(n_lines, np.int64), names, names, quantities, prices)
    usual = [np.log(price), np.log(price), np.log(price), np.log(4.0), 0.5, np.log(12.0)]
    known = Known(*(np.full(n_lines, value) for value in usual))
    found = line_features(lines, known, np.log(140.0)).quantity
    assert found[0].max() == pytest.approx(stands_out, abs=0.05)
    assert not found[1:].any()


def test_highest_of_others_leaves_out_oneself() -> None:
    got = highest_of_others(np.array([1.0, 5.0, 3.0, 9.0]), np.array([0, 0, 0, 1]))
    assert got[:3].tolist() == [5.0, 3.0, 5.0]
    assert np.isnan(got[3])


def test_drop_counter_has_room_for_so_many_segments() -> None:
    counter = DropCounter(("region",), max_segments=2)
    lines = _rest()[:40]
    counter.add(12, lines, np.full(40, -1.0))
    table = counter.table(0, 24)
    assert table.drops.shape == (24, 2)
    assert (table.drops[12] == table.invoices[12]).all()
