"""Statements are made once a form: what changes from question to question is a parameter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nebuloviz.db import Database, dialect_of
from nebuloviz.metrics import sql
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.planner import FACTS, Piece, Reading, Slice
from nebuloviz.metrics.query import Filter
from tests.metrics import shop

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def asked(**changes: Any) -> Slice:
    fields: dict[str, Any] = {
        "spans": (Bucket(MONDAY, MONDAY + DAY),),
        "dimensions": ("region",),
        "filters": (Filter("channel", "in", ("Shop",)),),
        "measures": frozenset({"revenue"}),
        "keep": (("North",),),
    }
    return Slice(**fields | changes)


def reading(days: int = 2, first: datetime = MONDAY, gap: timedelta = timedelta()) -> Reading:
    starts = [first + (DAY + gap) * number for number in range(days)]
    return Reading(FACTS, tuple(Piece(start, start + DAY, number) for number, start in enumerate(starts)))


def hours(*lengths: int, first: datetime = MONDAY) -> Reading:
    """Whole hours in stretches of so many each, a day and a half apart."""
    starts = [first + number * 36 * HOUR + hour * HOUR for number, n in enumerate(lengths) for hour in range(n)]
    return Reading(FACTS, tuple(Piece(start, start + HOUR, number) for number, start in enumerate(starts)))


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
class TestForms:
    def made(self, dialect: str, of: Slice, where: Reading) -> sql.Statement:
        return sql.sums(dialect, of, [where], ["revenue"])

    def test_moments_and_values_are_parameters_of_one_statement(self, dialect: str) -> None:
        one = self.made(dialect, asked(), reading())
        later = asked(filters=(Filter("channel", "in", ("Web", "App")),), keep=(("South",), ("West",)))
        other = self.made(dialect, later, reading(days=30, first=MONDAY + DAY))
        assert one.select is other.select
        assert (one.values["filter_0"], other.values["filter_0"]) == (("Shop",), ("App", "Web"))
        assert (one.values["keep"], other.values["keep"]) == (["North"], ["South", "West"])
        assert (one.values["start_0_0"], other.values["end_0_0"]) == (MONDAY, MONDAY + 31 * DAY)

    @pytest.mark.parametrize(
        ("of", "where"),
        [
            (asked(filters=(Filter("channel", "not_in", ("Shop",)),)), reading()),
            (asked(filters=(Filter("store", "in", ("Shop",)),)), reading()),
            (asked(filters=()), reading()),
            (asked(keep=None), reading()),
            (asked(dimensions=("country",)), reading()),
            (asked(other=True), reading()),
            (asked(), reading(days=1)),
            (asked(), reading(gap=DAY)),
            (asked(), hours(2)),
        ],
    )
    def test_whatever_else_differs_is_another_statement(self, dialect: str, of: Slice, where: Reading) -> None:
        assert self.made(dialect, of, where).select is not self.made(dialect, asked(), reading()).select


def test_each_piece_has_its_two_edges_even_where_one_ends_as_the_next_begins() -> None:
    edges = sql.sums("postgresql", asked(), [reading(days=2)], ["revenue"]).values["edges_0"]
    first, second, third = (f"2026-11-0{day}T00:00:00+00:00" for day in (2, 3, 4))
    assert edges == f"{{{first},{second},{second},{third}}}"


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
class TestWholeHours:
    def values(self, dialect: str, where: Reading) -> set[str]:
        return {name for name in sql.sums(dialect, asked(), [where], ["revenue"]).values if "_0" in name}

    def test_are_not_listed(self, dialect: str) -> None:
        assert "edges_0" not in self.values(dialect, hours(168))

    @pytest.mark.parametrize("late", [HOUR / 2, timedelta(seconds=1), timedelta(microseconds=1)])
    def test_are_listed_where_they_begin_at_another_moment(self, dialect: str, late: timedelta) -> None:
        assert "edges_0" in self.values(dialect, hours(168, first=MONDAY + late))


def test_whole_hours_are_told_apart_in_several_stretches(database: Database) -> None:
    where = hours(3, 2, 1)
    sold_at = [*(piece.start + HOUR / 3 for piece in where.pieces), MONDAY + 5 * HOUR]  # the last is in none of them
    sales = [
        line._replace(sold_at=moment, region="North", channel="Shop", revenue=number)
        for number, (moment, line) in enumerate(zip(sold_at, shop.lines(7, seed=1), strict=True))
    ]
    shop.store(database, sales, ZoneInfo("UTC"))
    with database.session() as session:
        rows = sql.sums(dialect_of(session), asked(), [where], ["revenue"]).run(session).all()
    assert sorted(tuple(row) for row in rows) == [(number, "North", number) for number in range(6)]
