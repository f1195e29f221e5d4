from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.planner import Slice, plan
from nebuloviz.metrics.query import Filter

UTC_ZONE = ZoneInfo("UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def asked(
    *measures: str, by: tuple[str, ...] = (), first: str = "2026-11-01", last: str = "2026-11-08", **fields: object
) -> Slice:
    filters: tuple[Filter, ...] = fields.pop("filters", ())  # type: ignore[assignment]  # of this type
    return Slice((Bucket(at(first), at(last)),), by, filters, frozenset(measures), **fields)  # type: ignore[arg-type]  # same


def sources(what: Slice, zone: ZoneInfo = UTC_ZONE) -> dict[str, list[str]]:
    """Measure -> the names of what it is read from, the coarsest first."""
    parts = plan(what, zone).parts
    return {measure: [reading.name for reading in part.readings] for part in parts for measure in part.measures}


ONE_STORE = (Filter("store", "in", ("7",)),)
TWO_CATEGORIES = (Filter("category", "in", ("a", "b")),)


class TestThePlan:
    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            (asked("revenue"), ["rollup_day"]),
            (asked("revenue", first="2026-11-02", last="2026-11-16"), ["rollup_day"]),
            (asked("revenue", by=("store",)), ["rollup_day_store"]),
            (asked("revenue", filters=ONE_STORE), ["rollup_day_store"]),
            (asked("revenue", by=("category",), filters=ONE_STORE), ["rollup_day_all"]),
            (asked("revenue", by=("product",)), ["rollup_day_product"]),
            (asked("revenue", by=("product",), first="2026-11-02", last="2026-11-16"), ["rollup_week_product"]),
            (
                asked("revenue", by=("product",), first="2026-11-01", last="2026-11-10"),
                ["rollup_week_product", "rollup_day_product"],
            ),
            (asked("revenue", by=("product", "store")), ["sale"]),
            (asked("revenue", first="2026-11-01 05:00", last="2026-11-01 09:00"), ["rollup_hour"]),
            (asked("revenue", first="2026-11-01 05:00", last="2026-11-03"), ["rollup_day", "rollup_hour"]),
            (asked("revenue", first="2026-11-01 05:10", last="2026-11-03"), ["rollup_day", "rollup_hour", "sale"]),
            (asked("revenue", first="2026-11-01 05:10", last="2026-11-01 05:50"), ["sale"]),
            (
                asked("revenue", by=("product",), first="2026-11-01 05:00", last="2026-11-03"),
                ["rollup_day_product", "sale"],
            ),
        ],
    )
    def test_takes_the_smallest_that_can_answer(self, what: Slice, expected: list[str]) -> None:
        assert sources(what)["revenue"] == expected

    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            (asked("orders"), ["rollup_day"]),
            (asked("orders", by=("category",)), ["rollup_day_category"]),
            (asked("orders", by=("store",), keep=(("1",),), other=True), ["rollup_day_store"]),
            (asked("orders", by=("category",), keep=(("a",),), other=True), ["sale"]),
            (asked("orders", filters=TWO_CATEGORIES), ["sale"]),
            (asked("orders", by=("region", "store")), ["sale"]),
            (asked("orders", by=("store",), filters=(Filter("category", "in", ("a",)),)), ["rollup_day_all"]),
        ],
    )
    def test_never_adds_up_orders_over_categories_or_products(self, what: Slice, expected: list[str]) -> None:
        assert sources(what)["orders"] == expected

    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            (asked("customers"), ["day_members"]),
            (asked("customers", first="2026-11-01 05:10", last="2026-11-03"), ["day_members", "hour_members", "sale"]),
            (asked("customers", by=("store",), filters=ONE_STORE), ["day_members"]),
            (asked("customers", by=("store",), filters=TWO_CATEGORIES), ["sale"]),
            (asked("customers", by=("product",)), ["sale"]),
        ],
    )
    def test_counts_customers_by_their_sets(self, what: Slice, expected: list[str]) -> None:
        assert sources(what)["customers"] == expected

    def test_goes_by_the_days_of_the_installation(self) -> None:
        kolkata = asked("revenue", first="2026-10-31 18:30", last="2026-11-07 18:30")
        assert sources(kolkata, ZoneInfo("Asia/Kolkata"))["revenue"] == ["rollup_day"]
        assert sources(kolkata)["revenue"] == ["rollup_day", "rollup_hour", "sale"]

    def test_cuts_time_without_gaps_or_overlaps(self) -> None:
        (part,) = plan(asked("revenue", first="2026-11-01 05:10", last="2026-11-09 17:20"), UTC_ZONE).parts
        pieces = sorted((piece.start, piece.end) for reading in part.readings for piece in reading.pieces)
        assert pieces[0][0] == at("2026-11-01 05:10")
        assert pieces[-1][1] == at("2026-11-09 17:20")
        assert all(before[1] == after[0] for before, after in pairwise(pieces))

    def test_explains_itself(self) -> None:
        said = plan(
            asked("revenue", "orders", by=("category",), filters=TWO_CATEGORIES, keep=(("a",),), other=True), UTC_ZONE
        ).explain()
        assert said.splitlines() == [
            "revenue: 7 days from rollup_day_category",
            "orders: 7 days from sale (an order has several categories and products, so its counts do not add up)",
        ]
