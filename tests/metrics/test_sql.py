"""Statements are made once a form: what changes from question to question is a parameter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nebuloviz.metrics import sql
from nebuloviz.metrics.buckets import Bucket
from nebuloviz.metrics.planner import FACTS, Piece, Reading, Slice
from nebuloviz.metrics.query import Filter

DAY = timedelta(days=1)
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
        ],
    )
    def test_whatever_else_differs_is_another_statement(self, dialect: str, of: Slice, where: Reading) -> None:
        assert self.made(dialect, of, where).select is not self.made(dialect, asked(), reading()).select


def test_each_piece_has_its_two_edges_even_where_one_ends_as_the_next_begins() -> None:
    edges = sql.sums("postgresql", asked(), [reading(days=2)], ["revenue"]).values["edges_0"]
    first, second, third = (f"2026-11-0{day}T00:00:00+00:00" for day in (2, 3, 4))
    assert edges == f"{{{first},{second},{second},{third}}}"
